package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/files"
)

// What has arrived of files when their stream is cut stays in the dataset, behind its newest snapshot, and the
// next stream goes on from there. propIncoming says of what it is a part, and in which state, "to/from/token";
// the listing of it is the one that is incoming.

// incomingListing is that of what has arrived of files.
func (b *Backend) incomingListing(id cluster.VolumeID) string {
	return filepath.Join(b.listings(id), "incoming")
}

// partOf is what propIncoming says from now on.
func partOf(d volume.Delta) string {
	return strings.Join([]string{string(d.To), string(d.From), cluster.NewUUID()}, "/")
}

// part is what has arrived of files, or nil. An earlier version kept none that could be gone on with.
func (d *dataset) part() *volume.Partial {
	in := strings.Split(d.own(propIncoming), "/")
	if len(in) != 3 || d.role() != cluster.Replica {
		return nil
	}
	return &volume.Partial{To: cluster.SnapshotName(in[0]), From: cluster.SnapshotName(in[1]), Token: []byte(in[2]), Listed: true}
}

// goesOn reports whether what has arrived of files is what a delta goes on with.
func (b *Backend) goesOn(here *dataset, d volume.Delta) bool {
	p := here.part()
	_, err := os.Lstat(b.incomingListing(d.Volume))
	return err == nil && p != nil && p.From == d.From && p.To == d.To && string(p.Token) == string(d.Resume)
}

// stays reports whether what has arrived of a stream that broke off is worth its space.
func (b *Backend) stays(ctx context.Context, err error) bool {
	space, spaceErr := b.Space(ctx)
	return !errors.Is(err, cluster.ErrConflict) && !errors.Is(err, cluster.ErrInvalid) && !cluster.Lasting(err) &&
		spaceErr == nil && !space.Tight()
}

// Listing implements volume.Lister.
func (b *Backend) Listing(ctx context.Context, id cluster.VolumeID) (io.ReadCloser, error) {
	defer b.hold(id)()
	here, err := b.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if here.part() == nil {
		return nil, fmt.Errorf("volume %s: %w: no transfer of files was cut", id, cluster.ErrNotFound)
	}
	path := b.incomingListing(id)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) { // whoever applied it has died
		err := b.viewed(ctx, id, here.name, func(root string) error {
			_, err := files.Survey(ctx, root, path)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look at what has arrived of volume %s: %w", id, err)
		}
	}
	return os.Open(path)
}
