package ssh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// What a peer says of its copy is written by somebody else: by a node that was taken over, at worst.
const (
	// maxCopy bounds copy.json, and what becomes of it: some four times as much.
	maxCopy = 8 << 20
	// mostSnapshots are told of, and listened to: the newest.
	mostSnapshots = 10_000
	// maxText bounds what is said for people, maxWord a GUID.
	maxText = 4 << 10
	maxWord = 128
)

// encodeCopy writes a copy as copy.json.
func encodeCopy(c volume.Copy) ([]byte, error) {
	c.Snapshots, c.Bases = newest(c.Snapshots), newest(c.Bases)
	return json.Marshal(c)
}

func newest(all []cluster.Snapshot) []cluster.Snapshot {
	return all[max(len(all)-mostSnapshots, 0):]
}

// decodeCopy reads what a peer says of its copy of a volume. What cannot be right is
// cluster.ErrInvalid; a snapshot that nothing can be done with is left out, and a part of a transfer
// likewise, which then begins anew.
func decodeCopy(b []byte, id cluster.VolumeID) (volume.Copy, error) {
	var said struct {
		volume.Copy
		// These are in place of those of volume.Copy.
		Snapshots snapshots `json:"snapshots"`
		Bases     snapshots `json:"bases"`
	}
	if len(b) > maxCopy {
		return volume.Copy{}, fmt.Errorf("%w: it is longer than %d bytes", cluster.ErrInvalid, maxCopy)
	}
	if err := json.Unmarshal(b, &said); err != nil {
		return volume.Copy{}, fmt.Errorf("%w: %s", cluster.ErrInvalid, forPeople(err.Error()))
	}
	c := said.Copy
	c.Snapshots, c.Bases = said.Snapshots, said.Bases
	switch {
	case c.Volume != id:
		return volume.Copy{}, fmt.Errorf("%w: it is of volume %q", cluster.ErrInvalid, forPeople(string(c.Volume)))
	case c.Role != cluster.Primary && c.Role != cluster.Replica && c.Role != "":
		return volume.Copy{}, fmt.Errorf("%w: it has the role %q", cluster.ErrInvalid, forPeople(string(c.Role)))
	case !word(c.Head):
		return volume.Copy{}, fmt.Errorf("%w: its head is %q", cluster.ErrInvalid, forPeople(c.Head))
	}
	if p := c.Partial; p != nil && (!cluster.ValidName(string(p.To)) || (p.From != "" && !cluster.ValidName(string(p.From))) || len(p.Token) > volume.MaxToken) {
		c.Partial = nil
	}
	c.UsedBytes, c.MaximumSize = max(c.UsedBytes, 0), max(c.MaximumSize, 0)
	for _, text := range []*string{&c.Path, &c.Rollback, &c.Obstacle, &c.Warning} {
		*text = forPeople(*text)
	}
	if c.Labels != nil {
		c.Labels.Name, c.Labels.Application = forPeople(c.Labels.Name), cluster.AppName(forPeople(string(c.Labels.Application)))
	}
	return c, nil
}

// snapshots are those of a list that can be used. They are read one by one: three bytes of JSON become
// a hundred in memory.
type snapshots []cluster.Snapshot

// UnmarshalJSON implements json.Unmarshaler.
func (s *snapshots) UnmarshalJSON(b []byte) error {
	in := json.NewDecoder(bytes.NewReader(b))
	if t, err := in.Token(); t != json.Delim('[') {
		if t == nil && err == nil {
			return nil // null
		}
		return fmt.Errorf("a list was expected")
	}
	*s = nil
	for n := 0; in.More(); n++ {
		if n >= mostSnapshots {
			return fmt.Errorf("there are more than %d snapshots", mostSnapshots)
		}
		var one cluster.Snapshot
		if err := in.Decode(&one); err != nil {
			return err
		}
		if cluster.ValidName(string(one.Name)) && one.GUID != "" && word(one.GUID) {
			one.Bytes = max(one.Bytes, 0)
			*s = append(*s, one)
		}
	}
	return nil
}

// word reports whether s is short, and of printable ASCII without spaces.
func word(s string) bool {
	return len(s) <= maxWord && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// forPeople makes one short line of what a peer says for people.
func forPeople(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}
