package files

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// batchBlocks is how many blocks are read and hashed at a time.
const batchBlocks = 32

// A reading reads a file block by block and hashes its blocks on all processors: in the last round
// of a move a large file that was written to is read whole while clients wait. Holes are not read.
//
//	for r.next() { r.hash, r.count, r.data }
type reading struct {
	file *os.File
	size int64
	err  error

	// hash is that of the present block, or zeroHash for count blocks of zeros; data is what is in it.
	hash  hash
	count int64
	block int64 // the number of the present one
	data  []byte

	buffer []byte
	batch  []byte // what has been read of the file and is not used up
	hashes [batchBlocks]hash
	at     int   // of batch
	next64 int64 // the block after the present one
	dataTo int64 // up to this block nobody has said that there is a hole
}

func (r *reading) start(f *os.File, size int64) {
	if r.buffer == nil {
		r.buffer = make([]byte, batchBlocks*blockSize)
	}
	*r = reading{file: f, size: size, buffer: r.buffer}
}

// next goes to the next block, or stretch of zeros, and reports whether there is one. A file that has
// become shorter reads as zeros at its end: the next look sees what it is then.
func (r *reading) next() bool {
	last := blocksOf(r.size)
	if r.err != nil || r.next64 >= last {
		return false
	}
	r.block, r.data, r.count = r.next64, nil, 1
	if len(r.batch) == 0 {
		if r.next64 >= r.dataTo {
			hole := r.findData(last)
			if r.err != nil {
				return false
			}
			if hole > 0 {
				r.hash, r.count = zeroHash, hole
				r.next64 += hole
				return true
			}
		}
		if r.fill(); r.err != nil {
			return false
		}
	}
	r.hash = r.hashes[r.at]
	r.data = r.batch[:min(blockSize, len(r.batch))]
	r.batch = r.batch[len(r.data):]
	r.at++
	r.next64++
	return true
}

// A write that is under way has stamped the file at its beginning. The look for data waits for it, and
// so nothing of it is missed: it takes the lock of the inode, or the read after it does.
//
// findData returns how many blocks from the next one on are a hole, and how far the data after it goes.
func (r *reading) findData(last int64) (hole int64) {
	from := r.next64 * blockSize
	start, err := unix.Seek(int(r.file.Fd()), from, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return last - r.next64
	}
	if err != nil { // a file system that knows of no holes
		r.dataTo = last
		return 0
	}
	end, err := unix.Seek(int(r.file.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		end = r.size
	}
	r.dataTo = min(blocksOf(end), last)
	return min(start/blockSize, last) - r.next64
}

// fill reads and hashes the next batch.
func (r *reading) fill() {
	n := min(batchBlocks, r.dataTo-r.next64)
	if n <= 0 { // the file has shrunk below us
		n = 1
	}
	start := r.next64 * blockSize
	r.batch, r.at = r.buffer[:min(n*blockSize, r.size-start)], 0
	read, err := r.file.ReadAt(r.batch, start)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
		return
	}
	clear(r.batch[read:])
	r.hashAll()
}

func (r *reading) hashAll() {
	n := int(blocksOf(int64(len(r.batch))))
	one := func(i int) {
		r.hashes[i] = hashOf(r.batch[i*blockSize : min((i+1)*blockSize, len(r.batch))])
	}
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers == 1 {
		one(0)
		for i := 1; i < n; i++ {
			one(i)
		}
		return
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				one(i)
			}
		})
	}
	group.Wait()
}
