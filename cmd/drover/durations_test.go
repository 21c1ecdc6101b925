package main

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
)

// TestDurationsAreTextInJSON, wherever they are; all else is as it was.
func TestDurationsAreTextInJSON(t *testing.T) {
	type inner struct {
		Took  time.Duration `json:"took,omitempty"`
		Bytes int64         `json:"bytes"`
	}
	type Embedded struct {
		Pause time.Duration `json:"pause"`
	}
	value := map[string]any{"unknown": 5}
	for _, row := range []struct {
		value any
		want  string
	}{
		{time.Second, `"1s"`},
		{[]time.Duration{0, 1500 * time.Millisecond}, `["0s","1.5s"]`},
		{inner{Bytes: 1500000000}, `{"bytes":1500000000}`},
		{map[string]*inner{"a": {Took: time.Minute}, "b": nil}, `{"a":{"took":"1m0s","bytes":0},"b":null}`},
		{struct {
			Embedded
			Rounds []inner   `json:"rounds"`
			At     time.Time `json:"at"`
			Text   string    `json:"text"`
			Value  any       `json:"value"`
		}{Embedded{time.Hour}, []inner{{1, 2}, {3, 4}}, time.Unix(0, 0).UTC(), `{"took": 5, "ü": [`, value},
			`{"pause":"1h0m0s","rounds":[{"took":"1ns","bytes":2},{"took":"3ns","bytes":4}],"at":"1970-01-01T00:00:00Z","text":"{\"took\": 5, \"ü\": [","value":{"unknown":5}}`},
	} {
		text, err := json.Marshal(row.value)
		if err != nil {
			t.Fatal(err)
		}
		if got := durationsAsText(string(text), reflect.TypeOf(row.value)); got != row.want {
			t.Errorf("got  %s\nwant %s", got, row.want)
		}
	}
}

// TestNoCommandPrintsNanoseconds.
func TestNoCommandPrintsNanoseconds(t *testing.T) {
	s := newShell(t, func(w *apitest.World) {
		w.Moves = []cluster.Move{{ID: "m", Application: "db", Phase: cluster.PhaseDone,
			Stats: cluster.Stats{Pause: 1500 * time.Millisecond, Rounds: []cluster.Round{{Bytes: 7, Took: time.Second}}}}}
	})
	out, _, _ := s.run("", "move", "ls", "-o", "json")
	var moves []struct {
		Figures struct {
			Pause, Stop string
			Rounds      []struct {
				Bytes int
				Took  string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &moves); err != nil || len(moves) != 1 || moves[0].Figures.Pause != "1.5s" ||
		moves[0].Figures.Stop != "0s" || moves[0].Figures.Rounds[0].Took != "1s" || moves[0].Figures.Rounds[0].Bytes != 7 {
		t.Errorf("%s\n%v", out, err)
	}
}
