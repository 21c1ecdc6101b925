package api_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

func TestLogsAreSentAsTheyAre(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.service.Set(func(w *apitest.World) { w.Output = "one\n\x00two" })
	w := f.do(user, "GET", "/v1/applications/db/logs?follow=0", "")
	want(t, w, 200, "one\n\x00two")
	if !w.Flushed || w.Header().Get(wire.HeaderNode) != "a" || w.Result().Trailer.Get(wire.TrailerError) != "" {
		t.Errorf("flushed %v, headers %v, trailers %v", w.Flushed, w.Header(), w.Result().Trailer)
	}
	want(t, f.do(user, "GET", "/v1/applications/db/logs?follow=x", ""), 400, "")
	if calls := f.service.Calls(); len(calls) != 1 || !reflect.DeepEqual(calls[0].Arguments, []any{cluster.AppName("db"), false}) {
		t.Errorf("calls: %v", calls)
	}
}

func TestLogsThatBreakOffSaySo(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.service.Set(func(w *apitest.World) {
		w.Output, w.OutputErr = "one", fmt.Errorf("%w: gone", cluster.ErrUnavailable)
	})
	w := f.do(user, "GET", "/v1/applications/db/logs", "")
	want(t, w, 200, "one")
	err := wire.DecodeTrailer(w.Result().Trailer.Get(wire.TrailerError))
	if !errors.Is(err, cluster.ErrUnavailable) || err.Error() != "unavailable: gone" {
		t.Errorf("the trailer says %v", err)
	}

	f.service.Set(func(w *apitest.World) { w.Err = cluster.ErrNotFound })
	want(t, f.do(user, "GET", "/v1/applications/db/logs", ""), 404, `{"description":"not found","kind":"not_found"}`)
}

func TestLogsOfANodeHaveNoBound(t *testing.T) {
	f := newFixture(t, api.Options{MaxBody: 4})
	want(t, f.do(nodeA, "POST", "/v1/nodes/"+string(apitest.NodeA)+"/logs/r", "more than four"), 204, "")
	call := apitest.Call{Method: "AnswerLogs", Arguments: []any{apitest.NodeA, cluster.LogID("r"), "more than four", error(nil)}}
	if calls := f.service.Calls(); len(calls) != 1 || fmt.Sprint(calls[0]) != fmt.Sprint(call) {
		t.Errorf("calls: %v", calls)
	}
}
