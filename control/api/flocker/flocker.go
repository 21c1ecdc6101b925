// Package flocker translates between the objects of Flocker's v1 API and those of Drover.
//
//	problems := flocker.DatasetCreate.Check(value)
//	dataset, err := flocker.CreateDataset(&configuration, request)
//	datasets := flocker.DatasetStates(nodes)
//
// The words of the two sides:
//
//	dataset       cluster.Volume        the name in its metadata is the volume's name
//	container     cluster.Application   that is placed on a node
//	lease         cluster.Lease
//	state         what the nodes last reported
//
// Everything here is a pure function of its arguments. A function that changes a configuration
// either does so and answers the object, or returns a *Refusal with Flocker's own words and
// leaves the configuration as it was. HTTP is the business of package api.
package flocker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/drover/drover/cluster"
)

// Version is the last version of Flocker, the one whose API this is.
const Version = "1.15.0"

// A Refusal is an answer of Flocker's API that is not a success. Its status and its words are
// part of that API: clients look at both.
type Refusal struct {
	Status      int      `json:"-"`
	Description string   `json:"description"`
	Errors      []string `json:"errors,omitempty"`
}

func (r *Refusal) Error() string { return r.Description }

func refuse(status int, description string) error {
	return &Refusal{Status: status, Description: description}
}

// NotJSON is the answer to a body that cannot be parsed.
func NotJSON() error {
	return refuse(http.StatusBadRequest, "The request body could not be decoded according to the value of the\nContent-Type header.")
}

// BadSchema is the answer to a body with those problems.
func BadSchema(problems []string) error {
	return &Refusal{http.StatusBadRequest, "The provided JSON doesn't match the required schema.", problems}
}

// CheckTag returns nil if one of the wanted tags is that of the configuration, or none is wanted.
func CheckTag(c cluster.Configuration, wanted []string) error {
	if len(wanted) == 0 {
		return nil
	}
	current := Tag(c)
	for _, tag := range wanted {
		if tag == current {
			return nil
		}
	}
	return refuse(http.StatusPreconditionFailed, "Tag doesn't match. Required: "+wanted[0]+", current: "+current)
}

// Tag identifies the datasets of a configuration: 128 bits in hexadecimal. Only calls about
// datasets are conditional, so it covers nothing else. Flocker's own tag covered containers and
// leases too, and clients had to repeat what had failed because a lease ran out.
func Tag(c cluster.Configuration) string {
	text, err := json.Marshal(c.Volumes) // sorted by key
	if err != nil {
		panic(err) // plain data: strings, numbers and booleans only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
