package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestErrorsFitIntoATrailer(t *testing.T) {
	err := cluster.WithHint(fmt.Errorf("read: %w: a line\nand \x7f, \"quotes\", 50%% é", cluster.ErrUnavailable), "wait")
	value := EncodeTrailer(err)
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		t.Errorf("%q is no value for a header", value)
	}
	back := DecodeTrailer(value)
	if back == nil || back.Error() != cluster.Message(err) || !errors.Is(back, cluster.ErrUnavailable) || cluster.Hint(back) != "wait" {
		t.Errorf("decoded as %v with hint %q", back, cluster.Hint(back))
	}
	if err := DecodeTrailer(EncodeTrailer(errors.New("disk full"))); err == nil || err.Error() != "disk full" {
		t.Errorf("without a kind: %v", err)
	}
	if err := DecodeTrailer(""); err != nil {
		t.Errorf("none: %v", err)
	}
	for _, broken := range []string{"%", "x", "{}", "null"} {
		if err := DecodeTrailer(broken); err == nil {
			t.Errorf("%q is taken for the end", broken)
		}
	}
}
