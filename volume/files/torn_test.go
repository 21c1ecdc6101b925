package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// listOf is an access list with one user more, and a mask.
func listOf(mask uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{0x01, 6, 1<<32 - 1}, {0x02, 7, 1234}, {0x04, 4, 1<<32 - 1}, {0x10, uint32(mask), 1<<32 - 1}, {0x20, 0, 1<<32 - 1}} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return b
}

// A meddler is a stream in the middle of which something happens.
type meddler struct {
	*bytes.Buffer
	do func()
}

func (m *meddler) Write(b []byte) (int, error) {
	if m.do != nil && m.Len() > 1<<20 {
		m.do()
		m.do = nil
	}
	return m.Buffer.Write(b)
}

// TestWhatChangesWhileItIsListedIsNoChangeFromOutside: a program changes a name between the look at it
// and the look at its attributes. What arrives is what its listing says all the same, also when another
// name of it has stamped it since.
func TestWhatChangesWhileItIsListedIsNoChangeFromOutside(t *testing.T) {
	set := func(list string, mask uint16) func(string) error {
		return func(path string) error { return unix.Setxattr(path, list, listOf(mask), 0) }
	}
	mode := func(mode uint32) func(string) error {
		return func(path string) error { return unix.Chmod(path, mode) }
	}
	for _, row := range []struct {
		rule         string
		before, then func(path string) error
	}{
		{"a mode beneath an access list", set(accessList, 7), mode(0o600)},
		{"a mode with special bits", set(accessList, 7), mode(0o4755)},
		{"an access list that is new", mode(0o640), set(accessList, 7)},
		{"another access list", set(accessList, 1), set(accessList, 6)},
		{"an access list that goes", set(accessList, 7), func(path string) error { return unix.Removexattr(path, accessList) }},
		{"an owner", set(accessList, 7), func(path string) error { return os.Lchown(path, os.Getuid(), os.Getgid()) }},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := newStage(t)
			noise := make([]byte, 4<<20)
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			s.write("a", string(noise))
			b := filepath.Join(s.src, "b")
			s.must(unix.Mkfifo(b, 0o640))
			s.must(row.before(b))
			s.must(os.Link(b, filepath.Join(s.src, "c")))
			first := meddler{Buffer: &s.stream, do: func() { s.must(row.then(b)) }}
			save := s.next + "-first"
			_, err := Send(t.Context(), Shipment{Root: s.src, Snapshot: cluster.Snapshot{Name: "s"}, Save: save}, &first)
			s.must(err)
			if first.do != nil {
				t.Fatal("nothing has happened meanwhile")
			}
			s.ours = save
			_, err = s.receive()
			s.must(err)
			for range 2 {
				s.round()
			}
			s.looksAlike("b")
		})
	}
}

// TestAttributesThatComeAndGoAreListed: a program sets and removes one all the time.
func TestAttributesThatComeAndGoAreListed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), unix.Setxattr(path, "user.stays", nil, 0)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var program sync.WaitGroup
	program.Go(func() {
		for ctx.Err() == nil {
			_ = unix.Setxattr(path, "user.comes and goes", []byte("x"), 0) // the file systems of tests have them
			_ = unix.Removexattr(path, "user.comes and goes")
		}
	})
	defer program.Wait()
	defer stop()
	for range 50_000 {
		if _, err := readAttributes(holder{path, false}); err != nil {
			t.Fatal(err)
		}
	}
}

// looksAlike holds mode and access list of a name here and there against each other.
func (s *stage) looksAlike(name string) {
	s.t.Helper()
	var said [2]string
	for i, root := range []string{s.src, s.dst} {
		path := filepath.Join(root, name)
		info, err := os.Lstat(path)
		s.must(err)
		list := make([]byte, 1024)
		n, err := unix.Getxattr(path, accessList, list)
		if err != nil && !errors.Is(err, unix.ENODATA) {
			s.t.Fatal(err)
		}
		said[i] = fmt.Sprintf("%v %x", info.Mode(), list[:max(n, 0)])
	}
	if said[0] != said[1] {
		s.t.Errorf("%s is %s, not %s", name, said[1], said[0])
	}
}
