// Package ledger is a small database for demos and tests: it keeps entries in bbolt and answers
// a write when the entry is on stable storage.
//
//	config, err := ledger.FromEnvironment(os.Getenv)
//	err = ledger.Serve(ctx, config, log)    // until ctx ends
//
//	POST /entries   one entry as JSON; 200 once it is on disk; the same id again changes nothing
//	GET  /entries   all entries, one JSON object per line
//	POST /fill      {"bytes": n}: grows the file to about that size
//
// Only one process can have the data open: a second one fails to start.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drover/drover/internal/workload"
)

// Port is the ledger's internal port.
const Port = 7000

// Config is where a ledger listens and keeps its data.
type Config struct {
	Address string
	Dir     string
}

// FromEnvironment reads what Drover tells an application.
func FromEnvironment(getenv func(string) string) (Config, error) {
	address, port, dir := getenv("DROVER_ADDR"), getenv("DROVER_PORT_"+strconv.Itoa(Port)), getenv("DROVER_VOLUME")
	if address == "" || port == "" || dir == "" {
		return Config{}, fmt.Errorf("the ledger is run by Drover: DROVER_ADDR, DROVER_PORT_%d and DROVER_VOLUME must be set", Port)
	}
	return Config{Address: net.JoinHostPort(address, port), Dir: dir}, nil
}

var (
	entriesBucket = []byte("entries")
	fillBucket    = []byte("fill")
)

// Serve runs a ledger until ctx ends; then it answers the requests under way and returns nil.
func Serve(ctx context.Context, c Config, log *slog.Logger) error {
	db, err := open(filepath.Join(c.Dir, "ledger.db"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Address)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s := &server{db: db, writes: make(chan write)}
	committed := make(chan struct{})
	go func() { defer close(committed); s.commitAll() }()
	httpServer := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(listener) }()
	log.Info("the ledger is open", "address", c.Address, "dir", c.Dir)
	select {
	case <-ctx.Done():
		err = httpServer.Shutdown(context.WithoutCancel(ctx))
	case err = <-failed:
	}
	close(s.writes)
	<-committed
	return errors.Join(err, db.Close())
}

func open(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{entriesBucket, fillBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

type server struct {
	db     *bbolt.DB
	writes chan write
}

// A write waits for its commit.
type write struct {
	id, value []byte
	done      chan error // has room for one
}

// commitAll commits all writes that are waiting in one transaction, and again: while the disk
// syncs, the next ones gather.
func (s *server) commitAll() {
	for first := range s.writes {
		batch := gather(first, s.writes)
		err := s.db.Update(func(tx *bbolt.Tx) error {
			for _, w := range batch {
				if err := tx.Bucket(entriesBucket).Put(w.id, w.value); err != nil {
					return err
				}
			}
			return nil
		})
		for _, w := range batch {
			w.done <- err
		}
	}
}

func gather(first write, more <-chan write) []write {
	batch := []write{first}
	for len(batch) < 256 {
		select {
		case w, ok := <-more:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /entries", s.put)
	mux.HandleFunc("GET /entries", s.list)
	mux.HandleFunc("POST /fill", s.fill)
	return mux
}

func (s *server) put(w http.ResponseWriter, r *http.Request) {
	var e workload.Entry
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&e); err != nil || e.ID == "" {
		http.Error(w, fmt.Sprintf("want an entry with an id: %v", err), http.StatusBadRequest)
		return
	}
	value, err := json.Marshal(e)
	if err == nil {
		done := make(chan error, 1)
		s.writes <- write{[]byte(e.ID), value, done}
		err = <-done
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *server) list(w http.ResponseWriter, _ *http.Request) {
	_ = s.db.View(func(tx *bbolt.Tx) error { // a reader that has gone away is its own affair
		return tx.Bucket(entriesBucket).ForEach(func(_, value []byte) error {
			_, err := w.Write(append(value, '\n'))
			return err
		})
	})
}

// fillBlock is the size of one value of the filling, fillBatch how many are committed at once.
const (
	fillBlock = 64 << 10
	fillBatch = 64
)

// fill adds incompressible values until there are that many bytes.
func (s *server) fill(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Bytes int64 `json:"bytes"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	source := rand.NewChaCha8([32]byte{1})
	for n := int64(-1); n*fillBlock < request.Bytes && r.Context().Err() == nil; {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			if n < 0 { // go on behind what an earlier request has left
				n = 0
				if last, _ := tx.Bucket(fillBucket).Cursor().Last(); last != nil {
					fmt.Sscan(string(last), &n) // keys are numbers
					n++
				}
			}
			for i := 0; i < fillBatch && n*fillBlock < request.Bytes; i++ {
				block := make([]byte, fillBlock)
				source.Read(block) // never fails
				if err := tx.Bucket(fillBucket).Put(fmt.Appendf(nil, "%012d", n), block); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
}
