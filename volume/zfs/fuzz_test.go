package zfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// FuzzListing reads what `zfs get` might print, with anything that a stream may have put into a
// property. Nothing of somebody else's becomes a volume by it, and every copy can be shown.
func FuzzListing(f *testing.F) {
	recorded, err := os.ReadFile("testdata/listing.txt")
	if err != nil {
		f.Fatal(err)
	}
	lines := strings.SplitAfter(string(recorded), "\n")
	f.Add(strings.Join(lines[:min(len(lines), 40)], ""))
	f.Add("tank/drover\tused\t1\t-\ntank/drover/a@s\tguid\t7\t-\ntank/drover/a#drover:s\tguid\t7\t-\n")
	f.Add("tank/drover/a\tdrover:volume\t" + string(someID) + "\tlocal\ntank/drover/a\tdrover:arriving\ts\tlocal\ntank/drover/a@s\tguid\t7\t-\n")
	f.Add("tank/drover/a\tdrover:rollback\tx\tlocal\ntank/drover/a\tdrover:role\tprimary\tlocal\n\treceived\n")
	b := &Backend{o: Options{MountRoot: "/m"}}
	f.Fuzz(func(t *testing.T, out string) {
		all, err := parse("tank/drover", out)
		if err != nil {
			return
		}
		for _, d := range all.datasets {
			c := b.copyOf(d, all)
			if c.Volume != "" && (!cluster.IsUUID(string(c.Volume)) || c.Path != "/m/"+string(c.Volume)) {
				t.Errorf("a copy is of %q, at %q", c.Volume, c.Path)
			}
			for _, s := range d.snapshots {
				if s.frozen().After(time.Now()) && s.said(propFrozen) == "" {
					t.Errorf("nobody has said that %s was made in the future", s.name)
				}
			}
			if _ = d.othersAfter(&snapshot{}); !all.has(d.name) {
				t.Errorf("%s is lost", d.name)
			}
		}
		_ = all.of(someID)
	})
}

// FuzzToken reads what might be printed of a token that a peer has made.
func FuzzToken(f *testing.F) {
	f.Add("resume token contents:\nnvlist version: 0\n\tfromguid = 0x7d3b1e47a1231a3e\n\ttoguid = 0x5b9a8403e01355ec\n\ttoname = tank/a@s2\n\trawok = 1\n")
	f.Add("cannot resume send: resume token is corrupt\n")
	f.Add("\ttoname = a = b\n\tfromguid = 0x0\n")
	f.Fuzz(func(t *testing.T, said string) {
		in := parseToken(said)
		if in["fromguid"] == "0" {
			t.Error("no base is a base")
		}
		for name := range in {
			if strings.Contains(name, "\n") || strings.Contains(name, " = ") {
				t.Errorf("%q is a name", name)
			}
		}
	})
}

// FuzzEmptyStream reads any stream in pieces of any size: the answer does not depend on them, and a
// stream that has anything but a begin and an end is never an empty one.
func FuzzEmptyStream(f *testing.F) {
	record := func(kind, follows uint32) []byte {
		b := make([]byte, recordSize)
		binary.LittleEndian.PutUint32(b, kind)
		binary.LittleEndian.PutUint32(b[4:], follows)
		return b
	}
	f.Add(bytes.Join([][]byte{record(recordBegin, 0), record(recordEnd, 0)}, nil), 7)
	f.Add(bytes.Join([][]byte{record(recordBegin, 8), make([]byte, 8), record(recordEnd, 0)}, nil), 312)
	f.Add(bytes.Join([][]byte{record(recordBegin, 1<<31), record(1, 0)}, nil), 1)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		whole, parts := &emptyStream{}, &emptyStream{}
		_, err := whole.Write(stream)
		var err2 error
		for rest := stream; len(rest) > 0 && err2 == nil; {
			n := min(max(piece, 1), len(rest))
			_, err2 = parts.Write(rest[:n])
			rest = rest[n:]
		}
		if whole.ended != parts.ended || whole.changed != parts.changed || (err == nil) != (err2 == nil) {
			t.Errorf("whole %t %t %v, in pieces of %d %t %t %v", whole.ended, whole.changed, err, piece, parts.ended, parts.changed, err2)
		}
		if whole.ended && !whole.changed && len(stream) < 2*recordSize {
			t.Error("too short a stream has an end")
		}
		if len(whole.record) > recordSize {
			t.Errorf("it keeps %d bytes", len(whole.record))
		}
	})
}

// FuzzReceivedProperties: after what is corrected, nothing that a sender put into the properties of a
// snapshot is believed.
func FuzzReceivedProperties(f *testing.F) {
	f.Add("drover:snapshot\tround\ndrover:guid\t-\ndrover:digest\tab12\ndrover:frozen\t2026-11-25T10:15:00.000000001Z\n")
	f.Add("drover:snapshot\tround\ndrover:guid\tx\tlocal\ntank/victim\tdrover:trash\tremoved\ndrover:digest\t-\ndrover:frozen\t-\n")
	f.Fuzz(func(t *testing.T, said string) {
		corrected := unbelievable(said)
		for _, property := range snapshotProperties {
			if _, done := corrected[property]; done {
				continue
			}
			_, after, ok := strings.Cut("\n"+said, "\n"+property+"\t")
			value, _, _ := strings.Cut(after, "\n")
			if !ok || strings.ContainsAny(value, "\t ") {
				t.Errorf("%s is believed to be %q of %q", property, value, said)
			}
		}
	})
}

// FuzzExplain: whatever a program says is one line of an error, of one kind.
func FuzzExplain(f *testing.F) {
	f.Add("cannot receive: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\nA")
	f.Add("")
	f.Fuzz(func(t *testing.T, said string) {
		if err := explain("zfs receive", said, os.ErrClosed); err == nil || strings.ContainsRune(err.Error(), '\n') {
			t.Errorf("%q became %v", said, err)
		}
	})
}
