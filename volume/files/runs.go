package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	gohash "hash"
	"io"
	"os"

	"bufio"
)

// blockSize is the unit in which a changed file is shipped. Smaller ones ship less for scattered
// writes, larger ones need fewer hashes: 32 bytes for each 64 KiB.
const blockSize = 64 << 10

// zeroHash stands for a block of zeros, which is not shipped but left as a hole.
var zeroHash hash

// unknownHash stands for a block of which nobody knows what it holds: no block has it.
var unknownHash = hash{0xff}

func blocksOf(size int64) int64 {
	n := size / blockSize
	if size%blockSize != 0 {
		n++
	}
	return n
}

// hashOf is zeroHash for zeros.
func hashOf(b []byte) hash {
	if isZero(b) {
		return zeroHash
	}
	return sha256.Sum256(b)
}

var zeros [blockSize]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

// maxHashes is how many hashes go into one record.
const maxHashes = 256

// runs are the hashes of a file's blocks as they are found, up to their place in the listing behind
// the entry, which can be written only when the whole file is known. Most are few; those of a large
// file go to a file of their own.
type runs struct {
	dir string // where that file is made
	of  string // whose they are, for whom that matters
	// memory holds records, each with its kind and length before it.
	memory []byte
	spill  *roomy

	sum    gohash.Hash
	hashes []byte // of the record that is not complete yet
	zeros  int64  // the same
	held   int64  // bytes in blocks that are no zeros, as if all were full
	blocks int64
	err    error
}

// maxMemory is how much of the runs of one file is kept in memory.
const maxMemory = 1 << 20

func (r *runs) reset() {
	if r.spill != nil {
		r.spill.Close() // it has no name any more
	}
	*r = runs{dir: r.dir, memory: r.memory[:0], hashes: r.hashes[:0]}
}

// add adds n blocks of zeros, or one block with another hash.
func (r *runs) add(h hash, n int64) {
	if r.sum == nil {
		r.sum = sha256.New()
	}
	r.blocks += n
	if h == zeroHash {
		r.flushHashes()
		r.zeros += n
		return
	}
	r.flushZeros()
	r.held += blockSize
	r.hashes = append(r.hashes, h[:]...)
	r.sum.Write([]byte{recordBlocks})
	r.sum.Write(h[:])
	if len(r.hashes) == maxHashes*len(h) {
		r.flushHashes()
	}
}

func (r *runs) flushHashes() {
	if len(r.hashes) > 0 {
		r.write(recordBlocks, r.hashes)
		r.hashes = r.hashes[:0]
	}
}

func (r *runs) flushZeros() {
	if r.zeros > 0 {
		n := binary.AppendUvarint(nil, uint64(r.zeros))
		r.write(recordZeros, n)
		r.sum.Write([]byte{recordZeros})
		r.sum.Write(n)
		r.zeros = 0
	}
}

func (r *runs) write(kind byte, payload []byte) {
	r.memory = append(r.memory, kind)
	r.memory = binary.AppendUvarint(r.memory, uint64(len(payload)))
	r.memory = append(r.memory, payload...)
	if len(r.memory) < maxMemory || r.err != nil {
		return
	}
	if r.spill == nil {
		if r.spill, r.err = createRoomy(r.dir, ".runs-", MemoryFile); r.err != nil {
			return
		}
		if !r.spill.moved {
			os.Remove(r.spill.Name()) // it goes with its descriptor
		}
	}
	_, r.err = r.spill.Write(r.memory)
	r.memory = r.memory[:0]
}

// finish sets the sum and the bytes of a file's entry.
func (r *runs) finish(e *entry) error {
	r.flushHashes()
	r.flushZeros()
	e.sum = hash{}
	if r.sum != nil {
		e.sum = hash(r.sum.Sum(nil))
	}
	e.held = min(r.held, e.size)
	return r.err
}

// each calls write for each record.
func (r *runs) each(write func(record) error) error {
	if r.spill != nil {
		if _, err := r.spill.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := eachIn(bufio.NewReaderSize(r.spill, 256<<10), write); err != nil {
			return err
		}
	}
	return eachIn(bytes.NewReader(r.memory), write)
}

func eachIn(in interface {
	io.Reader
	io.ByteReader
}, write func(record) error) error {
	var buffer []byte
	for {
		kind, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		length, err := binary.ReadUvarint(in)
		if err != nil {
			return err
		}
		if buffer, err = readPart(in, buffer, int(length)); err != nil {
			return err
		}
		if err := write(record{kind, buffer}); err != nil {
			return err
		}
	}
}

// A blocks reads the runs of the present entry of a listing block by block. Past its end all is zeros,
// which is what a file grows by.
type blocks struct {
	of     *items // nil: there are none
	hashes []byte
	zeros  int64
	done   bool
}

// next returns up to n blocks that are alike: a hash that is not of zeros comes alone.
func (b *blocks) next(n int64) (hash, int64, error) {
	for {
		switch {
		case len(b.hashes) > 0:
			h := hash(b.hashes[:len(zeroHash)])
			b.hashes = b.hashes[len(h):]
			return h, 1, nil
		case b.zeros > 0:
			n = min(n, b.zeros)
			b.zeros -= n
			return zeroHash, n, nil
		case b.of == nil || b.done:
			return zeroHash, n, nil
		}
		r, ok, err := b.of.run()
		if err != nil {
			return zeroHash, 0, err
		}
		b.done = !ok
		d := decoder{b: r.payload}
		switch r.kind {
		case recordBlocks:
			if len(r.payload)%len(zeroHash) != 0 {
				return zeroHash, 0, b.of.l.invalid()
			}
			b.hashes = append(b.hashes[:0], r.payload...)
		case recordZeros:
			if b.zeros = int64(d.uvarint()); d.bad || b.zeros < 0 {
				return zeroHash, 0, b.of.l.invalid()
			}
		}
	}
}
