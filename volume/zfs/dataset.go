package zfs

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// The user properties of a dataset that holds a copy.
const (
	propVolume      = "drover:volume"
	propRole        = "drover:role"
	propEpoch       = "drover:epoch"
	propOpen        = "drover:open"
	propChanged     = "drover:changed"
	propName        = "drover:name"
	propApplication = "drover:application"
	propRollback    = "drover:rollback"
	// propTrash is why the copy was put away: "removed", "replaced", "diverged"; propSince is when.
	propTrash = "drover:trash"
	propSince = "drover:since"
	// propOwner is "uid:gid" of the root directory, until it was mounted for the first time.
	propOwner = "drover:owner"
	// propArriving is the snapshot that the stream received last brings. Until it is marked it is
	// known by this.
	propArriving = "drover:arriving"
	// propIncoming is what a stream of files is to make: see part. While it is set, what was written after the
	// newest snapshot counts for nothing.
	propIncoming = "drover:incoming"
	// propGUID and propDigest are what the sender of a snapshot that came file by file said that it is.
	propGUID   = "drover:guid"
	propDigest = "drover:digest"
	// propFrozen is a time before the snapshot was made, by the clock that stamps its files.
	propFrozen = "drover:frozen"
	// propSnapshot marks the snapshots that Drover has made: "round", "kept" or "clone".
	propSnapshot = "drover:snapshot"
)

// What propSnapshot says of a snapshot.
const (
	forTransfer = "round"
	forUser     = "kept"
	forClone    = "clone"
)

// A value is that of a property and where it comes from: "local", "received", "-" for what ZFS
// counts itself, and others.
type value struct{ text, source string }

// A dataset is a file system of the pool with its snapshots and bookmarks, as it was listed.
type dataset struct {
	name       string
	properties map[string]value
	// snapshots and bookmarks are from old to new. Not all are Drover's.
	snapshots, bookmarks []*snapshot
	// partial is what has arrived of a stream that was cut.
	partial *volume.Partial
	// same: nothing was written after the newest snapshot, though the pool counts some bytes.
	same bool
}

// A snapshot is one, or a bookmark of one.
type snapshot struct {
	name       string // without the dataset
	properties map[string]value
}

// own returns a user property of Drover's that was set here, or "".
func (d *dataset) own(property string) string {
	if v := d.properties[property]; v.source == "local" && v.text != "-" {
		return v.text
	}
	return ""
}

// volume is the one that it is a copy of; "": it is somebody else's.
func (d *dataset) volume() cluster.VolumeID {
	if id := cluster.VolumeID(d.own(propVolume)); checkID(id) == nil {
		return id
	}
	return ""
}

func (d *dataset) role() cluster.Role { return cluster.Role(d.own(propRole)) }
func (d *dataset) discarded() bool    { return d.own(propTrash) != "" }

// mayWrite: it was opened and not closed since. Whether it is mounted is another matter.
func (d *dataset) mayWrite() bool { return d.own(propOpen) == "on" }
func (d *dataset) mounted() bool  { return d.properties["mounted"].text == "yes" }
func (d *dataset) encrypted() bool {
	return !slices.Contains([]string{"", "-", "off"}, d.properties["encryption"].text)
}

// openAt: applications can write to it now, and find it where they are told to look.
func (d *dataset) openAt(path string) bool {
	return d.mayWrite() && d.mounted() && d.properties["mountpoint"].text == path && d.own(propOwner) == ""
}

// locked: it is encrypted and its key is not loaded.
func (d *dataset) locked() bool { return d.properties["keystatus"].text == "unavailable" }

func (d *dataset) epoch() cluster.Epoch {
	n, _ := strconv.ParseUint(d.own(propEpoch), 10, 64) // only ever set from one
	return cluster.Epoch(n)
}

func (d *dataset) number(property string) int64 { return number(d.properties, property) }

func number(properties map[string]value, property string) int64 {
	n, _ := strconv.ParseInt(properties[property].text, 10, 64) // "-" is none
	return n
}

func (d *dataset) when(property string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, d.own(property)) // only ever set by stamp
	return t
}

// token is that of a stream that was cut, or "".
func (d *dataset) token() string {
	if t := d.properties["receive_resume_token"].text; t != "-" {
		return t
	}
	return ""
}

// snapshot returns the one of that name, or nil.
func (d *dataset) snapshot(name cluster.SnapshotName) *snapshot { return named(d.snapshots, name) }

func named(all []*snapshot, name cluster.SnapshotName) *snapshot {
	for _, s := range all {
		if s.name == string(name) {
			return s
		}
	}
	return nil
}

// bookmarkPrefix begins the names of the bookmarks that Drover makes: they can have no properties. No
// snapshot of Drover's has a colon in its name.
const bookmarkPrefix = "drover:"

