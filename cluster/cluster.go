// Package cluster is Drover's vocabulary: the nouns that every other package speaks, what makes
// each of them valid, and the errors that keep their meaning across a network.
//
//	Configuration   what the user wants
//	NodeState       what one node observes
//	Ownership       who may write a volume, fenced by an epoch
//	Move            one change of owner, from its request to its end
//	Route           external port -> application -> the endpoint that serves it now
//
// Data flows one way round:
//
//	files -> Configuration -> Assignment (per node) -> steps -> NodeState -> Routes -> proxies
//
// The package imports the standard library only. It starts no goroutine, opens no file and knows
// no protocol; all its values are plain data that marshal to JSON.
package cluster

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
)

// A NodeID names a node for ever: a UUID made at the node's first start and kept in its
// certificate.
type NodeID string

// A VolumeID names a volume for ever, whatever its owner and its name: a UUID.
type VolumeID string

// A MoveID names one move: a UUID.
type MoveID string

// An AppName names an application within a cluster.
type AppName string

// A SnapshotName names a snapshot within its volume.
type SnapshotName string

// An Epoch counts the changes of owner of one volume. It is the fencing token: an order that
// carries an older epoch than the volume's record is refused. The first owner has epoch 1.
type Epoch uint64

// A Revision is a point in the history of what the control service stores. Revisions only grow.
// Zero is before the first write.
type Revision uint64

// NewUUID returns a random version 4 UUID in its usual text form.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return formatUUID(b)
}

func formatUUID(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// IsUUID reports whether s is a version 4 UUID, in either case.
func IsUUID(s string) bool { return uuidPattern.MatchString(strings.ToLower(s)) }
