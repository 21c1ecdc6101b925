package suggest

import "testing"

func TestNearest(t *testing.T) {
	for key, want := range map[string]string{
		"prots": "ports", "port": "ports", "Ports": "ports", "imgae": "image", "enviroment": "environment",
		"env": "", "": "", "x": "", "privileged": "", "userr": "user", "mem-limit": "mem_limit",
	} {
		if got := Word(key, []string{"environment", "image", "mem_limit", "ports", "user", "volume"}); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "axc", 1}, {"abc", "bc", 1}, {"abc", "acb", 2},
		{"kitten", "sitting", 3}, {"long and longer", "x", 14},
	} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("%q %q: got %d, want %d", row.a, row.b, got, row.want)
		}
	}
}
