package api_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

const (
	user    = "user-alice"
	nodeA   = "node-" + string(apitest.NodeA)
	pluginA = "plugin-" + string(apitest.NodeA)
	nodeB   = "node-" + string(apitest.NodeB)
)

// A fixture is an API in this process. Requests carry certificates as if TLS had verified them;
// that it does is tested in tls_test.go.
type fixture struct {
	t       testing.TB
	service *apitest.Service
	handler http.Handler
	log     *bytes.Buffer
}

func newFixture(t testing.TB, o api.Options) *fixture {
	f := &fixture{t: t, service: apitest.NewService(), log: new(bytes.Buffer)}
	o.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.handler = api.New(f.service, o)
	return f
}

// do sends a request as the holder of a certificate. Headers are "Name: value".
func (f *fixture) do(cn, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.send(cn, method, path, strings.NewReader(body), headers...)
}

// send is do with a body that may take its time.
func (f *fixture) send(cn, method, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	r.TLS = nil
	if cn != "" {
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: cn}}
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

// want fails unless an answer has that status and, unless it is "", that body.
func want(t testing.TB, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || body != "" && w.Body.String() != body {
		t.Errorf("got  %d %s\nwant %d %s", w.Code, w.Body, status, body)
	}
}

func errorOf(t testing.TB, w *httptest.ResponseRecorder) wire.ErrorBody {
	t.Helper()
	var body wire.ErrorBody
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return body
}

func TestUnroutedRequestsAreAnsweredInJSON(t *testing.T) {
	f := newFixture(t, api.Options{})
	for _, tt := range []struct {
		rule, method, path string
		status             int
	}{
		{"an unknown path", "GET", "/v1/nothing", 404},
		{"another version", "GET", "/v2/nodes", 404},
		{"a slash too many", "GET", "/v1/nodes/", 404},
		{"a wrong method", "DELETE", "/v1/nodes", 405},
		{"a wrong method of Flocker's", "PUT", "/v1/configuration/datasets", 405},
		{"the head of a page", "HEAD", "/v1/state/datasets", 405},
	} {
		w := f.do(user, tt.method, tt.path, "")
		if w.Code != tt.status || errorOf(t, w).Description == "" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v %s", tt.rule, w.Code, w.Header(), w.Body)
		}
	}
}

func TestErrorsCarryTheirKind(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.service.Set(func(w *apitest.World) {
		w.Err = cluster.WithHint(errors.Join(cluster.ErrRefused, errors.New("b is full")), "free some space")
	})
	w := f.do(user, "POST", "/v1/moves", `{"application": "db", "to": "b"}`)
	want(t, w, 422, `{"description":"refused\nb is full","kind":"refused","hint":"free some space"}`)

	w = f.do(user, "DELETE", "/v1/configuration/leases/x", "")
	want(t, w, 422, `{"description":"refused\nb is full"}`)
}

func TestFaultsOfTheServerAreIncidents(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		break_ func(*apitest.World)
		drover string // what the description says
	}{
		{"an error without a kind", func(w *apitest.World) { w.Err = errors.New("disk on fire") }, "disk on fire"},
		{"a panic", func(w *apitest.World) { w.Panic = "nil map" }, "internal error"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			f := newFixture(t, api.Options{})
			f.service.Set(tt.break_)
			w := f.do(user, "POST", "/v1/moves", `{}`)
			body := errorOf(t, w)
			if w.Code != 500 || body.Description != tt.drover || !strings.Contains(body.Hint, "incident") {
				t.Errorf("%d %s", w.Code, w.Body)
			}

			f.log.Reset()
			w = f.do(user, "DELETE", "/v1/configuration/leases/x", "")
			var incident string
			if err := json.Unmarshal(w.Body.Bytes(), &incident); err != nil || w.Code != 500 {
				t.Fatalf("%d %s: want a bare string", w.Code, w.Body)
			}
			id, level, _ := strings.Cut(incident, "@")
			if !cluster.IsUUID(id) || level != "/1" || !strings.Contains(f.log.String(), id) {
				t.Errorf("incident %q is not explained by the log:\n%s", incident, f.log)
			}
			f.service.Set(func(w *apitest.World) { w.Err, w.Panic = nil, nil })
			want(t, f.do(user, "GET", "/v1/moves", ""), 200, "[]")
		})
	}
}

func TestRequestsAreLogged(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.do(user, "GET", "/v1/nodes", "", "X-Eliot-Task-Id: abc@/1")
	for _, want := range []string{"level=DEBUG", "method=GET", "path=/v1/nodes", "who=user-alice", "status=200", "task=abc@/1"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, f.log)
		}
	}
}

func TestBodies(t *testing.T) {
	f := newFixture(t, api.Options{MaxBody: 100})
	for _, tt := range []struct {
		rule, cn, method, path, body string
		status                       int
	}{
		{"a node may say more than we know", nodeA, "PUT", "/v1/nodes/" + string(apitest.NodeA), `{"id": "` + string(apitest.NodeA) + `", "new": 1}`, 204},
		{"a user may not", user, "POST", "/v1/moves", `{"application": "db", "too": "b"}`, 400},
		{"not JSON", user, "POST", "/v1/moves", `{`, 400},
		{"nothing", user, "POST", "/v1/moves", ``, 400},
		{"more than one document", user, "POST", "/v1/moves", `{} {}`, 400},
		{"JSON and something else", user, "POST", "/v1/moves", `{} x`, 400},
		{"white space around it", user, "POST", "/v1/moves", " {}\n", 201},
		{"of another type", user, "POST", "/v1/moves", `[]`, 400},
		{"too large", user, "POST", "/v1/moves", `{"application": "` + strings.Repeat("x", 100) + `"}`, 400},
		{"too large, for Flocker", user, "POST", "/v1/configuration/leases", `"` + strings.Repeat("x", 100) + `"`, 400},
		{"the body of a GET is not read", user, "GET", "/v1/moves", `{`, 200},
	} {
		if w := f.do(tt.cn, tt.method, tt.path, tt.body); w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.rule, w.Code, w.Body, tt.status)
		}
	}
}
