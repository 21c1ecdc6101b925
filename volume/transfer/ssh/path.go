package ssh

import (
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A file is one name in the tree.
type file struct {
	volume cluster.VolumeID
	part   string // "copy.json", "snapshots", "incoming", "arrived"
	delta  volume.Delta
	// resume: the stream goes on with what was received before.
	resume bool
	// image is that of an application; then the rest is empty.
	image string
}

const (
	partCopy      = "copy.json"
	partSnapshots = "snapshots"
	partIncoming  = "incoming"
	partArrived   = "arrived"
	resumeMark    = "resume"
)

// deltaPath names the file of a delta.
func deltaPath(part string, d volume.Delta) string {
	name := string(d.To)
	if d.From != "" || len(d.Resume) > 0 {
		name = string(d.From) + ":" + name
	}
	if len(d.Resume) > 0 {
		name += ":" + resumeMark
	}
	return path.Join("/volumes", string(d.Volume), part, name)
}

// maxPath bounds the path of a file: an image's name, of which every byte is escaped, is the longest.
const maxPath = 3*maxImage + 100

// maxImage bounds the name of an image: a repository's has 255 bytes at most, a tag 128, a digest less.
const maxImage = 1024

// validImage reports whether a name may be that of an image: printable ASCII, and nothing in it that a
// command could take for an option. What is right beyond that the runtime knows.
func validImage(name string) bool {
	return name != "" && len(name) <= maxImage && name[0] != '-' &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// imagePath names the file of an image.
func imagePath(name string) string { return path.Join("/images", url.PathEscape(name)) }

// A resolver returns the volume that a name or an id is for.
type resolver func(nameOrID string) (cluster.VolumeID, bool)

// parsePath reads a path of the tree. Directories have empty parts.
func parsePath(name string, resolve resolver) (file, error) {
	notFound := &fs.PathError{Op: "find", Path: forPeople(name), Err: fs.ErrNotExist}
	if len(name) > maxPath {
		return file{}, notFound
	}
	parts := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	if len(parts) == 1 && parts[0] == "" {
		return file{}, nil
	}
	if parts[0] == "images" && len(parts) == 2 {
		image, err := url.PathUnescape(parts[1])
		if err != nil || !validImage(image) {
			return file{}, notFound
		}
		return file{image: image}, nil
	}
	if parts[0] != "volumes" || len(parts) > 4 {
		return file{}, notFound
	}
	var f file
	if len(parts) > 1 {
		id, known := resolve(parts[1])
		if !known {
			return file{}, notFound
		}
		f.volume = id
	}
	if len(parts) > 2 {
		f.part = parts[2]
		dir := f.part == partSnapshots || f.part == partIncoming
		regular := f.part == partCopy || f.part == partArrived
		if !dir && (!regular || len(parts) > 3) {
			return file{}, notFound
		}
	}
	if len(parts) > 3 && !f.parseDelta(parts[3]) {
		return file{}, notFound
	}
	return f, nil
}

func (f *file) parseDelta(name string) bool {
	f.delta.Volume = f.volume
	names := strings.Split(name, ":")
	if len(names) == 3 && names[2] == resumeMark {
		f.resume, names = true, names[:2]
	}
	switch len(names) {
	case 1:
		f.delta.To = cluster.SnapshotName(names[0])
	case 2:
		f.delta.From, f.delta.To = cluster.SnapshotName(names[0]), cluster.SnapshotName(names[1])
	default:
		return false
	}
	return cluster.ValidSnapshotName(f.delta.To) && (f.delta.From == "" || cluster.ValidSnapshotName(f.delta.From))
}
