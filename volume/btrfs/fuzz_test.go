package btrfs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

func FuzzHeader(f *testing.F) {
	f.Add(forge(forgedHeader("s1")).Bytes())
	f.Add([]byte(magic + "\xff\xff\xff\xff{}"))
	f.Add([]byte(magic + "\x02\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, h, err := peekHeader(bytes.NewReader(b))
		if err == nil && h.matches(volume.Delta{To: "s1"}) == nil && (h.Name != "s1" || len(h.Lineage) != 32) {
			t.Errorf("%+v passes for s1", h)
		}
	})
}

// FuzzStream: no stream makes it panic, or count what is not there.
func FuzzStream(f *testing.F) {
	header := forge(forgedHeader("s1")).Len() - len(streamMagic) - 4
	f.Add(begun("@s1").command(commandMakeFile, attributePath, "a").
		command(commandUpdateExtent, attributePath, "a", attributeSize, 4).command(commandEnd).Bytes()[header:])
	f.Fuzz(func(t *testing.T, b []byte) {
		what := &digest{}
		if err := what.read(bytes.NewReader(b)); err == nil && (what.bytes > int64(len(b)) || what.bytes < 0) {
			t.Errorf("%d bytes were counted of %d", what.bytes, len(b))
		}
	})
}

// FuzzCommand: no command, whose checksum is right, has a path that leads out of a subvolume.
func FuzzCommand(f *testing.F) {
	for _, seed := range []*forgery{
		(&forgery{}).command(commandRename, attributePath, "a/b", attributePathTo, "../c"),
		(&forgery{}).command(commandSetXattr, attributePath, "a", attributeXattrName, "user.a", attributeXattrData, "b"),
		(&forgery{}).command(commandClone, attributePath, "a", attributeOffset, 0, attributeCloneUUID, forgedUUID, attributeClonePath, "b", attributeCloneLength, 6),
		(&forgery{}).command(commandTimes, attributePath, "", attributeAccessed, make([]byte, 12), attributeModified, make([]byte, 12)),
	} {
		f.Add(uint16(seed.Bytes()[4]), seed.Bytes()[commandHeader:])
	}
	f.Fuzz(func(t *testing.T, kind uint16, body []byte) {
		var c command
		if c.parse(kind, body) != nil {
			return
		}
		for attribute := range attributes {
			c.err = nil
			path := c.path(attribute)
			if c.err == nil && path != "" && (!filepath.IsLocal(path) || len(path) > 4095) {
				t.Errorf("%q passes for a path", path)
			}
			c.number(attribute)
			c.id(attribute)
			c.uuid(attribute)
			c.time(attribute)
			c.text(attribute)
			c.err = nil
			if n := c.offset(attribute); c.err == nil && n < 0 {
				t.Errorf("%d passes for an offset", n)
			}
		}
	})
}

// FuzzMark: whatever a record says that a snapshot is known by, a snapshot that is not there is not it.
func FuzzMark(f *testing.F) {
	f.Add([]byte(`{"uuid":"00","lineage":"00","changed":7,"frozen":"2024-01-01T00:00:00Z"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &subvolumes{&copystore.Copy{Dir: "/nonexistent"}}
		r := copystore.Record{Snapshots: []cluster.Snapshot{{Name: "s"}}, Marks: map[cluster.SnapshotName]json.RawMessage{"s": b}}
		if _, err := c.intact(r, "s"); err == nil {
			t.Error("it is taken for intact")
		}
	})
}

// FuzzExplain: what a program says has an error in it whatever it is, and that is short.
func FuzzExplain(f *testing.F) {
	f.Add("ERROR: unable to limit requested quota group: No space left on device\n")
	f.Add("a\nb\nc\nd\n")
	failed := errors.New("exit status 1")
	f.Fuzz(func(t *testing.T, said string) {
		if err := explain(said, failed); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%q is %v", said, err)
		}
	})
}
