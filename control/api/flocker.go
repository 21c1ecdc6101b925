package api

import (
	"encoding/json"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
	"github.com/drover/drover/control/api/schema"
	"github.com/drover/drover/internal/pki"
)

// Headers of Flocker's conditional requests.
const (
	tagHeader   = "X-Configuration-Tag"
	matchHeader = "X-If-Configuration-Matches"
)

// flockerBody reads the body of a call and holds it against its schema. The type of the content
// does not matter, as it did not to Flocker.
func flockerBody(c *gin.Context, s schema.Schema, into any) error {
	text, err := readBody(c)
	if err != nil {
		return err
	}
	value, err := schema.Parse(text)
	if err != nil {
		return flocker.NotJSON()
	}
	if problems := s.Check(value); len(problems) > 0 {
		return flocker.BadSchema(problems)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return flocker.NotJSON() // a number that is none of ours, such as 1e999
	}
	return nil
}

// ifTagged carries out a call about datasets if the configuration has the tag that the request
// asks for, if it does: a first time before the body is looked at, in Flocker's order, and again
// at the write, where it counts.
func (a *api) ifTagged(c *gin.Context, prepare func() error, edit func(*cluster.Configuration) error) error {
	wanted := c.Request.Header.Values(matchHeader)
	current, _ := a.service.Configuration()
	if err := flocker.CheckTag(current, wanted); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	return a.edit(c, func(next *cluster.Configuration) error {
		if err := flocker.CheckTag(*next, wanted); err != nil {
			return err
		}
		return edit(next)
	})
}

func (a *api) edit(c *gin.Context, edit func(*cluster.Configuration) error) error {
	_, err := a.service.Edit(c.Request.Context(), edit)
	return err
}

func (a *api) flockerVersion(*gin.Context, pki.Identity) (reply, error) {
	return ok(map[string]string{"flocker": flocker.Version}), nil
}

func (a *api) datasets(*gin.Context, pki.Identity) (reply, error) {
	configuration, _ := a.service.Configuration()
	return reply{body: flocker.Datasets(configuration), tag: flocker.Tag(configuration)}, nil
}

func (a *api) createDataset(c *gin.Context, _ pki.Identity) (reply, error) {
	request := flocker.Dataset{ID: cluster.NewUUID()}
	var dataset flocker.Dataset
	err := a.ifTagged(c,
		func() error { return flockerBody(c, flocker.DatasetCreate, &request) },
		func(next *cluster.Configuration) (err error) {
			dataset, err = flocker.CreateDataset(next, request)
			return err
		})
	return created(dataset), err
}

func (a *api) updateDataset(c *gin.Context, _ pki.Identity) (reply, error) {
	var request, dataset flocker.Dataset
	err := a.ifTagged(c,
		func() error { return flockerBody(c, flocker.DatasetUpdate, &request) },
		func(next *cluster.Configuration) (err error) {
			dataset, err = flocker.UpdateDataset(next, c.Param("dataset"), request.Primary)
			return err
		})
	return ok(dataset), err
}

func (a *api) deleteDataset(c *gin.Context, _ pki.Identity) (reply, error) {
	var dataset flocker.Dataset
	err := a.ifTagged(c,
		func() error { return nil },
		func(next *cluster.Configuration) (err error) {
			dataset, err = flocker.DeleteDataset(next, c.Param("dataset"))
			return err
		})
	return ok(dataset), err
}

func (a *api) containers(*gin.Context, pki.Identity) (reply, error) {
	configuration, _ := a.service.Configuration()
	return ok(flocker.Containers(configuration)), nil
}

func (a *api) createContainer(c *gin.Context, _ pki.Identity) (reply, error) {
	var request, container flocker.Container
	if err := flockerBody(c, flocker.ContainerCreate, &request); err != nil {
		return reply{}, err
	}
	err := a.edit(c, func(next *cluster.Configuration) (err error) {
		container, err = flocker.CreateContainer(next, request)
		return err
	})
	return created(container), err
}

func (a *api) moveContainer(c *gin.Context, _ pki.Identity) (reply, error) {
	var request, container flocker.Container
	if err := flockerBody(c, flocker.ContainerUpdate, &request); err != nil {
		return reply{}, err
	}
	err := a.edit(c, func(next *cluster.Configuration) (err error) {
		container, err = flocker.MoveContainer(next, c.Param("name"), request.Node)
		return err
	})
	return ok(container), err
}

func (a *api) deleteContainer(c *gin.Context, _ pki.Identity) (reply, error) {
	return ok(nil), a.edit(c, func(next *cluster.Configuration) error {
		return flocker.DeleteContainer(next, c.Param("name"))
	})
}

func (a *api) leases(*gin.Context, pki.Identity) (reply, error) {
	configuration, _ := a.service.Configuration()
	return ok(flocker.Leases(configuration, time.Now())), nil
}

func (a *api) acquireLease(c *gin.Context, _ pki.Identity) (reply, error) {
	var request, lease flocker.Lease
	if err := flockerBody(c, flocker.LeaseAcquire, &request); err != nil {
		return reply{}, err
	}
	isNew := false
	err := a.edit(c, func(next *cluster.Configuration) (err error) {
		lease, isNew, err = flocker.AcquireLease(next, request, time.Now())
		return err
	})
	if isNew {
		return created(lease), err
	}
	return ok(lease), err
}

func (a *api) releaseLease(c *gin.Context, _ pki.Identity) (reply, error) {
	var lease flocker.Lease
	err := a.edit(c, func(next *cluster.Configuration) (err error) {
		lease, err = flocker.ReleaseLease(next, c.Param("dataset"), time.Now())
		return err
	})
	return ok(lease), err
}

func (a *api) datasetStates(*gin.Context, pki.Identity) (reply, error) {
	return ok(flocker.DatasetStates(a.service.Nodes())), nil
}

func (a *api) containerStates(*gin.Context, pki.Identity) (reply, error) {
	configuration, _ := a.service.Configuration()
	return ok(flocker.ContainerStates(configuration, a.service.Nodes())), nil
}

func (a *api) nodeStates(*gin.Context, pki.Identity) (reply, error) {
	return ok(flocker.NodeStates(a.service.Nodes(), time.Now())), nil
}

func (a *api) nodeByEra(c *gin.Context, _ pki.Identity) (reply, error) {
	node, err := flocker.NodeByEra(a.service.Nodes(), c.Param("era"))
	return ok(node), err
}
