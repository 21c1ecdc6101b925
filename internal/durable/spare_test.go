package durable_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/test/harness/powercut"
)

// TestRecordsOfAFullDisk are written, whatever an application does that takes every block and every inode
// as soon as there is one, and survive a cut of the power after each.
func TestRecordsOfAFullDisk(t *testing.T) {
	for kind, size := range map[string]int64{"ext4": 128 << 20, "xfs": 320 << 20} {
		t.Run(kind, func(t *testing.T) {
			disk := powercut.New(t, kind, size)
			dir := filepath.Join(disk.Path(), "records")
			must(t, durable.MkdirAll(dir, 0o700))
			record, other := filepath.Join(dir, "copy.json"), filepath.Join(dir, "journal.json")
			must(t, durable.KeepSpare(dir))
			must(t, durable.WriteFile(record, []byte(`{"n": -1}`), 0o600))
			must(t, disk.Sync())
			powercut.Fill(t, disk.Path())
			for n := range 12 {
				write := durable.WriteFile
				if n%3 == 1 {
					write = durable.ReplaceFile
				}
				must(t, write(record, fmt.Appendf(nil, `{"n": %d, "long": "%0*d"}`, n, n%2*6000, 0), 0o600))
				powercut.Fill(t, disk.Path())
				if n%4 == 3 {
					disk.Cut()
				}
				var read struct{ N int }
				err := durable.ReadJSON(record, &read)
				if noted := n%3 == 1 && read.N == n-1; err != nil || read.N != n && !noted { // a cut may forget that
					t.Fatalf("read %d, %v; want %d", read.N, err, n)
				}
			}
			for range 3 { // one that is made and taken away again and again
				must(t, durable.WriteFile(other, []byte(`{}`), 0o600))
				powercut.Fill(t, disk.Path())
				must(t, durable.Retire(other, 1))
				powercut.Fill(t, disk.Path())
				if _, err := os.Lstat(other); err == nil {
					t.Error("it is still there")
				}
			}
		})
	}
}

// TestASmallRecordOfAFullDisk, as a version without spares has written it, is replaced again and again; and
// several records at once are, if there is a spare for each.
func TestASmallRecordOfAFullDisk(t *testing.T) {
	disk := powercut.New(t, "ext4", 128<<20)
	old, many := filepath.Join(disk.Path(), "old"), filepath.Join(disk.Path(), "many")
	must(t, durable.MkdirAll(old, 0o700))
	must(t, durable.MkdirAll(many, 0o700))
	record, filled := filepath.Join(old, "copy.json"), filepath.Join(many, "filled.json")
	must(t, durable.WriteFile(record, []byte(`{"n": -1}`), 0o600))
	must(t, durable.WriteFile(filled, []byte(`{}`), 0o600))
	must(t, durable.KeepSpare(old))
	must(t, durable.KeepSpares(many, 4, 50_000))
	must(t, durable.FillUp(filled))
	must(t, disk.Sync())
	powercut.Fill(t, disk.Path())
	write := func(path string, size, n int) {
		t.Helper()
		must(t, durable.WriteFile(path, fmt.Appendf(nil, `{"n": %d, "long": "%0*d"}`, n, size, 0), 0o600))
		powercut.Fill(t, disk.Path())
		var read struct{ N int }
		if err := durable.ReadJSON(path, &read); err != nil || read.N != n {
			t.Errorf("read %d, %v; want %d", read.N, err, n)
		}
	}
	for n := range 3 {
		write(record, 1, n)
		write(filepath.Join(many, "one.json"), 49_000, n)
		write(filepath.Join(many, "two.json"), 1, n)
		write(filled, 9000, n)
	}
	for _, name := range []string{"one", "two"} {
		must(t, durable.Retire(filepath.Join(many, name+".json"), 4))
	}
	powercut.Fill(t, disk.Path())
	write(filepath.Join(many, "three.json"), 49_000, 3)
}
