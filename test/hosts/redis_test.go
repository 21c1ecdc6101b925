package hosts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestRedis moves a Redis that syncs every write ten times around three hosts, under
// redis-benchmark and under clients that check.
func TestRedis(t *testing.T) {
	c := testcluster.OnHosts(t, 3)
	for _, node := range c.NodeNames() {
		importDebian(t, c, node)
	}
	db := redisDatabase{}
	c.Deploy(db.Application("redis", port), "a")
	address := c.Proxy("c", port)
	l := start(t, c, db, "redis", address, 8)
	host, _, _ := strings.Cut(address, ":")
	runs := repeat(t, "redis-benchmark", "-h", host, "-p", fmt.Sprint(port), "-c", "4", "-n", "20000", "-r", "10000", "-d", "256", "-t", "set", "-q")
	for n := range 10 {
		to := string("bca"[n%3])
		ended := l.Move(to)
		t.Logf("move %d to %s: pause %s, stop %s, promote %s", n+1, to, ended.Stats.Pause, ended.Stats.Stop, ended.Stats.Promote)
	}
	t.Logf("redis-benchmark was started %d times", runs())
	l.Verify(testcluster.Moved)
}

// redisDatabase is Redis as a workload: every entry is a field of one hash.
type redisDatabase struct{}

const ledgerKey = "ledger"

func (redisDatabase) Name() string { return "redis" }

func (redisDatabase) Application(name cluster.AppName, external int) cluster.Application {
	return cluster.Application{
		Name: name, Image: debianImage,
		Command: []string{"/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/data",
			"--appendonly", "yes", "--appendfsync", "always", "--save", ""},
		Ports:  []cluster.Port{{Internal: 6379, External: external}},
		Volume: &cluster.Attachment{Volume: cluster.VolumeIDForName(name), Mountpoint: "/data"},
		// It accepts connections while it still loads, and answers them with an error.
		Health: &cluster.HealthCheck{Command: []string{"/usr/bin/redis-cli", "-e", "ping"}},
	}
}

func (redisDatabase) Prepare(ctx context.Context, address string, megabytes int, _ func(done, total int64)) error {
	client := connectRedis(address)
	defer client.Close()
	for n := range megabytes {
		if err := client.Set(ctx, fmt.Sprint("filling", n), strings.Repeat("x", 1<<20), 0).Err(); err != nil {
			return err
		}
	}
	return nil
}

// connectRedis makes a client of one connection, which repeats nothing by itself.
func connectRedis(address string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, PoolSize: 1, DialTimeout: time.Minute,
		ReadTimeout: time.Minute, WriteTimeout: time.Minute, DisableIdentity: true})
}

func (redisDatabase) Connect(ctx context.Context, address string) (workload.Conn, error) {
	client := connectRedis(address)
	if err := client.Ping(ctx).Err(); err != nil {
		client.Close()
		return nil, err
	}
	return redisConn{client}, nil
}

type redisConn struct{ client *redis.Client }

// Write implements workload.Conn.
func (c redisConn) Write(ctx context.Context, e workload.Entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = c.client.HSet(ctx, ledgerKey, e.ID, b).Err()
	if _, answered := err.(redis.Error); err != nil && !answered {
		return fmt.Errorf("%w: %w", workload.ErrBroken, err)
	}
	return err
}

func (c redisConn) Close() error { return c.client.Close() }

// Entries implements workload.Database.
func (redisDatabase) Entries(ctx context.Context, address string) (map[string]workload.Entry, error) {
	client := connectRedis(address)
	defer client.Close()
	all, err := client.HGetAll(ctx, ledgerKey).Result()
	if err != nil {
		return nil, err
	}
	stored := map[string]workload.Entry{}
	for id, b := range all {
		var e workload.Entry
		if err := json.Unmarshal([]byte(b), &e); err != nil {
			return nil, err
		}
		stored[id] = e
	}
	return stored, nil
}
