package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload"
)

// A Database is the ledger as a workload. It implements workload.Database.
type Database struct {
	// Binary is the drover program: on the node, or in Image.
	Binary string
	// Image is for runtimes that run images.
	Image string
}

// Name is "ledger".
func (Database) Name() string { return "ledger" }

// Application implements workload.Database.
func (d Database) Application(name cluster.AppName, external int) cluster.Application {
	return cluster.Application{
		Name:    name,
		Image:   d.Image,
		Command: []string{d.Binary, "ledger"},
		Ports:   []cluster.Port{{Internal: Port, External: external}},
		Volume:  &cluster.Attachment{Volume: cluster.VolumeIDForName(name), Mountpoint: "/data"},
		Restart: cluster.RestartPolicy{Name: cluster.RestartAlways},
	}
}

// fillStep is how much one request of Prepare adds, so that progress shows and a stop is quick.
const fillStep = 16 << 20

// Prepare implements workload.Database.
func (Database) Prepare(ctx context.Context, address string, megabytes int, progress func(done, total int64)) error {
	total := int64(megabytes) << 20
	for done := int64(0); done < total; {
		done = min(done+fillStep, total)
		body := fmt.Sprintf(`{"bytes": %d}`, done)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/fill", strings.NewReader(body))
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("fill the ledger: %w", err)
		}
		if err := expectOK(response); err != nil {
			return fmt.Errorf("fill the ledger: %w", err)
		}
		progress(done, total)
	}
	return nil
}

// Connect implements workload.Database.
func (Database) Connect(ctx context.Context, address string) (workload.Conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{url: "http://" + address + "/entries", raw: raw}
	used := false
	c.transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		if used {
			return nil, workload.ErrBroken // the runner decides when to connect again
		}
		used = true
		return raw, nil
	}}
	return c, nil
}

// A conn speaks HTTP over exactly one connection.
type conn struct {
	url       string
	raw       net.Conn
	transport *http.Transport
}

// Write implements workload.Conn.
func (c *conn) Write(ctx context.Context, e workload.Entry) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%w: %w", workload.ErrBroken, err)
	}
	return expectOK(response)
}

// Close implements workload.Conn.
func (c *conn) Close() error {
	c.transport.CloseIdleConnections()
	return c.raw.Close()
}

// expectOK reads an answer to its end and turns any but 200 into an error.
func expectOK(response *http.Response) error {
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the ledger answered %s: %s", response.Status, bytes.TrimSpace(text))
	case err != nil:
		return fmt.Errorf("%w: %w", workload.ErrBroken, err)
	}
	return nil
}

// Entries implements workload.Database.
func (Database) Entries(ctx context.Context, address string) (map[string]workload.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/entries", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the ledger answered %s", response.Status)
	}
	stored := map[string]workload.Entry{}
	for decoder := json.NewDecoder(response.Body); ; {
		var e workload.Entry
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return stored, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if _, twice := stored[e.ID]; twice {
			return nil, fmt.Errorf("the ledger holds %s twice", e.ID)
		}
		stored[e.ID] = e
	}
}
