// Package postgres is PostgreSQL under a workload of bank transfers: each write moves an amount
// between two accounts and notes it in a ledger, in one transaction.
//
//	if err := postgres.Available(); err == nil {
//		db := postgres.Database{}
//		...
//	}
//
// The server runs as the user postgres when the agent is root, since it refuses to be root
// itself, and as the agent's own user otherwise. It trusts every connection: it listens on the
// address of a node of a demo, and nowhere else.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload"
)

// Port is PostgreSQL's internal port.
const Port = 5432

// serverUser runs the server when the agent is root.
const serverUser = "postgres"

// Available says why PostgreSQL cannot run here, or nil.
func Available() error {
	if _, err := programs(); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if _, err := user.Lookup(serverUser); err != nil {
			return fmt.Errorf("it refuses to run as root, and there is no other user for it: %w", err)
		}
	}
	return nil
}

// programs returns the directory of the newest server programs.
func programs() (string, error) {
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb", "/usr/local/pgsql/bin/initdb"} {
		found, err := filepath.Glob(pattern)
		if err == nil && len(found) > 0 {
			return filepath.Dir(slices.Max(found)), nil
		}
	}
	return "", fmt.Errorf("its server programs are not installed: %w", fs.ErrNotExist)
}

// start is the command of the server. The first start makes the cluster of databases.
const start = `set -e
data="$DROVER_VOLUME/data"
if ! test -s "$data/PG_VERSION"; then
  rm -rf "$data.new"
  "$PGBIN/initdb" --pgdata="$data.new" --username=bank --auth=trust --encoding=UTF8 --locale=C >/dev/null
  echo "host all all all trust" >> "$data.new/pg_hba.conf"
  mv "$data.new" "$data"
fi
exec "$PGBIN/postgres" -D "$data" -h "$DROVER_ADDR" -p "$DROVER_PORT_5432" -k "" -c max_connections=200 -c max_wal_size=128MB`

// inContainer gives the volume to the server's user and goes on as that.
const inContainer = `chown postgres: "$DROVER_VOLUME" && exec setpriv --reuid postgres --regid postgres --init-groups /bin/sh -c "$START"`

// A Database is PostgreSQL as a workload. It implements workload.Database.
type Database struct {
	// Image, if set, has Debian's PostgreSQL 15 and runs it; otherwise it is this machine's.
	Image string
}

// Name is "postgres".
func (Database) Name() string { return "postgres" }

// Application implements workload.Database.
func (d Database) Application(name cluster.AppName, external int) cluster.Application {
	bin, _ := programs() // the command says what is missing
	app := cluster.Application{
		Name:        name,
		Command:     []string{"/bin/sh", "-c", start},
		Ports:       []cluster.Port{{Internal: Port, External: external}},
		Environment: map[string]string{"PGBIN": bin},
		Volume:      &cluster.Attachment{Volume: cluster.VolumeIDForName(name), Mountpoint: "/var/lib/postgresql"},
		Restart:     cluster.RestartPolicy{Name: cluster.RestartAlways},
		// SIGTERM would wait until all clients have gone.
		Stop:   cluster.StopPolicy{Signal: "SIGINT", Timeout: 20 * time.Second},
		Health: &cluster.HealthCheck{Command: []string{"/bin/sh", "-c", `"$PGBIN/pg_isready" -q -h "$DROVER_ADDR" -p "$DROVER_PORT_5432" -U bank -d postgres`}},
	}
	switch {
	case d.Image != "":
		app.Image, app.Command = d.Image, []string{"/bin/sh", "-c", inContainer}
		app.Environment = map[string]string{"PGBIN": "/usr/lib/postgresql/15/bin", "START": start}
	case os.Getuid() == 0:
		app.User = serverUser
	}
	return app
}

// schema is what the workload needs.
const schema = `
CREATE TABLE IF NOT EXISTS accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (id uuid PRIMARY KEY, source int NOT NULL, target int NOT NULL, amount bigint NOT NULL,
	at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS filling (id serial PRIMARY KEY, content bytea NOT NULL)`

