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

// partialOf says what a dataset has of a stream that was cut, or nil.
func partialOf(ctx context.Context, d *dataset) *volume.Partial {
	token := d.token()
	if token == "" {
		return d.part()
	}
	in := contentsOf(ctx, token)
	_, to, _ := strings.Cut(in["toname"], "@")
	p := &volume.Partial{To: cluster.SnapshotName(to), Token: []byte(token)}
	for _, s := range d.snapshots {
		if s.guid() == in["fromguid"] {
			p.From = cluster.SnapshotName(s.name)
		}
	}
	return p
}

// mayResume reports why a token, which comes from the other side, does not mean the delta that it came
// with. ZFS sends whatever a token names, in whatever form.
func mayResume(ctx context.Context, here *dataset, to *snapshot, d volume.Delta) error {
	in := contentsOf(ctx, string(d.Resume))
	from := ""
	for _, s := range append(here.bases(), here.snapshots...) {
		if s.name == string(d.From) {
			from = s.guid()
		}
	}
	fits := in["toname"] == here.name+"@"+to.name && in["toguid"] == to.guid() && in["fromguid"] == from && (d.From == "") == (from == "")
	if !fits || (here.encrypted() && in["rawok"] != "1") {
		return fmt.Errorf("%w: what has arrived is not of %s as it is here", cluster.ErrStale, d)
	}
	return nil
}

// contentsOf returns what a token holds. `zfs send -nv` prints it, on any host: without the snapshot,
// which may be on another host, it fails after that.
func contentsOf(ctx context.Context, token string) map[string]string {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	var said bytes.Buffer
	_ = stream(ctx, nil, &said, "zfs", "send", "-nv", "-t", token)
	if ctx.Err() != nil {
		return nil // and the program may still be at it
	}
	return parseToken(said.String())
}

// parseToken reads what was printed of a token. Numbers are given in decimal, as properties have them;
// the GUID of a base that there is none of is left out.
func parseToken(said string) map[string]string {
	in := map[string]string{}
	for line := range strings.Lines(said) {
		name, text, found := strings.Cut(strings.TrimSpace(line), " = ")
		if !found {
			continue
		}
		if n, err := strconv.ParseUint(text, 0, 64); err == nil {
			text = strconv.FormatUint(n, 10)
		}
		if in[name] == "" && !(name == "fromguid" && text == "0") {
			in[name] = text
		}
	}
	return in
}
