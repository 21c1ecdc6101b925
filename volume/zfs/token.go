package zfs

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// partialOf says what a dataset has of a stream that was cut, or nil. The token itself tells, and
// `zfs send -nv` prints it, on any host.
func partialOf(ctx context.Context, d *dataset) *volume.Partial {
	token := d.token()
	if token == "" {
		return nil
	}
	var said bytes.Buffer
	// Without the snapshot, which is on another host, it fails, after it has printed.
	_ = stream(ctx, nil, &said, "zfs", "send", "-nv", "-t", token)
	to, from := contentsOf(said.String())
	p := &volume.Partial{To: cluster.SnapshotName(to), Token: []byte(token)}
	for _, s := range d.snapshots {
		if s.guid() == from {
			p.From = cluster.SnapshotName(s.name)
		}
	}
	return p
}

// contentsOf reads, out of what was printed of a token, the name of the snapshot that was being
// received and the GUID of its base; "" for a full stream.
func contentsOf(said string) (to, from string) {
	for line := range strings.Lines(said) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch name {
		case "toname":
			_, to, _ = strings.Cut(text, "@")
		case "fromguid":
			if guid, err := strconv.ParseUint(text, 0, 64); err == nil && guid != 0 {
				from = fmt.Sprint(guid)
			}
		}
	}
	return to, from
}
