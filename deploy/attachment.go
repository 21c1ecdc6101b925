package deploy

import (
	"strings"

	"github.com/drover/drover/cluster"
)

// volume reads the volume of an application and its maximum size in bytes. Here a key without a
// value is not the same as no key: an application that lost its volume to a slip of indentation
// would start without its data.
func (r *applicationReader) volume(name cluster.AppName, v *value) (*cluster.Attachment, int64) {
	const want = "{mountpoint, maximum_size, dataset_id}"
	if !r.mapping(v, want, "mountpoint", "maximum_size", "dataset_id") {
		return nil, 0
	}
	at := v
	attachment := &cluster.Attachment{Volume: cluster.VolumeIDForName(name)}
	if id := v.get("dataset_id"); id != nil {
		at = id
		attachment.Volume = cluster.VolumeID(strings.ToLower(r.text(id)))
	}
	if v.get("mountpoint") == nil {
		r.missing(v, "mountpoint", r.prefix+"Invalid volume specification. Missing mountpoint.",
			"the absolute path where the application finds its data")
	}
	attachment.Mountpoint = r.text(v.get("mountpoint"))
	r.note(volumePath(attachment.Volume), at)
	return attachment, r.size(v.get("maximum_size"))
}

// volumePath is the path of a volume in a configuration.
func volumePath(id cluster.VolumeID) string { return "volumes." + string(id) }
