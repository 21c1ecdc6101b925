package writers

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestAnswer(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	cmd.Env = append(os.Environ(), "DROVER_APPLICATION=writers-test", "DROVER_VOLUME=/v")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ask := func() map[string][]string {
		var b bytes.Buffer
		if err := Answer(strings.NewReader("\n"), &b); err != nil {
			t.Fatal(err)
		}
		var found map[string][]string
		if err := json.Unmarshal(b.Bytes(), &found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := ask(); len(found["writers-test"]) != 1 {
		t.Errorf("found %v", found)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if found := ask(); len(found["writers-test"]) != 0 {
		t.Errorf("found %v when it had ended", found)
	}
}

func TestOverlaps(t *testing.T) {
	for _, row := range []struct {
		name  string
		looks string // host and process, "-" for none
		want  bool
	}{
		{"one host alone", "a1 b- a1 b- a1", false},
		{"one after the other", "a1 b- a- b2 a- b2", false},
		{"perhaps one after the other", "a1 b2 a- b2", false},
		{"perhaps, of three hosts", "a1 b- c3 a- b- c3", false},
		{"both at once", "a1 b2 a1", true},
		{"both at once, of three hosts", "a1 b- c3 a1", true},
		{"a process that ends after the other has begun", "a1 b2 a1 b-", true},
		{"started again on the same host in between", "a1 b2 a5", false},
		{"in both directions", "a- b2 a1 b2", true},
	} {
		var o Overlaps
		got := false
		for l := range strings.FieldsSeq(row.looks) {
			seen := map[string][]string{}
			if l[1] != '-' {
				seen["db"] = []string{l[1:]}
			}
			got = o.Add(l[:1], seen) != nil || got
		}
		if got != row.want {
			t.Errorf("%s: %s: overlap %t, want %t", row.name, row.looks, got, row.want)
		}
	}
}
