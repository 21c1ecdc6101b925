package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeysAreMadeOnceAndPrivate(t *testing.T) {
	key, file := newKey(t)
	again, err := LoadOrCreateKey(file)
	if err != nil || PublicKey(again) != PublicKey(key) {
		t.Errorf("another key was made: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file is %v: %v", info, err)
	}
}

func TestAKeyFileThatIsNoKeyIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "not a key" {
		t.Error("the file was written over: the cluster's records would not know the node any more")
	}
}

func TestThePublicKeyIsInAuthorizedKeysForm(t *testing.T) {
	key, _ := newKey(t)
	if got := PublicKey(key); !strings.HasPrefix(got, "ssh-ed25519 AAAA") || strings.Count(got, " ") != 1 || strings.Contains(got, "\n") {
		t.Errorf("%q is not type, space, base64", got)
	}
}
