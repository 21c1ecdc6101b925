package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover/drover/cluster"
)

// The files view of a volume is how backends of different kinds understand each other: a stream of
// names, attributes and blocks. It is also all that this backend has.

// A Manifest is what a tree of files holds, block by block, by hash.
type Manifest = manifest

// Files are what SendFiles ships.
type Files struct {
	// From is the snapshot that the receiver holds, and Base what it holds of it.
	From cluster.SnapshotName
	Base *Manifest
	// Snapshot is what is shipped.
	Snapshot cluster.Snapshot
	// Known has hashes of an earlier look at the same files, if there was one; they are good for
	// files that have not been written since.
	Known *Manifest
}

// SendFiles writes what the tree at root adds to the base. What it has shipped is durable at save
// before the receiver can confirm it: it is the base of what comes.
func SendFiles(ctx context.Context, root string, f Files, save string, w io.Writer) (*Manifest, error) {
	current, err := scan(ctx, root)
	if err != nil {
		return nil, err
	}
	current.Snapshot = f.Snapshot
	out, err := newStreamWriter(w)
	if err != nil {
		return nil, err
	}
	s := &sender{ctx: ctx, root: root, out: out, base: f.Base.index(), known: f.Known, content: newContent(newBuffer())}
	if err := out.json(frameHeader, streamHeader{From: f.From, To: f.Snapshot.Name, Snapshot: f.Snapshot}); err != nil {
		return nil, err
	}
	if err := s.send(current); err != nil {
		return nil, err
	}
	if err := current.save(save); err != nil {
		return nil, err
	}
	digest := current.digest()
	if err := out.frame(frameManifest, digest[:]); err != nil {
		return nil, err
	}
	return current, out.w.Flush()
}

// ReceiveFiles applies a stream to the tree at root, which holds the base. It returns the snapshot
// that the tree is at then, and what it holds; after an error, what it holds so far. Begin is
// called before the tree is touched, once the stream has proved to be one.
func ReceiveFiles(ctx context.Context, root string, base *Manifest, r io.Reader, begin func() error) (cluster.Snapshot, *Manifest, error) {
	in, err := newStreamReader(contextReader{ctx, r})
	if err == nil {
		err = begin()
	}
	if err != nil {
		return cluster.Snapshot{}, nil, err
	}
	t, err := openTree(root, base)
	if err != nil {
		return cluster.Snapshot{}, nil, err
	}
	defer t.close()
	header, digest, err := apply(t, in)
	if err == nil {
		err = t.finish()
	}
	m := t.manifest()
	m.Snapshot = header.Snapshot
	if got := m.digest(); err == nil && got != digest {
		err = fmt.Errorf("%w: the copy has digest %x, the sender's has %x", cluster.ErrConflict, got[:8], digest[:8])
	}
	return header.Snapshot, m, err
}

// IsFiles reports whether a stream that begins like this is one of files.
func IsFiles(start []byte) bool { return strings.HasPrefix(string(start), magic) }

// LoadManifest reads what SendFiles has saved, or Save.
func LoadManifest(path string) (*Manifest, error) { return loadManifest(path) }

// DecodeManifest reads the token of a transfer that has arrived in part.
func DecodeManifest(token []byte) (*Manifest, error) { return decodeManifest(token) }

// Save makes a manifest durable at path.
func (m *manifest) Save(path string) error { return m.save(path) }

// Survey looks at all files of a tree, hash by hash.
func Survey(ctx context.Context, root string) (*Manifest, error) {
	m, err := scan(ctx, root)
	if err != nil {
		return nil, err
	}
	reader := newContent(newBuffer())
	for i := range m.Entries {
		if err := reader.survey(root, &m.Entries[i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (c *content) survey(root string, e *entry) error {
	if e.Kind != kindFile {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(root, e.Path), os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	err = c.each(f, e.Size, func(_ int, h hash, _ []byte) error {
		e.Blocks = append(e.Blocks, h)
		return nil
	})
	return errors.Join(err, f.Close())
}
