package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// A reserve is space that is kept for records. A disk that is full to the last byte stops
// applications, but not what is done about it: closing, moving away, putting into the trash.
type reserve struct {
	path string

	mu    sync.Mutex
	given time.Time // when it was given up; zero: it is there
}

const (
	reserveBytes = 4 << 20
	// reserveAgain is how long after it was given up it is made again at the earliest, and
	// reserveFree how much must be free then.
	reserveAgain = 10 * time.Second
	reserveFree  = 16 * reserveBytes
)

// spare does a write, for which it gives up the reserve if there is no space.
func (r *Root) spare(write func() error) error {
	err := write()
	if err == nil {
		r.renewReserve()
		return nil
	}
	if !cluster.Full(err) {
		return err
	}
	given, giveErr := r.reserve.give()
	if giveErr != nil {
		return errors.Join(err, giveErr)
	}
	if given {
		r.o.Log.Error("the disk is full: the space that is kept for records is used now", "path", r.path)
	}
	return write()
}

// give gives the space up. When it returns it is free.
func (v *reserve) give() (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.given = time.Now()
	// The file stays: to make it again must not need anything that may be short, and what is truncated
	// is free at once where what is deleted is only some time later.
	f, err := os.OpenFile(v.path, os.O_WRONLY, 0)
	if gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	had, metadataErr := v.giveMetadata()
	if err == nil && (had || info.Size() > 0) {
		had = true
		err = errors.Join(f.Truncate(0), unix.Syncfs(int(f.Fd())))
	}
	return had, errors.Join(err, metadataErr, f.Close())
}

// keepReserve makes the reserve if there is room for it.
func (r *Root) keepReserve() {
	if err := r.reserve.make(); err != nil {
		r.reserve.given = time.Now()
		r.o.Log.Warn("no space can be kept for records", "path", filepath.Dir(r.reserve.path), "error", err)
	}
}

// renewReserve makes it again some time after it was given up.
func (r *Root) renewReserve() {
	v := &r.reserve
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.given.IsZero() || time.Since(v.given) < reserveAgain {
		return
	}
	v.given = time.Now() // not to be tried at every write
	if space, err := r.Space(); err != nil || space.Free < reserveFree {
		return
	}
	if err := v.make(); err == nil {
		v.given = time.Time{}
	}
}

// make allocates the space. It is nothing that must survive: it is made again at the next start.
func (v *reserve) make() error {
	f, err := os.OpenFile(v.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil && st.Blocks*512 < reserveBytes {
		err = unix.Fallocate(int(f.Fd()), 0, 0, reserveBytes)
		if errors.Is(err, unix.EOPNOTSUPP) {
			_, err = f.Write(make([]byte, reserveBytes))
		}
		if err != nil {
			err = errors.Join(err, f.Truncate(0))
		}
	}
	return errors.Join(err, v.makeMetadata(), f.Close())
}
