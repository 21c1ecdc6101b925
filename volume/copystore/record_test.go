package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/test/harness/powercut"
)

// TestNoRecordIsLostWithThePower: each change that was told done is so after a cut right then, on
// every file system.
func TestNoRecordIsLostWithThePower(t *testing.T) {
	type place struct {
		r *Root
		c *Copy
	}
	for name, test := range map[string]struct {
		last  func(p place) error
		check func(t *testing.T, p place)
	}{
		"open": {func(p place) error { return p.c.Opened(2) },
			func(t *testing.T, p place) { wantRecord(t, p.c, cluster.Primary, 2, true) }},
		// What is synced of one copy takes the names of another to the disk, but not their content.
		"close, which may be forgotten": {func(p place) error {
			err := errors.Join(p.c.Opened(1), p.r.Close(p.c.ID))
			_, addErr := p.r.Add(cluster.VolumeID(cluster.NewUUID()), Record{Role: cluster.Primary}, makeData)
			return errors.Join(err, addErr)
		},
			func(t *testing.T, p place) { wantRecord(t, p.c, cluster.Primary, 1, p.c != nil && p.c.Record().Open) }},
		"close and snapshot": {func(p place) error {
			return errors.Join(p.c.Opened(1), p.r.Close(p.c.ID), p.c.Update(func(r *Record) { r.Add(cluster.Snapshot{Name: "s"}) }))
		}, func(t *testing.T, p place) { wantRecord(t, p.c, cluster.Primary, 1, false) }},
		"snapshot and demote": {func(p place) error {
			return errors.Join(p.c.Update(func(r *Record) { r.Add(cluster.Snapshot{Name: "s", GUID: "g"}) }), p.c.Demote(3))
		}, func(t *testing.T, p place) { wantRecord(t, p.c, cluster.Replica, 3, false) }},
		"remove": {func(p place) error { return p.r.Remove(p.c.ID) },
			func(t *testing.T, p place) {
				if trash, err := p.r.Trash(); err != nil || p.c != nil || len(trash) != 1 || trash[0].Role != cluster.Primary {
					t.Errorf("the trash holds %+v, %v; the copy is %v", trash, err, p.c)
				}
			}},
		"restore": {func(p place) error { return errors.Join(p.r.Remove(p.c.ID), p.r.Restore(p.c.ID, 1)) },
			func(t *testing.T, p place) { wantRecord(t, p.c, cluster.Primary, 1, false) }},
	} {
		t.Run(name, func(t *testing.T) {
			powercut.Each(t, func(t *testing.T, kind string) {
				var id cluster.VolumeID
				powercut.Run(t, kind, func(dir string) {
					r, err := Open(filepath.Join(dir, "volumes"), Options{}, Kind{})
					if err != nil {
						t.Fatal(err)
					}
					c := add(t, r)
					id = c.ID
					if err := errors.Join(test.last(place{r, c}), r.Shut()); err != nil {
						t.Fatal(err)
					}
				}, func(dir string) {
					r, err := Open(filepath.Join(dir, "volumes"), Options{}, Kind{})
					if err != nil {
						t.Fatal(err)
					}
					defer r.Shut()
					c, _ := r.Find(id)
					test.check(t, place{r, c})
				})
			})
		})
	}
}

func wantRecord(t *testing.T, c *Copy, role cluster.Role, epoch cluster.Epoch, open bool) {
	t.Helper()
	if c == nil {
		t.Fatal("there is no copy")
	}
	if r := c.Record(); r.Role != role || r.Epoch != epoch || r.Open != open {
		t.Errorf("the record is %+v; want %s, epoch %d, open %v", r, role, epoch, open)
	}
}

// TestARecordThatSaysNothingIsSaid: it is never taken for no copy.
func TestARecordThatSaysNothingIsSaid(t *testing.T) {
	for content, want := range map[string]string{
		"":                     "copy.json is empty",
		"\x00\x00\x00":         "copy.json is empty",
		`{"role": "primary`:    "copy.json is cut short",
		`{"epoch": 4}`:         "copy.json is damaged",
		`{"role": "primary"}x`: "copy.json is not readable",
	} {
		path := t.TempDir()
		r := open(t, path, Options{})
		c := add(t, r)
		overwrite(t, c, content)
		for _, r := range []*Root{r, reopen(t, r)} {
			if all := r.All(); len(all) != 1 || !strings.Contains(all[0].State().Warning, want) {
				t.Errorf("%q is listed as %+v, want %q", content, all[0].State(), want)
			}
			if _, err := r.Find(c.ID); !errors.Is(err, cluster.ErrConflict) || !errors.Is(err, ErrBroken) || cluster.Hint(err) == "" {
				t.Errorf("%q: got %v, hint %q; want ErrConflict", content, err, cluster.Hint(err))
			}
			if _, err := r.Add(c.ID, Record{}, func(*Copy) error { return nil }); !errors.Is(err, cluster.ErrExists) {
				t.Errorf("%q was written over: %v", content, err)
			}
		}
	}
}

func reopen(t *testing.T, r *Root) *Root {
	t.Helper()
	if err := r.Shut(); err != nil {
		t.Fatal(err)
	}
	return open(t, r.path, r.o)
}

func overwrite(t *testing.T, c *Copy, record string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.Dir, recordName), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNoTimeBreaksARecord, whatever clock it is from.
func TestNoTimeBreaksARecord(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := add(t, r)
	for _, when := range []time.Time{time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("odd", 30*3600)), time.Unix(1<<60, 0), {}} {
		err := c.Update(func(r *Record) {
			r.Changed = when
			r.Add(cluster.Snapshot{Name: "s", GUID: "g", Created: when})
		})
		if err != nil {
			t.Errorf("%v: %v", when.Unix(), err)
		}
	}
	if _, err := reopen(t, r).Find(c.ID); err != nil {
		t.Error(err)
	}
}

// FuzzRecord: what a crash or an operator leaves is a record, written back the same, or damaged.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"role": "primary", "epoch": 3, "snapshots": [{"name": "s", "guid": "g"}], "witness": {"inode": 5, "names": ["base"]}}`))
	f.Add([]byte(`{"role": "replica", "changed": "9999-12-31T23:59:59.999999999Z", "transit": {"token": "x"}}`))
	f.Add([]byte(``))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			if !errors.Is(err, durable.ErrDamaged) {
				t.Errorf("%q: %v is not ErrDamaged", b, err)
			}
			return
		}
		text, err := r.text()
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", b, err)
		}
		again, err := parseRecord(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		once, _ := again.text()
		if string(once) != string(text) || again.Role != r.Role || again.Epoch != r.Epoch || !reflect.DeepEqual(again.Transit, r.Transit) {
			t.Errorf("%q became %q", text, once)
		}
	})
}

// FuzzTrashName: only names that are ours are taken apart, and nothing else is purged.
func FuzzTrashName(f *testing.F) {
	f.Add("2f781d37-c0a1-4339-a147-e4e1a897f7ae.removed@20260102T150405.000Z")
	f.Add("../x.removed@20260102T150405.000Z")
	f.Add("lost+found")
	f.Fuzz(func(t *testing.T, name string) {
		d, ours := parseDiscard(name)
		if ours && (d.String() != name || !cluster.IsUUID(string(d.id)) || d.why == "") {
			t.Errorf("%q was read as %+v", name, d)
		}
	})
}
