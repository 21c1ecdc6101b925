package inuse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBelow(t *testing.T) {
	for _, row := range []struct {
		path, dir, rest string
		ok              bool
	}{
		{"/a/b", "/a", "/b", true}, {"/a", "/a", "", true}, {"/ab", "/a", "", false}, {"/a/b", "/", "a/b", true},
		{"/", "/", "", true}, {"/a", "/a/b", "", false}, {"", "/", "", false},
	} {
		if rest, ok := below(row.path, row.dir); rest != row.rest || ok != row.ok {
			t.Errorf("%s below %s: %q, %t", row.path, row.dir, rest, ok)
		}
	}
	if got := unescape(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("unescaped to %q", got)
	}
}

func TestParseMapping(t *testing.T) {
	m, ok := parseMapping("00400000-00401000 rw-s 00001000 fe:10 42                         /a b (deleted)\n")
	if want := (mapping{"400000-401000", true, "254:16", "/a b (deleted)"}); !ok || m != want {
		t.Errorf("read %+v, %t", m, ok)
	}
	for _, line := range []string{"", "7f-80 rw-p 0 00:00 0 \n", "7f-80 rw-p 0 00:00 0 [heap]\n", "7f-80 rw-s 0 0 5 /a", "7f rw-s 0 0:0 5 /a"} {
		if m, ok := parseMapping(line); ok {
			t.Errorf("%q reads as %+v", line, m)
		}
	}
}

// The kernel writes what is parsed here, but names in it are made by whoever makes files.

func FuzzMounts(f *testing.F) {
	own, _ := os.ReadFile("/proc/self/mountinfo") // only a seed
	f.Add(string(own[:min(len(own), 1000)]), "/")
	f.Add(`36 35 98:0 /mnt1 /m\040nt2 rw,noatime master:1 - ext3 /dev/root rw`, "/jail")
	f.Fuzz(func(t *testing.T, text, root string) {
		for _, m := range parseMounts(text, "/"+root) {
			if m.id < 0 || !filepath.IsAbs(m.at) {
				t.Errorf("%q reads as %+v", text, m)
			}
			m.inside("/" + root)
		}
	})
}

func FuzzDescriptor(f *testing.F) {
	f.Add("pos:\t0\nflags:\t0100002\nmnt_id:\t27\nino:\t12\n")
	f.Fuzz(func(t *testing.T, text string) {
		if mount, _ := parseDescriptor(text); mount < -1 {
			t.Errorf("%q is of mount %d", text, mount)
		}
	})
}

func FuzzMapping(f *testing.F) {
	f.Add("7f2a-7f2b rw-s 00000000 fe:00 123 /a\\012b\n")
	f.Fuzz(func(t *testing.T, line string) {
		m, ok := parseMapping(line)
		if ok && (m.pages == "" || !strings.HasPrefix(m.path, "/")) {
			t.Errorf("%q reads as %+v", line, m)
		}
		if ok && line == strings.Join(strings.Fields(line), " ") && m.writes != mayWrite(line) {
			t.Errorf("%q: a quick look says %t", line, mayWrite(line))
		}
	})
}
