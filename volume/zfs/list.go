package zfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// listed are the properties that are read of everything below the root.
var listed = strings.Join([]string{"guid", "createtxg", "creation", "referenced", "used", "available", "written", "refquota", "mounted",
	"receive_resume_token", "mountpoint", "encryption", "keystatus", "origin", "clones", propVolume, propRole, propEpoch, propOpen, propChanged, propName,
	propApplication, propRollback, propTrash, propSince, propOwner, propArriving, propIncoming, propSnapshot, propGUID, propDigest, propFrozen}, ",")

// An inventory is everything below the root, as of one moment.
type inventory struct {
	at       time.Time
	datasets []*dataset // sorted by name
	// free and used are of the root; health is that of the pool.
	free, used int64
	health     string
}

// inventoryAge is how old a listing may be before the pool is asked again. What Drover changes makes
// it out of date at once; this is for what others do.
const inventoryAge = 2 * time.Second

// list returns what is below the root. What was listed a moment ago will do, if nothing was done here
// since it was asked for.
func (b *Backend) list(ctx context.Context) (*inventory, error) {
	b.mu.Lock()
	seen, known, changes := b.seen, b.known, b.changes
	b.mu.Unlock()
	if seen != nil && known == changes && time.Since(seen.at) < inventoryAge {
		return seen, nil
	}
	all, err := b.ask(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if changes >= b.known { // another call may have asked later than this one
		b.seen, b.known = all, changes
	}
	return all, nil
}

func (b *Backend) ask(ctx context.Context) (*inventory, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	at := time.Now()
	all, err := b.read(ctx, b.root, listed)
	if errors.Is(err, cluster.ErrNotFound) { // somebody has destroyed it by hand
		if err = b.makeContainers(ctx); err == nil {
			all, err = b.read(ctx, b.root, listed)
		}
	}
	if err != nil {
		return nil, err
	}
	all.at, all.health = at, poolHealth(b.pool())
	return all, nil
}

// changed makes the last listing out of date.
func (b *Backend) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
}

// read asks for properties of a dataset and everything below it.
func (b *Backend) read(ctx context.Context, root, properties string) (*inventory, error) {
	out, err := run(ctx, "zfs", "get", "-Hp", "-r", "-t", "filesystem,volume,snapshot,bookmark", "-o", "name,property,value,source", properties, root)
	if err != nil {
		return nil, err
	}
	all, err := parse(root, out)
	if err != nil {
		return nil, err
	}
	for _, d := range all.datasets {
		d.partial, d.same = partialOf(ctx, d), b.unchanged(ctx, d)
	}
	return all, nil
}

// one asks for a dataset as it is now.
func (b *Backend) one(ctx context.Context, name string) (*dataset, error) {
	all, err := b.read(ctx, name, listed)
	if err != nil {
		return nil, err
	}
	return all.datasets[0], nil
}

// parse reads what `zfs get` printed: a line per dataset, snapshot or bookmark and property.
func parse(root, out string) (*inventory, error) {
	all := &inventory{}
	found, said := map[string]*dataset{}, map[string]bool{}
	at := func(name string) *dataset {
		if found[name] == nil {
			found[name] = &dataset{name: name, properties: map[string]value{}}
		}
		return found[name]
	}
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("list the datasets: zfs get printed %q, which is not four fields", line)
		}
		v, told := value{fields[2], fields[3]}, fields[0]+"\t"+fields[1]
		if said[told] {
			// A value that came in a stream may hold whole lines: nothing of this can be believed.
			return nil, fmt.Errorf("list the datasets: %s of %s is told twice", fields[1], fields[0])
		}
		said[told] = true
		if i := strings.IndexAny(fields[0], "@#"); i >= 0 {
			d := at(fields[0][:i])
			marks := &d.snapshots
			if fields[0][i] == '#' {
				marks = &d.bookmarks
			}
			snapshotIn(marks, fields[0][i+1:]).properties[fields[1]] = v
			continue
		}
		at(fields[0]).properties[fields[1]] = v
	}
	if top := found[root]; top != nil {
		all.free, all.used = top.number("available"), top.number("used")
	}
	for _, d := range found {
		for _, marks := range [][]*snapshot{d.snapshots, d.bookmarks} {
			slices.SortFunc(marks, func(a, b *snapshot) int { return cmp.Compare(a.created(), b.created()) })
		}
		d.recognise()
		all.datasets = append(all.datasets, d)
	}
	slices.SortFunc(all.datasets, func(a, b *dataset) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

// recognise takes the snapshot that a stream brought for one of Drover's, also where whoever received
// it died before it was marked.
func (d *dataset) recognise() {
	if s := d.snapshot(cluster.SnapshotName(d.own(propArriving))); s != nil && s.foreign() && d.role() == cluster.Replica {
		s.properties[propSnapshot] = value{forTransfer, "local"}
	}
}

// snapshotIn returns the last of a list, which is made if it has another name: the lines of one
// snapshot follow each other.
func snapshotIn(marks *[]*snapshot, name string) *snapshot {
	if n := len(*marks); n > 0 && (*marks)[n-1].name == name {
		return (*marks)[n-1]
	}
	s := &snapshot{name: name, properties: map[string]value{}}
	*marks = append(*marks, s)
	return s
}

// of returns the dataset that holds the copy of a volume, or nil.
func (i *inventory) of(id cluster.VolumeID) *dataset {
	if i == nil {
		return nil
	}
	for _, d := range i.datasets {
		if d.volume() == id && !d.discarded() {
			return d
		}
	}
	return nil
}

// has reports whether there is a dataset of that name, whoever's.
func (i *inventory) has(name string) bool {
	return slices.ContainsFunc(i.datasets, func(d *dataset) bool { return d.name == name })
}

// space is how much of the pool there is for volumes.
func (i *inventory) space() volume.Space {
	return volume.Space{Free: i.free, Total: i.free + i.used}
}
