// Package client calls the control service. Its methods mirror those of the service, one for one.
//
//	c, err := client.FromFiles("control.example:4523", "/etc/drover", pki.User)
//	document, err := c.Configuration(ctx)
//	document, err = c.Configure(ctx, document.Revision, next)
//	if errors.Is(err, cluster.ErrStale) { read again, decide again }
//
// An error that the service answered is of the same kind here as it was there. A service that
// does not answer at all is cluster.ErrUnavailable.
//
//	caller --- Client --- HTTP/1.1, mutual TLS --- package api --- control.Service
//
// A method asks once. Whether it is right to ask again is for the caller to say; only the two
// that follow something to its end, WatchMove and WaitConverged, outlast a short absence of the
// service.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// patience is how long a request may take beside the time that it asks the service to wait.
const patience = 15 * time.Second

// Options are what a Client needs. Address and TLS must be set.
type Options struct {
	// Address is the host:port of the control service.
	Address string
	// TLS proves who the caller is and verifies the service: see pki.ClientTLS.
	TLS *tls.Config
	// Dial reaches the address; nil: over TCP, noticing hosts that vanish.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client calls one control service. All methods may be called concurrently. A process that speaks as a
// node uses one, by which the service knows it. Use New.
type Client struct {
	address  string
	instance string
	http     *http.Client
	told     told
	heart    heart
}

// New returns a client. It connects when it is first used.
//
// It speaks HTTP/1.1 alone: in HTTP/2 all requests of an agent share one connection, and a broken
// one would hold up its reports together with its long poll, until a ping had gone unanswered.
func New(o Options) *Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{
		Timeout: 5 * time.Second,
		// A host that vanished is noticed while a long poll is open, not when it ends.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	if o.Dial == nil {
		o.Dial = dialer.DialContext
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := o.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return watched(c), nil
	}
	return &Client{
		address: o.Address, instance: cluster.NewUUID(),
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:         dial,
				TLSClientConfig:     o.TLS.Clone(),
				TLSHandshakeTimeout: 10 * time.Second, // many may come at once
				Protocols:           protocols,
				MaxIdleConnsPerHost: 8,
				IdleConnTimeout:     time.Minute,
			},
			// The service redirects nothing.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// FromFiles returns a client with the certificates in dir: cluster.crt, and <name>.crt and
// <name>.key, where name is pki.User, pki.Node or what a user called it.
func FromFiles(address, dir, name string) (*Client, error) {
	config, err := pki.ClientTLS(dir, name)
	if err != nil {
		return nil, err
	}
	return New(Options{Address: address, TLS: config}), nil
}

// Close closes the connections that no request uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version asks which build the service is, and of which cluster.
func (c *Client) Version(ctx context.Context) (wire.Version, error) {
	return get[wire.Version](ctx, c, wire.PathDrover)
}

// A request is one call of the API.
type request struct {
	method, path string
	query        url.Values
	ifMatch      cluster.Revision // zero: none
	body         any              // nil: none
	wait         time.Duration    // how long the service may wait before it answers
	beats        *beats           // nil: none
	heart        *heart           // unless nil, is told whether the service takes beats
}

// path fills the parameters of a path of package wire, in their order.
func path(pattern string, parameters ...string) string {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, ":") {
			segments[i] = url.PathEscape(parameters[0])
			parameters = parameters[1:]
		}
	}
	return strings.Join(segments, "/")
}

// poll is the query of a request that waits for something newer than since.
func poll(since uint64, wait time.Duration) url.Values {
	return url.Values{"since": {strconv.FormatUint(since, 10)}, "wait": {wait.String()}}
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var answer T
	_, err := c.do(ctx, request{method: http.MethodGet, path: path}, &answer)
	return answer, err
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var answer T
	_, err := c.do(ctx, request{method: http.MethodPost, path: path, body: body}, &answer)
	return answer, err
}

func del[T any](ctx context.Context, c *Client, path string) (T, error) {
	var answer T
	_, err := c.do(ctx, request{method: http.MethodDelete, path: path}, &answer)
	return answer, err
}

// send is for calls that have no answer.
func (c *Client) send(ctx context.Context, method, path string, body any) error {
	_, err := c.do(ctx, request{method: method, path: path, body: body}, nil)
	return err
}

// do carries out a request, reads the answer into a value, and returns the headers. They are nil
// if the service answered that nothing has changed.
func (c *Client) do(ctx context.Context, r request, into any) (http.Header, error) {
	limited, cancel := context.WithTimeout(ctx, patience+r.wait)
	defer cancel()
	q, err := c.build(limited, r)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(q)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer response.Body.Close()
	if r.beats != nil {
		r.beats.Close()
	}
	text, err := io.ReadAll(response.Body)
	if r.heart != nil && err == nil { // until then heartbeats go alone: to read all may take a while
		r.heart.takes(response.Header.Get(wire.HeaderBeats) != "")
	}
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case response.StatusCode == http.StatusNotModified:
		return nil, nil
	case response.StatusCode >= 300:
		return nil, refusal(response.StatusCode, text)
	case into == nil || response.StatusCode == http.StatusNoContent:
		return response.Header, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("read the answer of the control service at %s: %w", c.address, err)
	}
	return response.Header, nil
}

// refusal is the error that an answer stands for.
func refusal(status int, text []byte) error {
	var body wire.ErrorBody
	if json.Unmarshal(text, &body) != nil {
		body = wire.ErrorBody{} // the status has to do
	}
	return wire.DecodeError(status, body)
}

func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("%w: encode a request: %w", cluster.ErrInvalid, err)
		}
		body = bytes.NewReader(text)
	}
	target := "https://" + c.address + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%w: the address of the control service: %w", cluster.ErrInvalid, err)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if r.beats != nil {
		q = q.WithContext(httptrace.WithClientTrace(ctx, r.beats.trace()))
		q.Body, q.ContentLength, q.TransferEncoding = r.beats, -1, []string{"chunked"}
		q.Header.Set(wire.HeaderBeats, "true")
	}
	q.Header.Set(wire.HeaderInstance, c.instance)
	if r.ifMatch != 0 {
		q.Header.Set("If-Match", wire.ETag(r.ifMatch))
	}
	return q, nil
}

// unreachable says that there was no answer. When that is because the caller did not want to wait
// any longer, the error is the caller's own.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask the control service at %s: %w", c.address, ctx.Err())
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // without the method and the URL
	}
	var hint string
	var refused *tls.CertificateVerificationError
	var alert *net.OpError
	if errors.As(err, &refused) || errors.As(err, &alert) && alert.Op == "remote error" {
		hint = "the certificates of both sides must be signed by the same authority, and clocks be right"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("no answer in time")
	}
	return cluster.WithHint(fmt.Errorf("%w: reach the control service at %s: %w", cluster.ErrUnavailable, c.address, err), hint)
}
