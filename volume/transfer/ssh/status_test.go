package ssh

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestStatusWrapsNothing(t *testing.T) {
	if status(nil) != nil {
		t.Error("no error made a status")
	}
	for _, err := range []error{io.EOF, fs.ErrNotExist, syscall.ENOSPC, fmt.Errorf("a: %w", cluster.ErrRefused)} {
		if got := status(err); errors.Unwrap(got) != nil || errors.Is(got, err) {
			t.Errorf("%v is still in %v: its code would cross without its text", err, got)
		}
	}
}

func TestStatusTellsOneKind(t *testing.T) {
	both := errors.Join(fmt.Errorf("%w: a", cluster.ErrNotFound), fmt.Errorf("%w: b", cluster.ErrRefused))
	want := status(both).Error()
	for range 20 {
		if got := status(both).Error(); got != want {
			t.Fatalf("got %q, and before %q", got, want)
		}
	}
}

func TestAnsweredKnowsWhatIsNoAnswer(t *testing.T) {
	for _, err := range []error{nil, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, errors.New("ssh: disconnect")} {
		if got := answered(err); got != nil {
			t.Errorf("%v was taken for an answer of the other side: %v", err, got)
		}
	}
	if err := answered(fmt.Errorf("open: %w", fs.ErrNotExist)); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := answered(fs.ErrPermission); !errors.Is(err, cluster.ErrForbidden) {
		t.Errorf("got %v, want ErrForbidden", err)
	}
}
