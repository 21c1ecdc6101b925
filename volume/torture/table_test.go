package torture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestWhatIsKept holds each cell of the table in docs/volumes.md against what happens. A row of the
// table that nothing makes here fails, and so does one here that the table lacks.
func TestWhatIsKept(t *testing.T) {
	columns, rows := readTable(t)
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: not root: the table is of agents that are")
	}
	lab := newLab(t)
	made := map[string]bool{}
	for _, p := range properties {
		made[p.name] = true
		cells, there := rows[p.name]
		if !there {
			t.Errorf("docs/volumes.md has no row %q", p.name)
			continue
		}
		for i, column := range columns {
			t.Run(p.name+"/"+column, func(t *testing.T) { lab.try(t, p, column, cells[i]) })
		}
	}
	for name := range rows {
		if !made[name] {
			t.Errorf("row %q of docs/volumes.md has no test, and does not count", name)
		}
	}
}

// readTable returns the columns and the cells of each row.
func readTable(t *testing.T) (columns []string, rows map[string][]string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("testdata", "volumes.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows = map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 || strings.HasPrefix(cells[0], "---") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if columns == nil {
			columns = cells[1:]
			continue
		}
		if len(cells) != len(columns)+1 {
			t.Fatalf("row %q has %d cells", cells[0], len(cells))
		}
		rows[cells[0]] = cells[1:]
	}
	return columns, rows
}

// A lab has a way to carry a tree for each column of the table.
type lab struct {
	dirs, btrfs, zfs []*Node
	user             *userNode
	// carried is what other programs have not kept, by their columns and the properties.
	carried map[string]map[string][]string
}

func newLab(t *testing.T) *lab {
	l := &lab{carried: map[string]map[string][]string{}}
	for _, n := range nodes(t) {
		switch n.Kind() {
		case "dir":
			l.dirs = append(l.dirs, n)
		case "btrfs":
			l.btrfs = append(l.btrfs, n)
		case "zfs":
			l.zfs = append(l.zfs, n)
		}
	}
	l.user = &userNode{root: filepath.Join(l.dirs[0].Dir, "of-a-user")}
	return l
}

// try carries a property by the way of a column and holds what comes of it against the cell.
func (l *lab) try(t *testing.T, p property, column, cell string) {
	if cell == "-" {
		return
	}
	switch column {
	case "dir":
		// Where a property wants btrfs below, that is there.
		l.move(t, p, cell, l.dirs[2], l.dirs[0])
	case "btrfs":
		l.move(t, p, cell, l.btrfs[0], l.btrfs[1])
	case "zfs":
		if len(l.zfs) == 0 {
			t.Skip("CANNOT RUN here: no ZFS in this kernel; make test-zfs runs it in a virtual host")
		}
		l.move(t, p, cell, l.zfs[0], l.zfs[1])
	case "between kinds":
		if p.onXFS {
			l.move(t, p, cell, l.btrfs[0], l.dirs[1])
			return
		}
		l.move(t, p, cell, l.btrfs[0], l.dirs[0])
		if !p.ofBtrfs {
			l.move(t, p, cell, l.dirs[0], l.btrfs[0])
		}
		if len(l.zfs) > 0 && !p.ofBtrfs {
			l.move(t, p, cell, l.zfs[0], l.btrfs[0])
			l.move(t, p, cell, l.btrfs[0], l.zfs[0])
		}
	case "not root":
		l.toUser(t, p, cell)
	case "rsync":
		l.copy(t, p, column, cell)
	case "restic":
		if _, err := exec.LookPath("restic"); err != nil {
			t.Skipf("CANNOT RUN: %v", err)
		}
		l.copy(t, p, column, cell)
	default:
		t.Fatalf("nobody knows how to try column %q", column)
	}
}

