package copystore

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/drover/drover/test/harness/powercut"
)

// TestNobodyElsePassesToTheData: with containers only root does, with processes the owner of the data
// too, and nobody reaches what is in the trash. A tree of an earlier version, which anybody passed, is
// closed when it is opened.
func TestNobodyElsePassesToTheData(t *testing.T) {
	powercut.Each(t, func(t *testing.T, kind string) {
		for _, private := range []bool{true, false} {
			root := filepath.Join(powercut.New(t, kind, 512<<20).Path(), "volumes")
			for dir := root; dir != "/"; dir = filepath.Dir(dir) { // where tests are is closed to others
				if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
					must(t, os.Chmod(dir, info.Mode().Perm()|0o011))
				}
			}
			r := open(t, root, Options{Private: private})
			c := add(t, r)
			must(t, os.Chown(c.Data(), 65001, 65002))
			must(t, os.WriteFile(filepath.Join(c.Data(), "file"), []byte("content"), 0o644))
			must(t, c.Opened(1))
			file := filepath.Join(c.Data(), "file")
			check := func() {
				t.Helper()
				wantPass(t, 65001, 65001, file, !private)
				wantPass(t, 65003, 65002, file, false)
				wantPass(t, 65003, 65003, file, false)
				if info, err := os.Stat(c.Dir); private && (err != nil || info.Mode().Perm() != 0o700) {
					t.Errorf("the copy is %v, %v", mode(info), err)
				}
			}
			check()
			for _, dir := range []string{r.path, c.Dir, r.trash()} { // as it was
				must(t, os.Chmod(dir, 0o711))
			}
			r = reopen(t, r)
			check()
			must(t, errors.Join(r.Close(c.ID), r.Remove(c.ID)))
			inTrash, _ := filepath.Glob(filepath.Join(r.trash(), "*", dataName, "file"))
			wantPass(t, 65001, 65001, inTrash[0], false)
			must(t, r.Restore(c.ID, 1))
			check()
		}
	})
}

func wantPass(t *testing.T, uid, gid uint32, file string, want bool) {
	t.Helper()
	cat := exec.Command("cat", file)
	cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	if said, err := cat.CombinedOutput(); (err == nil) != want {
		info, statErr := os.Stat(filepath.Dir(filepath.Dir(file)))
		t.Errorf("user %d, group %d reads it: %v, want %v (%v, %s; %v %v)", uid, gid, err == nil, want, err, said, mode(info), statErr)
	}
}

func mode(info fs.FileInfo) fs.FileMode {
	if info == nil {
		return 0
	}
	return info.Mode()
}
