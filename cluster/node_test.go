package cluster

import "testing"

// TestAnAddressMayBeWrittenInSeveralWays: that makes no other host of it.
func TestAnAddressMayBeWrittenInSeveralWays(t *testing.T) {
	was := Node{Address: "fd00::1"}
	for address, elsewhere := range map[string]bool{"FD00::1": false, "fd00:0::1": false, "fd00::2": true, "host-a": true} {
		if got := (Node{Address: address}).Elsewhere(was); got != elsewhere {
			t.Errorf("%s is elsewhere than %s: %t", address, was.Address, got)
		}
	}
}
