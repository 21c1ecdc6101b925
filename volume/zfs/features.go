package zfs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
)

// features are what this host's ZFS and the pool can do.
type features struct {
	userland, kernel string
	// enabled are the features of the pool, by their names without "feature@".
	enabled map[string]bool
}

// wanted are the pool's features that something here depends on, with what happens without them.
var wanted = map[string]string{
	"extensible_dataset": "transfers start over after a cut",
	"bookmarks":          "a dropped snapshot is no base any more",
	"bookmark_v2":        "encrypted volumes keep no bookmarks",
	"encryption":         "no encrypted volumes",
	"large_blocks":       "no records above 128K",
	"embedded_data":      "small blocks take a block each in streams",
	"lz4_compress":       "no lz4",
	"zstd_compress":      "no zstd",
}

// probe asks for the versions and the pool's features. Before 0.8 there were neither raw streams
// nor properties set on receive, and going on without them would lose what a volume is.
func probe(ctx context.Context, pool string) (*features, error) {
	out, err := run(ctx, "zfs", "version")
	f := &features{enabled: map[string]bool{}}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if kernel, ok := strings.CutPrefix(line, "zfs-kmod-"); ok {
			f.kernel = kernel
		} else {
			f.userland = strings.TrimPrefix(line, "zfs-")
		}
	}
	if err != nil || f.userland == "" {
		return nil, fmt.Errorf("%w: this ZFS cannot say its version, so it is older than 0.8: %w", cluster.ErrUnsupported, err)
	}
	var ask []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		ask = append(ask, "feature@"+name)
	}
	out, err = run(ctx, "zpool", "get", "-Hp", "-o", "property,value", strings.Join(ask, ","), pool)
	if err != nil {
		return nil, fmt.Errorf("ask pool %s for its features: %w", pool, err)
	}
	for line := range strings.Lines(out) {
		property, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		f.enabled[strings.TrimPrefix(property, "feature@")] = value == "enabled" || value == "active"
	}
	return f, nil
}

// describe tells people.
func (f *features) describe() map[string]string {
	if f == nil {
		return nil
	}
	d := map[string]string{"zfs": f.userland, "zfs module": f.kernel}
	for name, without := range wanted {
		if f.enabled[name] {
			d["pool feature "+name] = "yes"
		} else {
			d["pool feature "+name] = "no: " + without
		}
	}
	return d
}

// has reports whether the pool has a feature.
func (f *features) has(name string) bool { return f != nil && f.enabled[name] }
