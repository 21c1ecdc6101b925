package btrfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

// stream returns what a ships of a delta.
func (p *pair) stream(d volume.Delta) []byte {
	p.t.Helper()
	var b bytes.Buffer
	p.must(p.a.Send(p.t.Context(), d, &b))
	return b.Bytes()
}

// TestARepeatedReceiveLosesNothing: cut or not, in full or not, and whichever way it is shipped.
func TestARepeatedReceiveLosesNothing(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, byFiles := range []bool{false, true} {
		for _, d := range []volume.Delta{{To: "s1"}, {From: "s1", To: "s2"}} {
			t.Run(fmt.Sprintf("%v, files %v", d.To, byFiles), func(t *testing.T) {
				p := newPair(t, fs)
				d.Volume, d.Files = p.id, byFiles
				p.write(p.a, "file", bytes.Repeat([]byte("one"), 1<<16))
				_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
				p.must(err)
				p.must(p.b.Receive(t.Context(), volume.Delta{Volume: p.id, To: "s1", Files: byFiles},
					bytes.NewReader(p.stream(volume.Delta{Volume: p.id, To: "s1", Files: byFiles}))))
				if d.From != "" {
					p.write(p.a, "file", bytes.Repeat([]byte("two"), 1<<16))
					_, err := p.a.Snapshot(t.Context(), p.id, "s2", false)
					p.must(err)
					p.must(p.b.Receive(t.Context(), d, bytes.NewReader(p.stream(d))))
				}
				before, err := volume.Find(t.Context(), p.b, p.id)
				p.must(err)
				want, err := readFiles(t, p.b, p.id)
				p.must(err)
				whole := p.stream(d)
				for _, length := range []int{0, 1, 20, 100, 1000, len(whole) / 2, len(whole) - 1} {
					cut := errors.New("cut")
					if err := p.b.Receive(t.Context(), d, io.MultiReader(bytes.NewReader(whole[:length]), failing{cut})); !errors.Is(err, cut) {
						t.Errorf("cut at %d: got %v", length, err)
					}
					same(t, p, before, want)
				}
				p.must(p.b.Receive(t.Context(), d, bytes.NewReader(whole)))
				same(t, p, before, want)
			})
		}
	}
}

// same checks that b holds what it held, and that nothing is lying about that nobody can go on with.
func same(t *testing.T, p *pair, before volume.Copy, want map[string]string) {
	t.Helper()
	after, err := volume.Find(t.Context(), p.b, p.id)
	p.must(err)
	before.UsedBytes, after.UsedBytes = 0, 0
	before.Changed, before.Partial = after.Changed, after.Partial
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	if got, err := readFiles(t, p.b, p.id); err != nil || !cmp.Equal(got, want) {
		t.Errorf("it holds other files, %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.b.path, string(p.id), "incoming")); len(left) > 0 != (after.Partial != nil) {
		t.Errorf("%s is left, of %+v", left, after.Partial)
	}
}

// TestAnotherSnapshotOfTheName takes the place of the one that has it when it is whole, unless a user
// wants that one.
func TestAnotherSnapshotOfTheName(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, kept := range []bool{false, true} {
		p := newPair(t, fs)
		p.ship(p.a, p.b, "", "s1")
		p.write(p.a, "file", []byte("one"))
		_, err := p.a.Snapshot(t.Context(), p.id, "s2", kept)
		p.must(err)
		d := volume.Delta{Volume: p.id, From: "s1", To: "s2"}
		p.must(p.b.Receive(t.Context(), d, bytes.NewReader(p.stream(d))))
		p.must(p.a.Drop(t.Context(), p.id, "s2"))
		p.write(p.a, "file", []byte("two"))
		_, err = p.a.Snapshot(t.Context(), p.id, "s2", false)
		p.must(err)
		whole := p.stream(d)
		if err := p.b.Receive(t.Context(), d, bytes.NewReader(whole[:len(whole)-1])); err == nil {
			t.Error("a cut is no error")
		}
		files, err := readFiles(t, p.b, p.id)
		if err != nil || files["file"] != "one" {
			t.Errorf("after a cut: %v, %v", files, err)
		}
		want, err := "two", p.b.Receive(t.Context(), d, bytes.NewReader(whole))
		if kept {
			want = "one"
			if !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
		} else {
			p.must(err)
		}
		files, err = readFiles(t, p.b, p.id)
		if err != nil || files["file"] != want || guid(t, p.b, p.id) == "" {
			t.Errorf("it holds %v, %v", files, err)
		}
	}
}

// TestACrashWhileSomethingArrives leaves what is on the record, after whichever step it comes.
func TestACrashWhileSomethingArrives(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	arrive := func(p *pair, c *subvolumes) {
		p.must(snapshotSubvolume(c.snapshotPath("s1"), c.incomingPath(), false))
		p.must(os.WriteFile(filepath.Join(c.incomingPath(), "file"), []byte("new"), 0o600))
	}
	sealed := func(p *pair, c *subvolumes) mark {
		arrive(p, c)
		m, err := arrival{}.seal(c.incomingPath())
		p.must(err)
		return m
	}
	for _, row := range []struct {
		rule string
		do   func(p *pair, c *subvolumes)
		want string
	}{
		{"something has come", arrive, "one"},
		{"all has", func(p *pair, c *subvolumes) { sealed(p, c) }, "one"},
		{"it has a name", func(p *pair, c *subvolumes) {
			sealed(p, c)
			_, err := c.place("s3")
			p.must(err)
		}, "one"},
		{"it has the name of another", func(p *pair, c *subvolumes) {
			sealed(p, c)
			_, err := c.place("s2")
			p.must(err)
		}, "one"},
		{"it is on the record", func(p *pair, c *subvolumes) {
			m := sealed(p, c)
			_, err := c.place("s2")
			p.must(err)
			p.must(c.Update(func(r *copystore.Record) {
				r.Forget("s2")
				arrival{snapshot: cluster.Snapshot{Name: "s2", GUID: m.Lineage}}.note(r, m)
			}))
		}, "new"},
		{"a probe is there", func(p *pair, c *subvolumes) { p.must(snapshotSubvolume(c.snapshotPath("s1"), c.probePath(), true)) }, "one"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			p := newPair(t, fs)
			p.write(p.a, "file", []byte("one"))
			p.ship(p.a, p.b, "", "s1")
			p.ship(p.a, p.b, "s1", "s2")
			c, err := p.b.find(p.id)
			p.must(err)
			row.do(p, c)
			p.must(p.b.Shut())
			p.b = openAt(t, p.b.path)
			held, err := volume.Find(t.Context(), p.b, p.id)
			p.must(err)
			files, err := readFiles(t, p.b, p.id)
			if err != nil || len(held.Snapshots) != 2 || held.Warning != "" || held.Head != held.Snapshots[1].GUID || files["file"] != row.want {
				t.Errorf("the copy is %+v with %v, %v", held, files, err)
			}
			entries, err := os.ReadDir(c.Dir)
			p.must(err)
			if len(entries) != 3 { // two snapshots and the record
				t.Errorf("there is %v", entries)
			}
			p.ship(p.a, p.b, "s1", "s3")
		})
	}
}