// fillRows adds rows of 64 KiB that do not compress.
const fillRows = `
INSERT INTO filling (content)
SELECT (SELECT string_agg(sha512((n * 1024 + i)::text::bytea), ''::bytea) FROM generate_series(1, 1024) AS i)
FROM generate_series(1, $1::int) AS n`

// Prepare implements workload.Database.
func (Database) Prepare(ctx context.Context, address string, megabytes int, progress func(done, total int64)) error {
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, schema); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	_, err = conn.Exec(ctx, `INSERT INTO accounts SELECT i, 0 FROM generate_series(0, $1::int - 1) AS i ON CONFLICT DO NOTHING`, workload.Accounts)
	if err != nil {
		return fmt.Errorf("make the accounts: %w", err)
	}
	const step = 4
	for done := 0; done < megabytes; done += step {
		if _, err := conn.Exec(ctx, fillRows, step*16); err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
		progress(int64(min(done+step, megabytes))<<20, int64(megabytes)<<20)
	}
	_, err = conn.Exec(ctx, "CHECKPOINT")
	return err
}

func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, "postgres://bank@"+address+"/postgres?sslmode=disable&connect_timeout=60")
}

// Connect implements workload.Database.
func (Database) Connect(ctx context.Context, address string) (workload.Conn, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	return client{conn}, nil
}

type client struct{ conn *pgx.Conn }

// Write implements workload.Conn. A row that is in the ledger already has been paid for: the
// write is a repetition.
func (c client) Write(ctx context.Context, e workload.Entry) error {
	err := pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		inserted, err := tx.Exec(ctx, `INSERT INTO ledger (id, source, target, amount) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			e.ID, e.From, e.To, e.Amount)
		if err != nil || inserted.RowsAffected() == 0 {
			return err
		}
		// In one order, so that two transfers in opposite directions cannot wait for each other.
		if _, err = tx.Exec(ctx, `SELECT FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE`, e.From, e.To); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE accounts SET balance = balance + CASE WHEN id = $1 THEN -$3::bigint ELSE 0 END
			+ CASE WHEN id = $2 THEN $3::bigint ELSE 0 END WHERE id IN ($1, $2)`, e.From, e.To, e.Amount)
		return err
	})
	var answered *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answered) && !shutsDown(answered.Code):
		return err
	default:
		return fmt.Errorf("%w: %w", workload.ErrBroken, err)
	}
}

// shutsDown reports whether an error code says that the server ends the connection: class 57P.
func shutsDown(code string) bool { return len(code) == 5 && code[:3] == "57P" }

// Close implements workload.Conn.
func (c client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return c.conn.Close(ctx)
}

// Entries implements workload.Database. It also checks that no money was made or lost.
func (Database) Entries(ctx context.Context, address string) (map[string]workload.Entry, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := checkBalances(ctx, conn); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `SELECT id::text, source, target, amount FROM ledger`)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[workload.Entry])
	if err != nil {
		return nil, err
	}
	stored := make(map[string]workload.Entry, len(list))
	for _, e := range list {
		stored[e.ID] = e
	}
	return stored, nil
}

// checkBalances recomputes every balance from the ledger.
func checkBalances(ctx context.Context, conn *pgx.Conn) error {
	var wrong int
	err := conn.QueryRow(ctx, `
		SELECT count(*) FROM accounts a
		LEFT JOIN (SELECT target AS id, sum(amount) AS n FROM ledger GROUP BY 1) come ON come.id = a.id
		LEFT JOIN (SELECT source AS id, sum(amount) AS n FROM ledger GROUP BY 1) went ON went.id = a.id
		WHERE a.balance <> coalesce(come.n, 0) - coalesce(went.n, 0)`).Scan(&wrong)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("balances that are not what the ledger adds up to: %d", wrong)
	}
	return err
}
