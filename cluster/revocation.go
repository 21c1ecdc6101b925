package cluster

import "time"

// A Revocation shuts a user out: whoever has a certificate with that name.
type Revocation struct {
	User    string    `json:"user"`
	Revoked time.Time `json:"revoked"`
	// By is the user who asked for it.
	By string `json:"by"`
}