// A forgery is a stream that no kernel has made.
type forgery struct{ bytes.Buffer }

func forge(h header) *forgery {
	f := &forgery{}
	if err := h.write(f); err != nil {
		panic(err)
	}
	f.WriteString(streamMagic)
	f.Write([]byte{streamVersion, 0, 0, 0})
	return f
}

// command adds one; its attributes are pairs of a kind and a value.
func (f *forgery) command(kind uint16, attributes ...any) *forgery {
	var body []byte
	for i := 0; i < len(attributes); i += 2 {
		var value []byte
		switch v := attributes[i+1].(type) {
		case string:
			value = []byte(v)
		case []byte:
			value = v
		case int:
			value = binary.LittleEndian.AppendUint64(nil, uint64(v))
		}
		body = binary.LittleEndian.AppendUint16(body, uint16(attributes[i].(int)))
		body = binary.LittleEndian.AppendUint16(body, uint16(len(value)))
		body = append(body, value...)
	}
	whole := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	whole = binary.LittleEndian.AppendUint16(whole, kind)
	whole = append(append(whole, 0, 0, 0, 0), body...)
	binary.LittleEndian.PutUint32(whole[6:], checksum(whole))
	f.Write(whole)
	return f
}

const forgedLineage = "00112233445566778899aabbccddeeff"

var forgedUUID = []byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}

func forgedHeader(name cluster.SnapshotName) header {
	return header{Snapshot: cluster.Snapshot{Name: name, GUID: "g"}, Lineage: forgedLineage}
}

// begun is a forgery up to where commands with names come.
func begun(name string) *forgery {
	return forge(forgedHeader("s1")).command(commandSubvolume, attributePath, name, attributeUUID, forgedUUID, attributeTransid, 7)
}

// whole is a stream in which nothing is wrong but the header.
func whole(h header) *forgery {
	return forge(h).command(commandSubvolume, attributePath, "@s1", attributeUUID, forgedUUID, attributeTransid, 7)
}