// move moves a volume that holds the property.
func (l *lab) move(t *testing.T, p property, cell string, from, to *Node) {
	t.Helper()
	ctx, id := t.Context(), cluster.VolumeID(cluster.NewUUID())
	path := plant(t, from, id)
	defer l.clear(t, id, from, to)
	p.plant(t, path)
	want := look(t, path)
	d := volume.Delta{Volume: id, To: "round", Files: from.Kind() != to.Kind()}
	err := ship(t, from, to, d)
	if cell == "refused" {
		refused(t, p, err)
		if wrong := want.Differences(look(t, path)); len(wrong) > 0 {
			t.Errorf("a refusal has changed the source: %v", wrong)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s to %s: %v", from.Name, to.Name, err)
	}
	if err := from.Backend.Close(ctx, id); err != nil {
		t.Fatal(err)
	}
	d.From, d.To = "round", "final"
	if err := ship(t, from, to, d); err != nil {
		t.Fatal(err)
	}
	held, err := volume.Find(ctx, to.Backend, id)
	if err != nil {
		t.Fatal(err)
	}
	at, err := to.Backend.Open(ctx, id, 2, held.Head)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := want.Differences(look(t, at)); len(wrong) > 0 {
		t.Errorf("%s to %s: not kept:\n%s", from.Name, to.Name, strings.Join(wrong, "\n"))
	}
}

// ship makes a snapshot and ships it.
func ship(t *testing.T, from, to *Node, d volume.Delta) error {
	t.Helper()
	if _, err := from.Backend.Snapshot(t.Context(), d.Volume, d.To, false); err != nil {
		return err
	}
	var stream bytes.Buffer
	if err := from.Backend.Send(t.Context(), d, &stream); err != nil {
		return err
	}
	return to.Backend.Receive(t.Context(), d, &stream)
}

// refused: by a kind of error that nobody tries again, and with the name.
func refused(t *testing.T, p property, err error) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("it was taken, not refused")
	case !errors.Is(err, cluster.ErrUnsupported) && !errors.Is(err, cluster.ErrRefused) && !errors.Is(err, cluster.ErrForbidden):
		t.Errorf("it was refused by an error that is tried again: %v", err)
	case !strings.Contains(err.Error(), p.file):
		t.Errorf("the refusal does not name %s: %v", p.file, err)
	}
}

func (l *lab) clear(t *testing.T, id cluster.VolumeID, all ...*Node) {
	t.Helper()
	tr := Trial{Path: all, id: id, ctx: t.Context()}
	for _, n := range all {
		unmountBelow(n.Backend.Path(id))
	}
	if err := tr.clean(); err != nil {
		t.Errorf("clean up: %v", err)
	}
}

// copy holds a cell of another program against what it has carried. All properties go at once, each in
// a directory of its own.
func (l *lab) copy(t *testing.T, p property, column, cell string) {
	t.Helper()
	if l.carried[column] == nil {
		l.carry(t, column)
	}
	wrong, there := l.carried[column][p.name]
	switch got := map[bool]string{true: "kept", false: "lost"}[len(wrong) == 0]; {
	case !there:
		t.Errorf("%s was not tried", column)
	case got != cell:
		t.Errorf("%s, not %s: %v", got, cell, wrong)
	}
}

// carry has another program copy all properties, and notes what of each was not kept.
func (l *lab) carry(t *testing.T, column string) {
	t.Helper()
	from, to := filepath.Join(l.dirs[2].Dir, "tree"), filepath.Join(l.dirs[0].Dir, "tree")
	wants := map[string]View{}
	if err := errors.Join(os.Mkdir(from, 0o755), os.Mkdir(to, 0o755)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		unmountBelow(from)
		if err := errors.Join(removeAll(from), removeAll(to)); err != nil {
			t.Error(err)
		}
	}()
	for n, p := range properties {
		at := filepath.Join(from, fmt.Sprint(n))
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		p.plant(t, at)
		wants[at] = look(t, at)
	}
	var err error
	if column == "rsync" {
		err = run("rsync", "-aHAXS", "--modify-window=-1", from+"/", to+"/")
	} else {
		err = restic(from, to)
	}
	t.Logf("%s: %v", column, err) // what could not be copied is missing, and seen below
	l.carried[column] = map[string][]string{}
	for n, p := range properties {
		got, err := Look(filepath.Join(to, fmt.Sprint(n)))
		if err != nil {
			l.carried[column][p.name] = []string{err.Error()}
			continue
		}
		l.carried[column][p.name] = wants[filepath.Join(from, fmt.Sprint(n))].Differences(got)
	}
}

func restic(from, to string) error {
	repository, err := os.MkdirTemp("", "restic-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(repository)
	script := fmt.Sprintf(`export RESTIC_PASSWORD=x RESTIC_REPOSITORY=%s RESTIC_CACHE_DIR=%[1]s/cache; restic -q init && cd %s || exit
		restic -q backup %s; restic -q restore latest --target %s`, repository, filepath.Dir(from), filepath.Base(from), filepath.Dir(to))
	return run("sh", "-c", script)
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// removeAll removes a tree whose files may be protected.
func removeAll(path string) error {
	err := filepath.WalkDir(path, func(path string, d os.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) {
			_ = setFlags(path, 0) // where there are flags at all
		}
		return nil
	})
	return errors.Join(err, os.RemoveAll(path))
}

// unmountBelow takes away what was mounted below a directory, the last first.
func unmountBelow(path string) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	var below []string
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], path+"/") {
			below = append(below, fields[1])
		}
	}
	for _, at := range slices.Backward(below) {
		_ = run("umount", at) // a leftover shows when the file system goes
	}
}
