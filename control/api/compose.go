package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
	"github.com/drover/drover/internal/pki"
)

// compose is what flocker-deploy calls: the files as JSON become the configuration.
func (a *api) compose(c *gin.Context, _ pki.Identity) (reply, error) {
	if a.Compose == nil {
		return reply{}, fmt.Errorf("%w: this service reads no application files", cluster.ErrUnsupported)
	}
	var files struct {
		Applications json.RawMessage `json:"applications"`
		Deployment   json.RawMessage `json:"deployment"`
	}
	if err := flockerBody(c, flocker.Compose, &files); err != nil {
		return reply{}, err
	}
	// Nobody's write waits for this.
	deploy, err := a.Compose(files.Applications, files.Deployment)
	if err != nil {
		return reply{}, &flocker.Refusal{Status: http.StatusBadRequest, Description: cluster.Message(err)}
	}
	var nodes []cluster.Node
	for _, n := range a.service.Nodes() {
		nodes = append(nodes, n.Node)
	}
	return ok(nil), a.edit(c, func(current *cluster.Configuration) error {
		next, err := deploy(current.Clone(), nodes)
		if err != nil {
			// Whatever kind it is of, it is the author of the files who is told.
			return &flocker.Refusal{Status: http.StatusBadRequest, Description: cluster.Message(err)}
		}
		*current = next
		return nil
	})
}
