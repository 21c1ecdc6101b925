package deploy

import (
	"strings"

	"github.com/drover/drover/cluster"
)

// volume reads the volume of an application. Here a key without a value is not the same as no key:
// an application that lost its volume to a slip of indentation would start without its data.
func (r *applicationReader) volume(name cluster.AppName, v *value) (*cluster.Attachment, volumeWish) {
	const want = "{mountpoint, maximum_size, profile, options, dataset_id}"
	if !r.mapping(v, want, "mountpoint", "maximum_size", "profile", "options", "dataset_id") {
		return nil, volumeWish{}
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
	path := volumePath(attachment.Volume)
	r.note(path, at)
	return attachment, volumeWish{maximumSize: r.size(v.get("maximum_size")), profile: r.profile(path, v.get("profile")),
		options: r.volumeOptions(path, v.get("options"))}
}

// profile reads the profile of the volume with that path.
func (r *applicationReader) profile(path string, v *value) string {
	if v != nil {
		r.note(path+".profile", v)
	}
	return r.text(v)
}

// volumeOptions reads the options of the volume with that path. Their values may be numbers.
func (r *applicationReader) volumeOptions(path string, v *value) map[string]string {
	if !r.isMapping(v, "a mapping such as {zfs.recordsize: 8K}") {
		return nil
	}
	options := map[string]string{}
	for _, part := range v.parts {
		r.volumeOption(path, part, part.key, options)
	}
	return options
}

func (r *applicationReader) volumeOption(path string, v *value, option string, into map[string]string) {
	r.note(path+".options."+option, v)
	if v.kind == mapping || v.kind == list || v.kind == nothing {
		r.fail(v, "want a value such as 8K; got %s", v)
		return
	}
	into[option] = v.text
}

// volumePath is the path of a volume in a configuration.
func volumePath(id cluster.VolumeID) string { return "volumes." + string(id) }