// TestAStreamReachesNothingButItsOwnSnapshot, whatever names are in it.
func TestAStreamReachesNothingButItsOwnSnapshot(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	secret := filepath.Join(fs, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	link := func() *forgery {
		return begun("@s1").command(commandSymlink, attributePath, "link", attributePathLink, secret).
			command(commandSymlink, attributePath, "up", attributePathLink, fs)
	}
	for _, row := range []struct {
		rule   string
		stream *forgery
	}{
		{"another name in the header", whole(forgedHeader("../../etc"))},
		{"no name in the header", whole(forgedHeader(""))},
		{"no GUID in the header", whole(header{Snapshot: cluster.Snapshot{Name: "s1"}, Lineage: forgedLineage})},
		{"another lineage in the header", whole(header{Snapshot: cluster.Snapshot{Name: "s1", GUID: "g"}, Lineage: strings.Repeat("ab", 16)})},
		{"a lineage that is none", forge(header{Snapshot: cluster.Snapshot{Name: "s1", GUID: "g"}, Lineage: "../x"})},
		{"another name in the stream", begun("@s2")},
		{"a way out in the stream's name", begun("../../etc")},
		{"an absolute name", begun("/etc")},
		{"no name", begun("")},
		{"a file above", begun("@s1").command(commandMakeFile, attributePath, "../file")},
		{"a directory above", begun("@s1").command(commandMakeDir, attributePath, "..")},
		{"an absolute path", begun("@s1").command(commandMakeFile, attributePath, secret+"2")},
		{"a zero in a name", begun("@s1").command(commandMakeFile, attributePath, "a\x00b")},
		{"a name that is not clean", begun("@s1").command(commandMakeFile, attributePath, "a/./b")},
		{"renamed to above", begun("@s1").command(commandMakeFile, attributePath, "a").command(commandRename, attributePath, "a", attributePathTo, "../a")},
		{"the root renamed", begun("@s1").command(commandRename, attributePath, "", attributePathTo, "a")},
		{"a link to above", begun("@s1").command(commandLink, attributePath, "a", attributePathLink, "../copy.json")},
		{"unlinked above", begun("@s1").command(commandUnlink, attributePath, "../copy.json")},
		{"removed above", begun("@s1").command(commandRemoveDir, attributePath, "../incoming")},
		{"written through a link", link().command(commandWrite, attributePath, "link", attributeOffset, 0, attributeData, "x")},
		{"written through a directory", link().command(commandWrite, attributePath, "up/secret", attributeOffset, 0, attributeData, "x")},
		{"truncated through a link", link().command(commandTruncate, attributePath, "link", attributeSize, 0)},
		{"a mode through a link", link().command(commandMode, attributePath, "link", attributeMode, 0o777)},
		{"an owner through a directory", link().command(commandOwner, attributePath, "up/secret", attributeUID, 1, attributeGID, 1)},
		{"an attribute through a directory", link().command(commandSetXattr, attributePath, "up/secret", attributeXattrName, "user.a", attributeXattrData, "b")},
		{"made through a directory", link().command(commandMakeFile, attributePath, "up/file")},
		{"shared from outside", begun("@s1").command(commandMakeFile, attributePath, "a").command(commandClone, attributePath, "a", attributeOffset, 0,
			attributeCloneUUID, make([]byte, 16), attributeClonePath, "secret", attributeCloneOffset, 0, attributeCloneLength, 6)},
		{"written to a device", begun("@s1").command(commandMakeNode, attributePath, "null", attributeMode, unix.S_IFCHR|0o666, attributeDevice, 0x103).
			command(commandWrite, attributePath, "null", attributeOffset, 0, attributeData, "x")},
		{"written to a FIFO", begun("@s1").command(commandMakeFIFO, attributePath, "fifo").command(commandWrite, attributePath, "fifo", attributeOffset, 0, attributeData, "x")},
		{"a second subvolume", begun("@s1").command(commandSubvolume, attributePath, "other", attributeUUID, forgedUUID, attributeTransid, 7)},
		{"a command that is unknown", begun("@s1").command(99)},
		{"a size that no file has", begun("@s1").command(commandMakeFile, attributePath, "a").command(commandTruncate, attributePath, "a", attributeSize, -1)},
		{"the owner that means none", begun("@s1").command(commandOwner, attributePath, "", attributeUID, 1<<32-1, attributeGID, 0)},
		{"times that are none", begun("@s1").command(commandTimes, attributePath, "", attributeAccessed, "12345678\xff\xff\xff\xff", attributeModified, make([]byte, 12))},
	} {
		t.Run(row.rule, func(t *testing.T) {
			p := newPair(t, fs)
			row.stream.command(commandEnd)
			err := p.b.Receive(t.Context(), volume.Delta{Volume: p.id, To: "s1"}, &row.stream.Buffer)
			if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v, want it refused", err)
			}
			if strings.HasPrefix(row.rule, "another name") && !errors.Is(err, cluster.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
			info, err := os.Lstat(secret)
			p.must(err)
			content, err := os.ReadFile(secret)
			if err != nil || string(content) != "secret" || info.Mode() != 0o600 {
				t.Errorf("outside is %q, %v, %v", content, info.Mode(), err)
			}
			if found, _ := filepath.Glob(filepath.Join(p.b.path, string(p.id), "*")); len(found) > 1 {
				t.Errorf("there is %v", found)
			}
		})
	}
	if found, _ := filepath.Glob(filepath.Join(fs, "*")); len(slicesWithoutUUIDs(found)) != 1 {
		t.Errorf("outside there is %v", found)
	}
}

func slicesWithoutUUIDs(paths []string) (others []string) {
	for _, path := range paths {
		if !cluster.IsUUID(filepath.Base(path)) {
			others = append(others, path)
		}
	}
	return others
}
