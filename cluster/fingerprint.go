package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Fingerprint identifies what must equal for a running instance to be left alone: everything
// that the process sees. Where the application is placed, its restart policy, its external ports and
// what of its data may be lost are not part of it, so that changing them restarts nothing.
//
// It is the same in every version: a field that is added is not written without a value.
func (s Spec) Fingerprint() string {
	a := s.Application.Clone()
	a.Scratch = nil
	a.Node, a.Restart.Name, a.Restart.MaximumRetryCount = "", "", 0
	for i := range a.Ports {
		a.Ports[i].External = 0
	}
	s.Application = a
	s.Epoch = 0
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // plain data always marshals
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
