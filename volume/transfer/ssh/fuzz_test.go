package ssh

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// FuzzTrailer: a stream is what was sent, or an error, in whatever pieces it comes and is read.
func FuzzTrailer(f *testing.F) {
	f.Add([]byte(""), []byte(""), uint8(1), false)
	f.Add([]byte("content"), []byte(""), uint8(3), true)
	f.Add([]byte("content"), []byte("more"), uint8(200), false)
	f.Add(withTrailer([]byte("a stream in a stream")), []byte(""), uint8(7), true)
	f.Add(bytes.Repeat([]byte("long "), 50), []byte("\x00"), uint8(9), false)
	f.Fuzz(func(t *testing.T, content, more []byte, piece uint8, whole bool) {
		wire := append(withTrailer(content), more...)
		in := newTrailedSize(&slowly{wire, int(piece) + 1}, 64) // so that it has ends in the middle, too
		var got bytes.Buffer
		var err error
		if whole {
			_, err = in.WriteTo(&got)
		} else {
			_, err = io.CopyBuffer(&got, struct{ io.Reader }{in}, make([]byte, int(piece)+1))
		}
		switch {
		case len(more) == 0 && (err != nil || !bytes.Equal(got.Bytes(), content)):
			t.Fatalf("%d bytes with their hash are %d, %v", len(content), got.Len(), err)
		case err == nil && !bytes.Equal(withTrailer(got.Bytes()), wire):
			t.Fatalf("%d bytes without their hash were taken", got.Len())
		case err != nil && !errors.Is(err, cluster.ErrConflict):
			t.Fatal(err)
		}
	})
}

