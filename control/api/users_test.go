package api_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// TestWhoIsShutOutIsOut: of every call, and of those that wait or are sent something without end.
func TestWhoIsShutOutIsOut(t *testing.T) {
	shutOut := func(w *apitest.World) {
		w.Revocations = []cluster.Revocation{{User: "alice"}}
		w.Events = []cluster.Event{{ID: 1, Message: "a secret"}}
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, api.Options{})
		polled := f.many(1, user, "/v1/events?wait=60s")
		synctest.Wait()
		f.service.Set(shutOut)
		if w := <-polled; w.Code != http.StatusForbidden {
			t.Errorf("who waited for an event gets %d %s", w.Code, w.Body)
		}
		for _, path := range []string{"/v1/status", "/v1/version", "/v1/revocations"} {
			if w := f.do(user, "GET", path, ""); w.Code != http.StatusForbidden {
				t.Errorf("%s answers %d %s", path, w.Code, w.Body)
			}
		}
		if w := f.do(nodeA, "GET", "/v1/nodes", ""); w.Code != http.StatusOK {
			t.Errorf("a node gets %d %s", w.Code, w.Body)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, api.Options{})
		followed := f.many(1, user, "/v1/applications/db/logs?follow=1")
		synctest.Wait()
		f.service.Set(shutOut)
		began := time.Now()
		w := <-followed
		if took := time.Since(began); took > time.Second || w.Result().Trailer.Get(wire.TrailerError) == "" {
			t.Errorf("who follows an output is cut off after %s, with trailers %v", took, w.Result().Trailer)
		}
	})
}
