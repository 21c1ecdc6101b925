package cluster

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// TestEveryNameHasARule puts one thing that is no name into each place of a configuration that holds
// one: all are refused by their path, and what is said of them does nothing to a terminal.
func TestEveryNameHasARule(t *testing.T) {
	noNames := map[string]string{
		"a way out":         "../../escape",
		"a path":            "/etc/passwd",
		"a zero byte":       "a\x00b",
		"an escape":         "a\x1b[31mb",
		"a line end":        "a\nb",
		"no text":           "a\xffb",
		"longer than names": strings.Repeat("a", 5000),
		"a space":           "a b",
		"an option":         "-rf",
		"a snapshot":        "a@b",
	}
	volume := func(change func(v *Volume, name string)) func(*Configuration, string) {
		return func(c *Configuration, name string) { changeVolume(c, func(v *Volume) { change(v, name) }) }
	}
	application := func(change func(a *Application, name string)) func(*Configuration, string) {
		return func(c *Configuration, name string) {
			app := c.Applications["db"]
			change(&app, name)
			c.Applications["db"] = app
		}
	}
	for _, row := range []struct {
		place, path string
		put         func(*Configuration, string)
		takes       []string // of the above
	}{
		{"an application", "applications.", func(c *Configuration, name string) {
			c.Applications[AppName(name)] = Application{Name: AppName(name), Image: "x"}
		}, nil},
		{"a volume", "volumes." + string(someID) + ".name", volume(func(v *Volume, name string) { v.Name = name }), nil},
		{"a volume's id", "volumes.", func(c *Configuration, name string) { c.Volumes[VolumeID(name)] = Volume{ID: VolumeID(name)} }, nil},
		{"a snapshot", "volumes." + string(someID) + ".snapshots[0]", volume(func(v *Volume, name string) {
			v.Snapshots = []SnapshotRequest{{Name: SnapshotName(name), Epoch: 1}}
		}), nil},
		{"a snapshot to go back to", "volumes." + string(someID) + ".rollback.snapshot", volume(func(v *Volume, name string) {
			v.Rollback = &RollbackRequest{Snapshot: SnapshotName(name)}
		}), nil},
		{"the snapshot of an origin", "volumes." + string(someID) + ".origin.snapshot", volume(func(v *Volume, name string) {
			v.Origin = &Origin{Volume: otherID, Snapshot: SnapshotName(name)}
		}), nil},
		{"the volume of an origin", "volumes." + string(someID) + ".origin.volume", volume(func(v *Volume, name string) {
			v.Origin = &Origin{Volume: VolumeID(name)}
		}), nil},
		{"what is adopted", "volumes." + string(someID) + ".origin.adopt", volume(func(v *Volume, name string) {
			v.Origin = &Origin{Adopt: name}
		}), []string{"a way out", "a path", "a space", "an option", "a snapshot"}}, // its backend looks again
		{"a profile", "volumes." + string(someID) + ".profile", volume(func(v *Volume, name string) { v.Profile = name }), nil},
		{"an option", "volumes." + string(someID) + ".options.", volume(func(v *Volume, name string) {
			v.Options = map[string]string{"zfs." + name: "1"}
		}), []string{"an option"}},
		{"the value of an option", "volumes." + string(someID) + ".options.zfs.x", volume(func(v *Volume, name string) {
			v.Options = map[string]string{"zfs.x": name}
		}), []string{"a way out", "a path", "a space", "an option", "a snapshot"}},
		{"a label, of which Flocker took any text", "volumes." + string(someID) + ".metadata", volume(func(v *Volume, name string) {
			v.Metadata = map[string]string{name: "1"}
		}), []string{"a way out", "a path", "a zero byte", "an escape", "a line end", "a space", "an option", "a snapshot"}},
		{"the text of a label", "volumes." + string(someID) + ".metadata.team", volume(func(v *Volume, name string) {
			v.Metadata = map[string]string{"team": name}
		}), []string{"a way out", "a path", "a zero byte", "an escape", "a line end", "a space", "an option", "a snapshot"}},
		{"an image", "applications.db.image", application(func(a *Application, name string) { a.Image = name }), []string{"a snapshot"}},
		{"the alias of a link", "applications.db.links[0].alias", application(func(a *Application, name string) {
			a.Links = []Link{{1, 2, name}}
		}), []string{"longer than names"}},
	} {
		for kind, name := range noNames {
			c := fullConfiguration()
			row.put(&c, name)
			problems := c.Validate()
			taken := true
			for _, p := range problems {
				taken = taken && !strings.HasPrefix(p.Path, row.path)
				if strings.ContainsFunc(p.String(), unicode.IsControl) {
					t.Errorf("%s as the name of %s: %q would act on a terminal", kind, row.place, p)
				}
				if len(p.String()) > 500 {
					t.Errorf("%s as the name of %s: what is said of it has %d bytes", kind, row.place, len(p.String()))
				}
			}
			may := false
			for _, allowed := range row.takes {
				may = may || allowed == kind
			}
			if taken != may {
				t.Errorf("%s as the name of %s: taken %t, want %t: %q", kind, row.place, taken, may, problems)
			}
		}
	}
}

