package zfs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/drover/drover/cluster"
)

// What others call a volume, a snapshot or a setting goes into names of ZFS here, and nowhere else.
// Nothing that is asked for, by whomever, may make a dataset outside of Drover's own, an option of a
// program, or a line in what a program prints.

// partPattern is what may be the last part of a dataset's name as it is. It has no colon: the datasets
// that Drover makes for itself have one. It is short enough for the longest snapshot name behind it.
var partPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$`)

// datasetName returns a name below root for the dataset of a volume: the wanted one, or the volume's id
// where that would not do. Attempts after the first are for a name that somebody else's dataset has.
func datasetName(root string, id cluster.VolumeID, wanted string, attempt int) string {
	part := wanted
	if !partPattern.MatchString(part) {
		part = string(id)
	}
	if attempt > 0 {
		part += "-" + string(id)[:8]
	}
	if attempt > 1 {
		part += fmt.Sprint("-", attempt)
	}
	return root + "/" + part
}

// trashName returns the name under which a dataset is put away.
func trashName(trash, dataset, why, when string) string {
	part := path.Base(dataset)
	return trash + "/" + part[:min(len(part), 36)] + "." + why + "." + when
}

// checkID returns cluster.ErrInvalid for what is not the id of a volume.
func checkID(id cluster.VolumeID) error {
	if !cluster.IsUUID(string(id)) {
		return fmt.Errorf("%w: %.100q is no id of a volume", cluster.ErrInvalid, id)
	}
	return nil
}

// checkSnapshot returns cluster.ErrInvalid for what cannot name a snapshot of Drover's.
func checkSnapshot(name cluster.SnapshotName) error {
	if !cluster.ValidName(string(name)) {
		return fmt.Errorf("%w: %.100q is no name of a snapshot", cluster.ErrInvalid, name)
	}
	return nil
}

// ours are the properties that Drover sets itself, or leaves as they are: a host shares nothing because
// somebody in the cluster asks for it. Rdonly is what ZFS takes for readonly, too.
var ours = []string{"mountpoint", "canmount", "readonly", "rdonly", "refquota", "zoned", "origin", "sharenfs", "sharesmb"}

// settingPattern is that of ZFS for the names of properties, a user's own among them. What has a '=' in
// it would set another one than it says.
var settingPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.:-]{0,255}$`)

// maxSetting bounds the value of a setting, in bytes: ZFS takes 8 KiB.
const maxSetting = 4 << 10

// checkSetting returns cluster.ErrInvalid for a property that a user may not set.
func checkSetting(name, value string) error {
	switch {
	case !settingPattern.MatchString(name):
		return fmt.Errorf("%w: zfs.%.100q is no property of ZFS", cluster.ErrInvalid, name)
	case slices.Contains(ours, name), strings.HasPrefix(name, "drover:"):
		return fmt.Errorf("%w: zfs.%s is not for volumes to set", cluster.ErrInvalid, name)
	case len(value) > maxSetting || strings.ContainsFunc(value, unprintable):
		return fmt.Errorf("%w: zfs.%s: %.100q is no value for a property", cluster.ErrInvalid, name, value)
	}
	return nil
}

// unprintable runes would make lines or fields of their own in what ZFS prints.
func unprintable(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }

// maxLabel bounds what people call something, in bytes.
const maxLabel = 256

// label is a text for people as it stands in a property.
func label(s string) string {
	s = s[:min(len(s), maxLabel)]
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s)
}
