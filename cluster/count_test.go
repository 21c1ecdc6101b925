package cluster

import "testing"

func TestOneIsNotMany(t *testing.T) {
	for want, got := range map[string]string{
		"1 volume":  Count(1, "volume"),
		"0 volumes": Count(0, "volume"),
		"2 volumes": Count(2, "volume"),
		"1 copy":    Count(1, "copy"),
		"2 copies":  Count(2, "copy"),
		"7 days":    Count(7, "day"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
