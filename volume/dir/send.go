package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/drover/drover/volume"
)

// Send implements volume.Backend. Of a snapshot without content of its own it ships the live
// files, and what it shipped is what the snapshot means from then on.
func (b *Backend) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	c, err := b.find(d.Volume)
	if err != nil {
		return err
	}
	if err := c.send(ctx, d, w); err != nil {
		return fmt.Errorf("send %s: %w", d, err)
	}
	return nil
}

func (c *copyDir) send(ctx context.Context, d volume.Delta, w io.Writer) error {
	snapshot, err := c.Record().Snapshot(d.To)
	if err != nil {
		return err
	}
	base, err := c.sendBase(d)
	if err != nil {
		return err
	}
	root := c.Data()
	if snapshot.Kept {
		root = c.keptTree(d.To)
	}
	current, err := SendFiles(ctx, root, Files{From: d.From, Snapshot: snapshot, Base: base, Known: c.newestManifest()}, c.manifestPath(d.To), w)
	if err != nil {
		return err
	}
	c.Used.Note(current.bytes())
	return nil
}

// sendBase returns what the receiver has: as it says in its token, else the manifest of From.
func (c *copyDir) sendBase(d volume.Delta) (*manifest, error) {
	switch {
	case len(d.Resume) > 0:
		return decodeManifest(d.Resume)
	case d.From != "":
		return loadManifest(c.manifestPath(d.From))
	default:
		return &manifest{}, nil
	}
}

// A sender ships one manifest.
type sender struct {
	ctx  context.Context
	root string
	out  *streamWriter
	base map[string]*entry
	// known is the newest manifest of this node, whose hashes are good for files that have not
	// been written since.
	known   *manifest
	content *content
}

// send ships what the base lacks of the manifest, and fills in the hashes of its blocks.
func (s *sender) send(current *manifest) error {
	names := make(map[string]bool, len(current.Entries))
	for _, e := range current.Entries {
		names[e.Path] = true
	}
	gone := []string{}
	for path := range s.base {
		if !names[path] {
			gone = append(gone, path)
		}
	}
	slices.Sort(gone)
	for _, path := range gone {
		if err := s.out.frame(frameDelete, []byte(path)); err != nil {
			return err
		}
	}
	known := s.known.index()
	for i := range current.Entries {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		e := &current.Entries[i]
		if err := s.entry(e, known[e.Path]); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return nil
}

// entry ships one name and, of a file, the blocks that the base lacks.
func (s *sender) entry(e, was *entry) error {
	base := s.base[e.Path]
	if e.Kind == kindFile && s.known.trusted(was, *e) {
		e.Blocks = was.Blocks
	}
	if base != nil && base.same(*e) && (e.Kind != kindFile || (e.Blocks != nil && slices.Equal(e.Blocks, base.Blocks))) {
		return nil
	}
	if err := s.out.entry(*e); err != nil {
		return err
	}
	if e.Kind != kindFile || e.Size == 0 {
		return nil
	}
	return s.blocks(e, base)
}

func (s *sender) blocks(e, base *entry) error {
	f, err := os.OpenFile(filepath.Join(s.root, e.Path), os.O_RDONLY|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		// Removed since the scan. It ships as zeros, and the next pass ships its removal.
		e.Seen, e.Blocks = inode{}, make([]hash, blocksOf(e.Size))
		return s.lost(e, base)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	e.Blocks = make([]hash, 0, blocksOf(e.Size))
	return s.content.each(f, e.Size, func(number int, h hash, data []byte) error {
		e.Blocks = append(e.Blocks, h)
		if s.holds(base, number, h) {
			return nil
		}
		return s.out.block(number, h, data)
	})
}

// lost ships a file that is gone as zeros of its size.
func (s *sender) lost(e, base *entry) error {
	for number := range e.Blocks {
		if s.holds(base, number, zeroHash) {
			continue
		}
		if err := s.out.block(number, zeroHash, nil); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether the receiver has that block. What a file grows by is zeros there.
func (s *sender) holds(base *entry, number int, h hash) bool {
	if base == nil || base.Kind != kindFile || number >= len(base.Blocks) {
		return h == zeroHash
	}
	return base.Blocks[number] == h
}
