// Package backup is what a store held at one instant, as a file that proves to be whole.
//
//	data := backup.Backup{Cluster: id, Revision: revision, Records: records}.Encode()
//	b, err := backup.Decode(data) // cluster.ErrInvalid if a byte is missing or differs
//
// It is text, a JSON value a line, and the same whatever the store is:
//
//	{"format":"drover control backup 1","cluster":...,"revision":...,"records":2}
//	{"key":"node/...","revision":...,"value":"..."}    by key; values in base64, as they were
//	{"key":"volume/...","revision":...,"value":"..."}
//	{"sha256":"..."}                                   of all lines above
//
// A copy of the file of a store that is in use is none: it can have pages of several instants, and nothing
// in it would tell.
package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

const format = "drover control backup 1"

// A Backup is what a store held at one instant.
type Backup struct {
	// Cluster is the id of the cluster that it is of; Version the build that made it, at Taken.
	Cluster string
	Version string
	Taken   time.Time
	// Revision is the store's.
	Revision cluster.Revision
	Records  map[string]store.Record
}

type header struct {
	Format   string           `json:"format"`
	Cluster  string           `json:"cluster"`
	Version  string           `json:"version"`
	Taken    time.Time        `json:"taken"`
	Revision cluster.Revision `json:"revision"`
	Records  int              `json:"records"`
}

type line struct {
	Key      string           `json:"key"`
	Revision cluster.Revision `json:"revision"`
	Value    []byte           `json:"value"`
}

type footer struct {
	Checksum string `json:"sha256"`
}

// Encode returns the content of the file. The same backup has the same content.
func (b Backup) Encode() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	add := func(v any) {
		if err := encoder.Encode(v); err != nil {
			panic(err) // strings, numbers and bytes: nothing that JSON has not
		}
	}
	add(header{format, b.Cluster, b.Version, b.Taken, b.Revision, len(b.Records)})
	for _, key := range slices.Sorted(maps.Keys(b.Records)) {
		add(line{key, b.Records[key].Revision, b.Records[key].Value})
	}
	add(footer{checksum(out.Bytes())})
	return out.Bytes()
}

// Decode reads the content of a file. Whatever is wrong with it is cluster.ErrInvalid.
func Decode(data []byte) (Backup, error) {
	b, err := decode(data)
	if err != nil {
		return Backup{}, fmt.Errorf("%w: %w", cluster.ErrInvalid, err)
	}
	return b, nil
}

func decode(data []byte) (Backup, error) {
	if !bytes.HasPrefix(data, []byte(`{"format":"drover control backup `)) {
		return Backup{}, errors.New("it is no backup of a control service")
	}
	var h header
	lines := json.NewDecoder(bytes.NewReader(data))
	if err := lines.Decode(&h); err != nil {
		return Backup{}, fmt.Errorf("read its first line: %w", err)
	}
	if h.Format != format {
		return Backup{}, fmt.Errorf("it is a %q, and this version reads %q", h.Format, format)
	}
	end := bytes.LastIndexByte(bytes.TrimSuffix(data, []byte("\n")), '\n') + 1
	var f footer
	if json.Unmarshal(data[end:], &f) != nil || f.Checksum == "" {
		return Backup{}, errors.New("it is cut short: the last line, with the checksum, is missing")
	}
	if f.Checksum != checksum(data[:end]) {
		return Backup{}, errors.New("it is damaged: it has not the checksum that it was written with")
	}
	b := Backup{h.Cluster, h.Version, h.Taken, h.Revision, make(map[string]store.Record, h.Records)}
	for range h.Records {
		var l line
		if err := lines.Decode(&l); err != nil {
			return Backup{}, fmt.Errorf("read record %d of %d: %w", len(b.Records)+1, h.Records, err)
		}
		b.Records[l.Key] = store.Record{Value: l.Value, Revision: l.Revision}
	}
	if err := lines.Decode(&f); err != nil || len(b.Records) != h.Records {
		return Backup{}, errors.New("it has not the records that its first line promises")
	}
	if _, err := lines.Token(); err != io.EOF {
		return Backup{}, errors.New("there is more after its end")
	}
	return b, nil
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
