package debian

import (
	"os"
	"testing"
)

func TestMirror(t *testing.T) {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		t.Skip("CANNOT RUN: this machine has no Debian: ", err)
	}
	url, suite, err := Mirror(t.Context())
	if err != nil || url == "" || suite == "" {
		t.Errorf("the mirror is %q with %q, %v", url, suite, err)
	}
}
