package zfs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
)

const someID cluster.VolumeID = "886e1f3c-4f57-4f0d-9e5c-6e2f8b1a2c3d"

// inside reports why a name is not one of a dataset right below root, as ZFS and its programs read it.
func inside(root, name string) error {
	part, below := strings.CutPrefix(name, root+"/")
	switch {
	case !below:
		return errors.New("it is not below the root")
	case part == "" || len(part) > 100:
		return fmt.Errorf("it has %d bytes", len(part))
	case strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
		return errors.New("ZFS or its programs mean something by a character of it")
	case part[0] == '.' || part[0] == '-':
		return errors.New("it begins like a directory's or an option's")
	}
	return nil
}

// TestNoNameLeavesTheRoot: whatever a volume is called, its dataset is right below Drover's own.
func TestNoNameLeavesTheRoot(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../home", "a/../../home", "/", "a/b", "a@b", "a#b", "a%b", "a b", "-r", "-o=x", "a,b", "a\x00b", "a\nb",
		"drover:trash", "ünï", strings.Repeat("a", 5000), "\xff"} {
		for attempt := range 4 {
			if err := inside("tank/drover", datasetName("tank/drover", someID, name, attempt)); err != nil {
				t.Errorf("%q makes %q: %v", name, datasetName("tank/drover", someID, name, attempt), err)
			}
		}
		if got := datasetName("tank/drover", someID, name, 0); got != "tank/drover/"+string(someID) {
			t.Errorf("%q makes %q, want the volume's id", name, got)
		}
	}
	for attempt, want := range []string{"tank/drover/pgdata", "tank/drover/pgdata-886e1f3c", "tank/drover/pgdata-886e1f3c-2"} {
		if got := datasetName("tank/drover", someID, "pgdata", attempt); got != want {
			t.Errorf("attempt %d makes %q, want %q", attempt, got, want)
		}
	}
}

// TestNoSettingIsAnotherOne: a setting sets what it says, or is refused.
func TestNoSettingIsAnotherOne(t *testing.T) {
	for name, value := range map[string]string{"mountpoint": "/etc", "mountpoint=/etc #": "x", "rdonly": "on", "readonly": "on", "drover:volume": "x", "": "x",
		"-o": "x", "a b": "x", "Mountpoint": "x", "userquota@joe": "1", "compression": "lz4\nx", "org.example:tier": "a\tb", "org.example:note": strings.Repeat("x", 5000)} {
		if err := checkSetting(name, value); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%q=%.20q: got %v, want ErrInvalid", name, value, err)
		}
	}
	for name, value := range map[string]string{"compression": "zstd-3", "org.example:tier": "gold, or silver", "recordsize": "16K"} {
		if err := checkSetting(name, value); err != nil {
			t.Errorf("%q=%q: %v", name, value, err)
		}
	}
	if got := label("a\tb\nc\x00d\xffe" + strings.Repeat("f", 1000)); len(got) > 2*maxLabel || strings.ContainsFunc(got, unprintable) {
		t.Errorf("a label became %q", got)
	}
}

// FuzzNames: no name, id or attempt makes a dataset outside of Drover's own, and what is put away stays
// in the trash.
func FuzzNames(f *testing.F) {
	f.Add("pgdata", 0)
	f.Add("../home", 1)
	f.Add(strings.Repeat("x", 300), 7)
	f.Fuzz(func(t *testing.T, name string, attempt int) {
		made := datasetName("tank/drover", someID, name, attempt)
		if err := inside("tank/drover", made); err != nil {
			t.Errorf("%q makes %q: %v", name, made, err)
		}
		if err := inside("tank/drover/drover:trash", trashName("tank/drover/drover:trash", made, removed, "20261125T101500.000")); err != nil {
			t.Errorf("%q is put away elsewhere: %v", name, err)
		}
		if strings.ContainsFunc(label(name), unprintable) {
			t.Errorf("label %q", label(name))
		}
		if checkSetting(name, name) == nil && strings.ContainsAny(name, "= \t\n") {
			t.Errorf("setting %q", name)
		}
	})
}
