package copystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// show makes the volume appear below the mount root.
func (c *Copy) show() error {
	if c.root.o.MountRoot == "" {
		return nil
	}
	at := c.root.Path(c.ID)
	if target, err := os.Readlink(at); err == nil && target == c.Data() {
		return nil
	}
	if err := c.hide(); err != nil {
		return err
	}
	return os.Symlink(c.Data(), at)
}

// hide takes away what is below the mount root under the volume's id. A container engine makes
// directories that it shall mount and that are not there: what was written into one is kept under another
// name.
func (c *Copy) hide() error {
	if c.root.o.MountRoot == "" {
		return nil
	}
	at := c.root.Path(c.ID)
	err := os.Remove(at)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside := fmt.Sprintf("%s.foreign.%d", at, time.Now().UnixNano())
	c.root.o.Log.Warn("something else was in the place of a volume", "volume", c.ID, "at", at, "kept_as", aside)
	return os.Rename(at, aside)
}