// bases are the bookmarks that Drover has made, by the names of their snapshots.
func (d *dataset) bases() []*snapshot {
	var all []*snapshot
	for _, s := range d.bookmarks {
		if name, ours := strings.CutPrefix(s.name, bookmarkPrefix); ours {
			all = append(all, &snapshot{name: name, properties: s.properties})
		}
	}
	return all
}

// said returns a property that Drover has set on the snapshot, here or where it came from; or "".
func (s *snapshot) said(property string) string {
	if v := s.properties[property]; v.source == "local" || v.source == "received" {
		return v.text
	}
	return ""
}

// purpose is what Drover has made it for; "" for somebody else's.
func (s *snapshot) purpose() string { return s.said(propSnapshot) }

// counts: it is of use to Drover beyond this host.
func (s *snapshot) counts() bool { return s.purpose() == forTransfer || s.purpose() == forUser }

// guid is ZFS's own.
func (s *snapshot) guid() string    { return s.properties["guid"].text }
func (s *snapshot) foreign() bool   { return s.purpose() == "" }
func (s *snapshot) written() int64  { return number(s.properties, "written") }
func (s *snapshot) clones() string  { return strings.Trim(s.properties["clones"].text, "-") }
func (s *snapshot) created() int64  { return number(s.properties, "createtxg") }
func (s *snapshot) bytes() int64    { return number(s.properties, "referenced") }
func (s *snapshot) time() time.Time { return time.Unix(number(s.properties, "creation"), 0).UTC() }

// identity is the GUID by which the cluster knows it: where it was made, or ZFS's own.
func (s *snapshot) identity() string { return cmp.Or(s.said(propGUID), s.guid()) }

// frozen is a time before it was made, by the clock that stamps its files; long before if nobody knows.
func (s *snapshot) frozen() time.Time {
	t, err := time.Parse(time.RFC3339Nano, s.said(propFrozen))
	if err != nil {
		return time.Unix(1, 0)
	}
	return t
}

// noun is the snapshot as the cluster knows it.
func (s *snapshot) noun() cluster.Snapshot {
	return cluster.Snapshot{Name: cluster.SnapshotName(s.name), GUID: s.identity(), Created: s.time(), Bytes: s.bytes(), Kept: s.purpose() == forUser, Digest: s.said(propDigest)}
}

// changed reports whether something was written after the newest snapshot.
func (d *dataset) changed() bool { return d.number("written") != 0 && !d.same }

// head returns the snapshot that the content is exactly at: the newest of Drover's after which
// nothing was written that counts, whoever else has made snapshots since.
func (d *dataset) head() *snapshot {
	if d.mayWrite() || d.changed() && d.own(propIncoming) == "" {
		return nil
	}
	for _, s := range slices.Backward(d.snapshots) {
		if s.counts() {
			return s
		}
		if s.written() != 0 {
			return nil
		}
	}
	return nil
}

// copyOf is a dataset as the contract shows it.
func (b *Backend) copyOf(d *dataset, all *inventory) volume.Copy {
	c := volume.Copy{Volume: d.volume(), Role: d.role(), Epoch: d.epoch(), Open: d.openAt(b.Path(d.volume())), Unclosed: d.mayWrite() && !d.openAt(b.Path(d.volume())),
		Path: b.Path(d.volume()), UsedBytes: d.number("referenced"), MaximumSize: d.number("refquota"),
		Changed: d.when(propChanged), Rollback: d.own(propRollback),
		Labels: &volume.Labels{Name: d.own(propName), Application: cluster.AppName(d.own(propApplication))}}
	for _, s := range d.snapshots {
		if s.counts() {
			c.Snapshots = append(c.Snapshots, s.noun())
		}
	}
	for _, s := range d.bases() {
		if d.snapshot(cluster.SnapshotName(s.name)) == nil {
			c.Bases = append(c.Bases, s.noun())
		}
	}
	if head := d.head(); head != nil {
		c.Head = head.identity()
	}
	c.Partial = d.partial
	if d.locked() {
		c.Obstacle = keyMissing + ": zfs load-key " + d.name
	}
	c.Warning = cmp.Or(all.warning(), c.Obstacle)
	return c
}

const keyMissing = "its encryption key is not loaded on this node"

// warning is what the operator should know of all copies.
func (i *inventory) warning() string {
	switch {
	case i.health != healthy:
		return i.health
	case i.space().Tight():
		return "the pool is nearly full"
	}
	return ""
}

func sortCopies(copies []volume.Copy) []volume.Copy {
	slices.SortFunc(copies, func(a, b volume.Copy) int { return cmp.Compare(a.Volume, b.Volume) })
	return copies
}
