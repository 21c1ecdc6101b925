package files

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestAListingEndsEachDirectory: one that says of directories that they never end would have all of
// them remembered.
func TestAListingEndsEachDirectory(t *testing.T) {
	long := string(bytes.Repeat([]byte("x"), 1000))
	for rule, write := range map[string]func(dir func(path string), leave func()){
		"directories that never end": func(dir func(string), _ func()) {
			for i := range 100 {
				dir(fmt.Sprintf("%08d", i))
			}
		},
		"a name without its directory": func(dir func(string), _ func()) { dir("a/" + long) },
		"an end too many":              func(_ func(string), leave func()) { leave(); leave() },
		"directories without end in each other": func(dir func(string), _ func()) {
			path := "d"
			for range maxDepth + 10 {
				dir(path)
				path += "/d"
			}
		},
	} {
		t.Run(rule, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "listing")
			l, err := newListing(path, header{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			put := func(path string) {
				e := entry{path: path, kind: kindDir}
				if err := l.record(record{recordEntry, payloadOf(&e)}); err != nil {
					t.Fatal(err)
				}
			}
			put("")
			write(put, func() { l.record(record{recordLeave, seen{}.append(nil)}) })
			if _, err := l.close(); err != nil {
				t.Fatal(err)
			}
			i, err := openItems(path)
			if err != nil {
				t.Fatal(err)
			}
			defer i.close()
			for err == nil && i.e != nil {
				err = i.advance()
			}
			if !errors.Is(err, cluster.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
}
