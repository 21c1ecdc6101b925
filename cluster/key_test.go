package cluster

import (
	"errors"
	"strings"
	"testing"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvX0YhyqVP1kPUf2xE6kqJ8cHhVJpQh3u0c0v8xGJ6A"

func TestParseUserKey(t *testing.T) {
	const secret = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"
	for _, row := range []struct {
		rule, text, says string // says: what would be right; empty: it is accepted
	}{
		{"as ssh-keygen writes it", publicKey + " me@laptop\n", ""},
		{"without a comment", publicKey, ""},
		{"a comment of several words", "  " + publicKey + " me and my laptop\r\n", ""},
		{"the private key", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret + "\n-----END OPENSSH PRIVATE KEY-----\n", ".pub"},
		{"another form of it", "PuTTY-User-Key-File-3: ssh-ed25519\n" + secret, ".pub"},
		{"a part of it", secret, ".pub"},
		{"RSA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 me", "ssh-keygen -t ed25519"},
		{"another kind under this name", "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAABAQC7", "ssh-keygen -t ed25519"},
		{"cut short", publicKey[:len(publicKey)-4], "ssh-keygen -t ed25519"},
		{"options, which would be lost", `command="id" ` + publicKey, "ssh-keygen -t ed25519"},
		{"two keys", publicKey + "\n" + publicKey + "\n", ".pub"},
		{"nothing", "", ".pub"},
	} {
		got, err := ParseUserKey(row.text)
		switch {
		case row.says == "" && (err != nil || got != publicKey):
			t.Errorf("%s: %q, %v", row.rule, got, err)
		case row.says != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), row.says)):
			t.Errorf("%s: %v, want ErrInvalid that says %s", row.rule, err, row.says)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%s: a secret is shown: %v", row.rule, err)
		}
	}
}

func TestKnownHost(t *testing.T) {
	for _, row := range []struct {
		rule, name, address, key, want string
	}{
		{"by its address and its name", "a", "10.0.0.1:4524", publicKey, "[10.0.0.1]:4524,[a]:4524 " + publicKey},
		{"IPv6", "a", "[fd00::1]:4524", publicKey, "[fd00::1]:4524,[a]:4524 " + publicKey},
		{"a host's name", "a", "a:4524", publicKey, "[a]:4524 " + publicKey},
		{"no pattern", "a", "*:4524", publicKey, ""},
		{"no list", "a", "a,b:4524", publicKey, ""},
		{"no second line", "a", "a:4524", publicKey + "\n* " + publicKey, ""},
		{"nor by a zone", "a", "[fe80::1%*,x]:4524", publicKey, ""},
		{"nor by the port", "a", "a:4524 x", publicKey, ""},
		{"a name that would be a pattern", "*", "10.0.0.1:4524", publicKey, "[10.0.0.1]:4524 " + publicKey},
		{"no key", "a", "10.0.0.1:4524", "", ""},
		{"no address", "a", "", publicKey, ""},
	} {
		got, err := Node{ID: "id", Name: row.name, TransferAddress: row.address, TransferKey: row.key}.KnownHost()
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v; want %q", row.rule, got, err, row.want)
		}
	}
}
