package deploy

import (
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/drover/drover/cluster"
)

// composeVolume returns the one volume of a service, and what the file says of it.
func (c *composeReader) composeVolume(v *value, s types.ServiceConfig) (*cluster.Attachment, volumeWish) {
	if len(s.Volumes) == 0 {
		return nil, volumeWish{}
	}
	where := v.get("volumes")
	if len(s.Volumes) > 1 {
		c.fail(at(where, 1), "only one volume per service is supported; got %d", len(s.Volumes))
	}
	m := s.Volumes[0]
	where = at(where, 0)
	switch {
	case m.Type != types.VolumeTypeVolume:
		c.fail(where, "want a named volume: %s mounts stay on their host", m.Type)
	case m.ReadOnly:
		c.fail(where, "a volume that is read only is not supported")
	case m.Source != "" && c.users[m.Source] != "":
		c.fail(where, "volume %s belongs to %s already: one volume per application", m.Source, c.users[m.Source])
	}
	c.users[m.Source] = v.key
	id := cluster.VolumeIDForName(cluster.AppName(v.key))
	c.note("applications."+v.key+".volume", where)
	c.note(volumePath(id), where)
	return &cluster.Attachment{Volume: id, Mountpoint: m.Target}, c.composeWish(volumePath(id), m.Source)
}

// composeWish returns what the file says of the volume with that name in it, and with that path in
// the configuration.
func (c *composeReader) composeWish(path, name string) volumeWish {
	declared := c.services.parent.get("volumes").field(name)
	if declared == nil || declared.kind != mapping {
		return volumeWish{}
	}
	options := declared.get("driver_opts")
	wish := volumeWish{maximumSize: c.size(options.get("size")), profile: c.profile(path, options.get("profile"))}
	if options == nil {
		return wish
	}
	for _, part := range options.parts {
		if isBackendOption(part.key) {
			if wish.options == nil {
				wish.options = map[string]string{}
			}
			c.volumeOption(path, part, part.key, wish.options)
		}
	}
	return wish
}

// composeOptions refuses options of a volume that nobody knows.
func (r *applicationReader) composeOptions(v *value) {
	if v == nil || v.kind != mapping {
		return
	}
	for _, part := range v.parts {
		if part.key != "size" && part.key != "profile" && !isBackendOption(part.key) {
			r.fail(part, "cannot be honoured here, so it is refused: remove it (known here: size, profile, and settings of a backend such as zfs.recordsize)")
		}
	}
}

// isBackendOption tells the name of a setting of a backend, which has the backend's before it.
func isBackendOption(key string) bool { return strings.Contains(key, ".") }
