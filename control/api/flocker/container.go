package flocker

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
)

// A Container is an application as Flocker's API writes it.
type Container struct {
	Node          string                `json:"node_uuid"`
	Name          string                `json:"name"`
	Image         string                `json:"image"`
	Ports         []cluster.Port        `json:"ports,omitempty"`
	Environment   map[string]string     `json:"environment,omitempty"`
	RestartPolicy cluster.RestartPolicy `json:"restart_policy"`
	CommandLine   []string              `json:"command_line,omitempty"`
	Swappiness    int                   `json:"swappiness,omitempty"`
	Volumes       []Attachment          `json:"volumes,omitempty"`
	CPUShares     int                   `json:"cpu_shares,omitempty"`
	// MemoryLimit is in bytes.
	MemoryLimit int64          `json:"memory_limit,omitempty"`
	Links       []cluster.Link `json:"links,omitempty"`
}

// An Attachment is a container's use of a dataset.
type Attachment struct {
	Dataset    string `json:"dataset_id"`
	Mountpoint string `json:"mountpoint"`
}

// Containers returns the applications that are placed on a node, sorted by name.
func Containers(c cluster.Configuration) []Container {
	containers := []Container{}
	for _, name := range slices.Sorted(maps.Keys(c.Applications)) {
		if app := c.Applications[name]; app.Node != "" {
			containers = append(containers, containerOf(app))
		}
	}
	return containers
}

func containerOf(a cluster.Application) Container {
	a = a.Clone()
	c := Container{
		Node:          string(a.Node),
		Name:          string(a.Name),
		Image:         tagged(a.Image),
		Ports:         a.Ports,
		Environment:   a.Environment,
		RestartPolicy: a.Restart,
		CommandLine:   a.Command,
		Swappiness:    a.Limits.Swappiness,
		CPUShares:     a.Limits.CPUShares,
		MemoryLimit:   a.Limits.MemoryBytes,
		Links:         a.Links,
	}
	if c.RestartPolicy.Name == "" {
		c.RestartPolicy.Name = cluster.RestartNever
	}
	if a.Volume != nil {
		c.Volumes = []Attachment{{string(a.Volume.Volume), a.Volume.Mountpoint}}
	}
	for i := range c.Links {
		c.Links[i].Alias = strings.ToLower(c.Links[i].Alias)
	}
	slices.SortFunc(c.Ports, func(a, b cluster.Port) int {
		return cmp.Or(cmp.Compare(a.Internal, b.Internal), cmp.Compare(a.External, b.External))
	})
	slices.SortFunc(c.Links, func(a, b cluster.Link) int {
		return cmp.Or(cmp.Compare(a.LocalPort, b.LocalPort), cmp.Compare(a.RemotePort, b.RemotePort))
	})
	return c
}

// CreateContainer adds the application and places it.
func CreateContainer(c *cluster.Configuration, r Container) (Container, error) {
	app := applicationOf(r)
	if _, taken := c.Applications[app.Name]; taken {
		return Container{}, refuse(http.StatusConflict, "The container name already exists.")
	}
	if app.Image == "" {
		return Container{}, refuse(http.StatusBadRequest,
			"Docker image names must have format 'repository[:tag]'. Found '"+r.Image+"'.")
	}
	if err := checkVolume(c, app); err != nil {
		return Container{}, err
	}
	if err := checkPorts(c, app); err != nil {
		return Container{}, err
	}
	if err := checkLinks(app); err != nil {
		return Container{}, err
	}
	c.Applications[app.Name] = app
	return containerOf(app), nil
}

func applicationOf(r Container) cluster.Application {
	app := cluster.Application{
		// Docker shows names with a slash in front, and takes both forms for one.
		Name:        cluster.AppName(strings.TrimPrefix(r.Name, "/")),
		Image:       tagged(r.Image),
		Command:     r.CommandLine,
		Ports:       r.Ports,
		Links:       r.Links,
		Environment: r.Environment,
		Limits:      cluster.Limits{MemoryBytes: r.MemoryLimit, CPUShares: r.CPUShares, Swappiness: r.Swappiness},
		Restart:     r.RestartPolicy,
		Node:        nodeID(r.Node),
	}
	for i := range app.Links {
		app.Links[i].Alias = strings.ToLower(app.Links[i].Alias)
	}
	if len(r.Volumes) > 0 {
		app.Volume = &cluster.Attachment{
			Volume:     cluster.VolumeID(strings.ToLower(r.Volumes[0].Dataset)),
			Mountpoint: r.Volumes[0].Mountpoint,
		}
	}
	return app
}

func checkVolume(c *cluster.Configuration, app cluster.Application) error {
	if app.Volume == nil {
		return nil
	}
	v, ok := c.Volumes[app.Volume.Volume]
	if !ok || v.Deleted {
		return errDatasetNotFound()
	}
	if v.Primary != app.Node {
		return refuse(http.StatusConflict, "The dataset is on another node.")
	}
	if _, used := c.User(v.ID); used {
		return errDatasetInUse()
	}
	return nil
}

func checkPorts(c *cluster.Configuration, app cluster.Application) error {
	taken := map[int]bool{}
	for _, other := range c.Applications {
		for _, p := range other.Ports {
			taken[p.External] = true
		}
	}
	for _, p := range app.Ports {
		if taken[p.External] {
			return refuse(http.StatusConflict, "A specified external port is already in use.")
		}
		taken[p.External] = true
	}
	return nil
}

func checkLinks(app cluster.Application) error {
	aliases, ports := map[string]bool{}, map[int]bool{}
	for _, l := range app.Links {
		if aliases[l.Alias] {
			return refuse(http.StatusConflict, "Link aliases must be unique.")
		}
		if ports[l.LocalPort] {
			return refuse(http.StatusConflict, "The local ports in a container's links must be unique.")
		}
		aliases[l.Alias], ports[l.LocalPort] = true, true
	}
	return nil
}

// MoveContainer places the application, and its volume with it, on another node.
func MoveContainer(c *cluster.Configuration, name, node string) (Container, error) {
	app, ok := c.Applications[cluster.AppName(name)]
	if !ok {
		return Container{}, errContainerNotFound()
	}
	app.Node = nodeID(node)
	c.Applications[app.Name] = app
	if app.Volume != nil {
		if v, ok := c.Volumes[app.Volume.Volume]; ok {
			v.Primary = app.Node
			c.Volumes[v.ID] = v
		}
	}
	return containerOf(app), nil
}

// DeleteContainer removes the application. Its volume stays.
func DeleteContainer(c *cluster.Configuration, name string) error {
	if _, ok := c.Applications[cluster.AppName(name)]; !ok {
		return errContainerNotFound()
	}
	delete(c.Applications, cluster.AppName(name))
	return nil
}

func errContainerNotFound() error { return refuse(http.StatusNotFound, "Container not found.") }

// tagged returns an image with its tag, "latest" if it has none, or "" if it names no image. The
// colon of a registry's port is not that of a tag; Flocker took it for one.
func tagged(image string) string {
	name := image[strings.LastIndex(image, "/")+1:]
	repository, _, hasTag := strings.Cut(name, ":")
	switch {
	case repository == "":
		return ""
	case hasTag || strings.Contains(name, "@"):
		return image
	default:
		return image + ":latest"
	}
}
