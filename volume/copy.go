package volume

import "github.com/drover/drover/cluster"

// What is said of copies is part of the vocabulary: a plan needs it, and no backend.
type (
	// A Copy is what one node holds of a volume.
	Copy = cluster.Copy
	// A Partial is a transfer that has arrived in part.
	Partial = cluster.Partial
	// Labels are what people call a volume.
	Labels = cluster.Labels
)

// MaxToken bounds the Token of a Partial, in bytes.
const MaxToken = 64 << 10
