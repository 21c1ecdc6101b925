package volume

// Properties are what a backend can do, as data.
type Properties struct {
	// Name is "dir", "btrfs", "zfs" or "mem".
	Name string `json:"name"`
	// Instant: a snapshot of an open volume is one instant, not a walk over moving files.
	Instant bool `json:"instant"`
	// AnyBase: a difference may build on any snapshot that the receiver holds, not only on the one
	// that it is at. So older ones are worth keeping, for nodes that hold no newer one.
	AnyBase bool `json:"any_base"`
	// Bases: a difference can still build on a snapshot that was dropped: see Copy.Bases.
	Bases bool `json:"bases"`
	// Resumable: a transfer that was cut goes on where it stopped.
	Resumable bool `json:"resumable"`
	// Enforced: the size limit of a volume stops its writers. Otherwise it is only checked,
	// warned of and reported.
	Enforced bool `json:"enforced"`
	// Proof is what says that a copy that arrived by a stream of the backend's own equals its
	// source, in a few words for people.
	Proof string `json:"proof,omitempty"`
	// Features describe what was found on this host, for people: versions, what is missing.
	Features map[string]string `json:"features,omitempty"`
}

// Space is how much room a backend has, in bytes.
type Space struct {
	// Free is what could be stored more.
	Free int64
	// Total is the size of the storage.
	Total int64
}

// Tight reports whether so little space is left, less than a twentieth, that what only pins some
// should go.
func (s Space) Tight() bool { return s.Free < s.Total/20 }
