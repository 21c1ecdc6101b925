package dir

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// batchBlocks is how many blocks are read and hashed at a time.
const batchBlocks = 64

// A content reads a file batch by batch and hashes its blocks on all processors: in the last
// round of a move a large file that was written to is read whole while clients wait.
type content struct {
	file   *os.File
	size   int64
	buffer []byte
	hashes [batchBlocks]hash
}

func newContent(buffer []byte) *content { return &content{buffer: buffer} }

// newBuffer is what a content reads into.
func newBuffer() []byte { return make([]byte, batchBlocks*blockSize) }

func blocksOf(size int64) int { return int((size + blockSize - 1) / blockSize) }

// each calls visit for each block of the file in order. Data is valid during the call only. A
// file that has become shorter reads as zeros at its end; the next pass sees what it is then.
func (c *content) each(f *os.File, size int64, visit func(block int, h hash, data []byte) error) error {
	c.file, c.size = f, size
	for first, last := 0, blocksOf(size); first < last; first += batchBlocks {
		n := min(batchBlocks, last-first)
		data, err := c.read(first, n)
		if err != nil {
			return err
		}
		c.hash(data)
		for i := range n {
			if err := visit(first+i, c.hashes[i], block(data, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// read fills the buffer with n blocks. A stretch without data is not read.
func (c *content) read(first, n int) ([]byte, error) {
	start := int64(first) * blockSize
	data := c.buffer[:min(int64(n)*blockSize, c.size-start)]
	next, err := unix.Seek(int(c.file.Fd()), start, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) || (err == nil && next >= start+int64(len(data))) {
		clear(data)
		return data, nil
	}
	read, err := c.file.ReadAt(data, start)
	if errors.Is(err, io.EOF) {
		clear(data[read:])
		err = nil
	}
	return data, err
}

func block(data []byte, i int) []byte {
	return data[i*blockSize : min((i+1)*blockSize, len(data))]
}

// hash fills hashes for the blocks of data.
func (c *content) hash(data []byte) {
	n := blocksOf(int64(len(data)))
	workers := min(runtime.GOMAXPROCS(0), n)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				c.hashes[i] = hashOf(block(data, i))
			}
		})
	}
	group.Wait()
}

// hashOf is zeroHash for zeros.
func hashOf(b []byte) hash {
	if isZero(b) {
		return zeroHash
	}
	return sha256.Sum256(b)
}

func isZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