// TestAVolumeIsNotCalledLikeAnother by its id: whoever asks for one of them would get either.
func TestAVolumeIsNotCalledLikeAnother(t *testing.T) {
	c := fullConfiguration()
	c.Volumes[otherID] = Volume{ID: otherID, Name: string(someID)}
	wantProblems(t, c, "volumes."+string(otherID)+`.name: "`+string(someID)+`" is the id of another volume`)
	c.Volumes[otherID] = Volume{ID: otherID, Name: string(otherID)}
	wantProblems(t, c)
}

func TestNodesAreHeldToTheRules(t *testing.T) {
	good := Node{ID: "a", Name: "node-a", Address: "10.0.0.1", Labels: map[string]string{"rack": "7"}}
	if err := good.Validate().Err(); err != nil {
		t.Error(err)
	}
	for path, change := range map[string]func(*Node){
		"id":      func(n *Node) { n.ID = "../a" },
		"name":    func(n *Node) { n.Name = "a\x1b[2J" },
		"address": func(n *Node) { n.Address = "10.0.0.1\n" },
		"version": func(n *Node) { n.Version = strings.Repeat("1", 999) },
		"labels":  func(n *Node) { n.Labels = map[string]string{"": "1"} },
	} {
		n := good
		change(&n)
		if err := n.Validate(); len(err) != 1 || err[0].Path != path || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %q", path, err)
		}
	}
}

func TestShown(t *testing.T) {
	for _, row := range []struct{ text, shown, printable string }{
		{"db", `"db"`, "db"},
		{"a b", `"a b"`, "a b"},
		{"ü", `"ü"`, "ü"},
		{"\x1b[31m", `"\x1b[31m"`, `"\x1b[31m"`},
		{"a\nb", `"a\nb"`, `"a\nb"`},
		{strings.Repeat("a", 61), `"` + strings.Repeat("a", 60) + `"...`, strings.Repeat("a", 61)},
	} {
		if got := Shown(row.text); got != row.shown {
			t.Errorf("%q is shown as %s, want %s", row.text, got, row.shown)
		}
		if got := Printable(row.text); got != row.printable {
			t.Errorf("%q is printed as %s, want %s", row.text, got, row.printable)
		}
	}
}

func TestNamed(t *testing.T) {
	id := string(someID)
	for _, row := range []struct{ rule, text, want string }{
		{"a word", "volume " + id + ": is gone", "volume db: is gone"},
		{"a difference", "send " + id + "@a..b to c: cut", "send db@a..b to c: cut"},
		{"twice, and the end of a sentence", id + " is not " + id + ".", "db is not db."},
		{"in quotes", `"` + id + `"`, `"db"`},
		{"a path stays one", "open /volumes/" + id + "/data/f: no such file", "open /volumes/" + id + "/data/f: no such file"},
		{"a dataset stays one", "tank/drover/" + id + "@a", "tank/drover/" + id + "@a"},
		{"what it is kept as stays", "kept as " + id + ".diverged-1", "kept as " + id + ".diverged-1"},
		{"part of a word", "x" + id, "x" + id},
		{"one that is not known", string(otherID), string(otherID)},
		{"none", "nothing", "nothing"},
	} {
		if got := Named(row.text, map[VolumeID]string{someID: "db"}); got != row.want {
			t.Errorf("%s: got %q, want %q", row.rule, got, row.want)
		}
	}
}

// FuzzNames: a valid name is safe as a file name, and what is said of any other does nothing to a
// terminal.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"db", "../x", "a\x00", "a\x1b[0m", "zfs.x", "host:5000/x:1", strings.Repeat("a", 129)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ValidName(s) && (filepath.Base(s) != s || filepath.Clean(s) != s || len(s) > 128 || s[0] == '.' || s[0] == '-') {
			t.Errorf("%q is a valid name", s)
		}
		if shown := Shown(s) + Printable(s); strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", s, shown)
		}
		c := Configuration{
			Applications: map[AppName]Application{AppName(s): {Name: AppName(s), Image: s, Links: []Link{{1, 2, s}}}},
			Volumes:      map[VolumeID]Volume{VolumeID(s): {ID: VolumeID(s), Name: s, Profile: s, Options: map[string]string{s: s}, Metadata: map[string]string{s: s}}},
		}
		for _, p := range c.Validate() {
			if strings.ContainsFunc(p.String(), unicode.IsControl) {
				t.Errorf("%q would act on a terminal", p)
			}
		}
	})
}
