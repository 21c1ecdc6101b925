package torture

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTheJudgesAgree: what rsync copies is the same to both, and of each single change both see
// something, but for what only one of them looks at.
func TestTheJudgesAgree(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: not root")
	}
	from, to := filepath.Join(disk(t, "ext4", diskBytes), "from"), filepath.Join(disk(t, "xfs", diskBytes), "to")
	can, err := Probe(filepath.Dir(from))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Probe(filepath.Dir(to))
	if err != nil {
		t.Fatal(err)
	}
	can = can.Both(other)
	can.Flags = 0 // rsync does not carry them
	for _, path := range []string{from, to} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := OpenTree(from, can, rand.New(rand.NewPCG(3, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	tree.Grow(100)
	for tree.Done()["longest path"] == 0 {
		tree.deep()
	}
	for n := range 25 {
		command(t, "rsync", "-aHAXS", "--delete", "--checksum", "--modify-window=-1", "--filter=-x trusted.SGI_ACL_*", from+"/", to+"/")
		was := judged(t, from, to)
		if len(was) > 0 {
			t.Fatalf("after change %d, what rsync has copied is\n%s", n, strings.Join(was, "\n"))
		}
		before := look(t, from)
		tree.Change()
		if len(before.Differences(look(t, from))) == 0 {
			continue // the change was none
		}
		if wrong := judged(t, from, to); len(wrong) == 0 {
			t.Fatalf("change %d was seen by nobody", n)
		}
	}
}

func look(t testing.TB, path string) View {
	t.Helper()
	view, err := Look(path)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// judged is what both judges say.
func judged(t testing.TB, from, to string) []string {
	t.Helper()
	lines, err := Rsync(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(look(t, from).Differences(look(t, to)), lines)
}

// TestRsyncIsThere: without it nobody judges.
func TestRsyncIsThere(t *testing.T) {
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Fatal(err)
	}
}
