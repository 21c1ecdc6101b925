package flocker

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
)

// A Dataset is a volume as Flocker's API writes it. MaximumSize is in bytes; zero means no limit
// and is not written.
type Dataset struct {
	ID          string            `json:"dataset_id"`
	Primary     string            `json:"primary,omitempty"`
	Deleted     bool              `json:"deleted"`
	Metadata    map[string]string `json:"metadata"`
	MaximumSize int64             `json:"maximum_size,omitempty"`
}

// nameKey is the member of a dataset's metadata that clients keep its name in.
const nameKey = "name"

// sizeUnit is what the size of a dataset is a multiple of.
const sizeUnit = 1024

// Datasets returns all datasets of a configuration, deleted ones too, sorted by id.
func Datasets(c cluster.Configuration) []Dataset {
	datasets := make([]Dataset, 0, len(c.Volumes))
	for _, id := range slices.Sorted(maps.Keys(c.Volumes)) {
		datasets = append(datasets, datasetOf(c.Volumes[id]))
	}
	return datasets
}

func datasetOf(v cluster.Volume) Dataset {
	d := Dataset{
		ID:          string(v.ID),
		Primary:     string(v.Primary),
		Deleted:     v.Deleted,
		Metadata:    map[string]string{},
		MaximumSize: v.MaximumSize,
	}
	maps.Copy(d.Metadata, v.Metadata)
	if v.Name != "" {
		d.Metadata[nameKey] = v.Name
	}
	return d
}

// CreateDataset adds the dataset. Its ID must be set: the caller makes one if the request has
// none. The primary need not be a node that is known yet.
func CreateDataset(c *cluster.Configuration, d Dataset) (Dataset, error) {
	id := cluster.VolumeID(strings.ToLower(d.ID))
	if _, taken := c.Volumes[id]; taken {
		return Dataset{}, refuse(http.StatusConflict, "The provided dataset_id is already in use.")
	}
	if d.Deleted {
		return Dataset{}, refuse(http.StatusBadRequest, "A dataset cannot be created deleted.")
	}
	v := cluster.Volume{
		ID:          id,
		Primary:     nodeID(d.Primary),
		MaximumSize: (d.MaximumSize + sizeUnit - 1) / sizeUnit * sizeUnit,
		Metadata:    maps.Clone(d.Metadata),
	}
	// A name that another volume has, or that cannot be a volume's, stays mere metadata: Flocker
	// does not care for names, and Drover's are unique.
	name := d.Metadata[nameKey]
	if _, taken := c.VolumeNamed(name); !taken && cluster.ValidName(name) && !cluster.IsUUID(name) {
		v.Name = name
		delete(v.Metadata, nameKey)
	}
	c.Volumes[id] = v
	return datasetOf(v), nil
}

// UpdateDataset gives the dataset another primary; "" leaves it. A container that uses it goes
// with it, since it could not run anywhere else.
func UpdateDataset(c *cluster.Configuration, id, primary string) (Dataset, error) {
	v, err := dataset(c, id)
	if err != nil {
		return Dataset{}, err
	}
	if v.Deleted {
		return Dataset{}, refuse(http.StatusMethodNotAllowed, "The dataset has been deleted.")
	}
	if primary == "" {
		return datasetOf(v), nil
	}
	v.Primary = nodeID(primary)
	c.Volumes[v.ID] = v
	if app, used := c.User(v.ID); used && app.Node != "" {
		app.Node = v.Primary
		c.Applications[app.Name] = app
	}
	return datasetOf(v), nil
}

// DeleteDataset marks the dataset as deleted, once or again. Unlike in Flocker, one that a
// container uses stays: its container could only fail from then on.
func DeleteDataset(c *cluster.Configuration, id string) (Dataset, error) {
	v, err := dataset(c, id)
	if err != nil {
		return Dataset{}, err
	}
	if _, used := c.User(v.ID); used {
		return Dataset{}, errDatasetInUse()
	}
	v.Deleted = true
	c.Volumes[v.ID] = v
	return datasetOf(v), nil
}

// dataset finds by the exact id: Flocker compared the ids in paths as they were written.
func dataset(c *cluster.Configuration, id string) (cluster.Volume, error) {
	v, ok := c.Volumes[cluster.VolumeID(id)]
	if !ok {
		return v, errDatasetNotFound()
	}
	return v, nil
}

func errDatasetNotFound() error { return refuse(http.StatusNotFound, "Dataset not found.") }

func errDatasetInUse() error {
	return refuse(http.StatusConflict, "The dataset is being used by another container.")
}

func nodeID(s string) cluster.NodeID { return cluster.NodeID(strings.ToLower(s)) }
