package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

func TestWhatIsAskedForIsPending(t *testing.T) {
	f := newFixture(t)
	f.service.Set(func(w *apitest.World) { w.Status = wire.Status{Pending: []string{"db: starts"}} })
	of := wire.Subjects{Applications: []cluster.AppName{"db", "a b&c"}, Volumes: []string{"v"}, Nodes: []string{"n"}}
	missing, err := f.user.Pending(t.Context(), of)
	if err != nil || len(missing.Pending) != 1 || missing.Converged {
		t.Errorf("%+v, %v", missing, err)
	}
	calls := f.service.Calls()
	if want := (apitest.Call{Method: "Pending", Arguments: []any{of}}); !reflect.DeepEqual(calls[len(calls)-1], want) {
		t.Errorf("the service was called with %+v, want %+v", calls[len(calls)-1], want)
	}
}

// TestAnEarlierServiceTellsItsStatus to who asks it for what it does not know.
func TestAnEarlierServiceTellsItsStatus(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != wire.PathStatus {
				w.WriteHeader(status)
				return
			}
			_, _ = w.Write([]byte(`{"converged": true}`))
		}))
		defer server.Close()
		config := server.Client().Transport.(*http.Transport).TLSClientConfig
		c := client.New(client.Options{Address: strings.TrimPrefix(server.URL, "https://"), TLS: config})
		defer c.Close()
		missing, err := c.Pending(t.Context(), wire.Subjects{Volumes: []string{"v"}})
		if err != nil || !missing.Converged {
			t.Errorf("%d: %+v, %v", status, missing, err)
		}
	}
}

func TestAChangeSendsWhatDiffers(t *testing.T) {
	f := newFixture(t)
	current, err := f.user.Configuration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := current.Configuration.Clone()
	next.Applications["web"] = cluster.Application{Name: "web", Image: "nginx"}
	if _, err := f.user.Change(t.Context(), current, next); err != nil {
		t.Fatal(err)
	}
	if is, err := f.user.Configuration(t.Context()); err != nil || is.Configuration.Applications["web"].Image != "nginx" {
		t.Errorf("%+v, %v", is, err)
	}
	if _, err := f.user.Change(t.Context(), current, next); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("a change of what is not so any more: %v", err)
	}
}