// slowly reads in pieces.
type slowly struct {
	rest  []byte
	piece int
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// FuzzCopy: what a peer says of its copy, its token too, becomes what this side could have said, or an
// error.
func FuzzCopy(f *testing.F) {
	whole, err := encodeCopy(volume.Copy{Volume: someVolume, Role: cluster.Replica, Epoch: 7, Head: "g",
		Snapshots: []cluster.Snapshot{{Name: "s1", GUID: "g"}}, Bases: []cluster.Snapshot{{Name: "s0", GUID: "h"}},
		Partial: &volume.Partial{From: "s1", To: "s2", Token: []byte("token"), Listed: true}, Labels: &volume.Labels{Name: "db"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"volume":"` + someVolume + `","snapshots":null,"bases":[{}],"partial":{"to":"../x"},"head":"a b"}`))
	f.Add([]byte(`{"volume":"` + someVolume + `","Snapshots":[{"name":"a","guid":"b"}],"snapshots":[{"name":"\u0000"}]}`))
	f.Add([]byte(`{"changed":"9999-12-31T23:59:59Z","used_bytes":9223372036854775808}`))
	f.Add([]byte("[[[[[[["))
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := decodeCopy(said, someVolume)
		if err != nil {
			if !errors.Is(err, cluster.ErrInvalid) || len(err.Error()) > 2*maxText {
				t.Fatal(err)
			}
			return
		}
		for _, s := range append(c.Snapshots, c.Bases...) {
			if !cluster.ValidName(string(s.Name)) || s.GUID == "" || !word(s.GUID) || s.Bytes < 0 {
				t.Fatalf("a snapshot is %+v", s)
			}
		}
		if p := c.Partial; p != nil && (!cluster.ValidName(string(p.To)) || len(p.Token) > volume.MaxToken) {
			t.Fatalf("a part is %+v", p)
		}
		again, err := json.Marshal(c)
		if err != nil {
			return // a year that JSON does not have
		}
		if _, err := decodeCopy(again, someVolume); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

// FuzzPath: a path leads nowhere, or to a file whose every name is valid and whose path leads there.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/volumes/" + someVolume + "/copy.json", "/volumes/pgdata/snapshots/a:b", "/volumes/" + someVolume + "/arrived",
		"/volumes/" + someVolume + "/incoming/:s2:resume", "/images/registry.example:5000%2Fteam%2Fapp:1.0", "/images/%00", "/volumes/../etc", "//volumes//x/./y", "/images/-v"} {
		f.Add(seed)
	}
	names := volumeNames{someVolume: "pgdata"}
	f.Fuzz(func(t *testing.T, name string) {
		at, err := parsePath(name, names.resolve)
		if err != nil {
			if len(err.Error()) > 2*maxText {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		var back string
		switch {
		case at.image != "":
			if !validImage(at.image) {
				t.Fatalf("the image %q", at.image)
			}
			back = imagePath(at.image)
		case at.delta.To != "":
			d := at.delta
			if at.resume {
				d.Resume = []byte("token")
			}
			if d.Volume != at.volume || !cluster.ValidName(string(d.To)) || (d.From != "" && !cluster.ValidName(string(d.From))) {
				t.Fatalf("the delta %+v", d)
			}
			back = deltaPath(at.part, d)
		default:
			return
		}
		if again, err := parsePath(back, names.resolve); err != nil || again.image != at.image || again.delta.String() != at.delta.String() || again.resume != at.resume {
			t.Fatalf("%q is %+v, whose path %q is %+v, %v", name, at, back, again, err)
		}
	})
}

const someKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBgL6vN4m7Y0bK4Qm1yq8oV0pB3m0w5l9x2c7d8e9f0A"

// FuzzRecordKey: a key of the cluster's records is one Ed25519 key, or an error.
func FuzzRecordKey(f *testing.F) {
	f.Add(someKey)
	f.Add(someKey + " comment")
	f.Add("no-pty " + someKey)
	f.Add("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7")
	f.Add(someKey + "\n" + someKey)
	f.Fuzz(func(t *testing.T, text string) {
		key, err := parseRecord(text)
		if err != nil {
			return
		}
		if key.Type() != ssh.KeyAlgoED25519 || !strings.Contains(text, strings.Fields(authorized(key))[1]) {
			t.Fatalf("%q is the key %s", text, authorized(key))
		}
		if again, err := parseRecord(authorized(key)); err != nil || authorized(again) != authorized(key) {
			t.Fatalf("%q is not read again: %v", authorized(key), err)
		}
	})
}

// FuzzKnownHost: what a node says of itself becomes a line about itself, or none.
func FuzzKnownHost(f *testing.F) {
	f.Add("node-a", "10.0.0.1:4524", someKey)
	f.Add("*", "[2001:db8::1]:4524", someKey)
	f.Add("a,b", "host:22", someKey+" \n@cert-authority * "+someKey)
	f.Add("a", "[fe80::1%\n*]:1", someKey)
	f.Add("a b", "*:1", someKey)
	f.Fuzz(func(t *testing.T, name, address, key string) {
		line, err := cluster.Node{ID: "n", Name: name, TransferAddress: address, TransferKey: key}.KnownHost()
		if err != nil {
			return
		}
		marker, hosts, got, comment, rest, err := ssh.ParseKnownHosts([]byte(line))
		if err != nil || marker != "" || comment != "" || len(rest) > 0 || len(hosts) == 0 || len(hosts) > 2 {
			t.Fatalf("the line %q is %q %q, %q, %q, %v", line, marker, hosts, comment, rest, err)
		}
		if strings.ContainsAny(strings.Join(hosts, ""), "*?!@ ") || !strings.Contains(key, strings.Fields(authorized(got))[1]) {
			t.Fatalf("the line %q is about %q", line, hosts)
		}
	})
}

// FuzzAnswer: whatever a peer answers is one short line, of one kind at most.
func FuzzAnswer(f *testing.F) {
	f.Add("no space left [refused]")
	f.Add("a\nb [no kind]")
	f.Add(`quoted \" [stale] [conflict]`)
	f.Fuzz(func(t *testing.T, text string) {
		err := remote(text)
		if len(err.Error()) > maxText+3 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q", err)
		}
	})
}
