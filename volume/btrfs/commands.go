package btrfs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// The kernel's stream is that of fs/btrfs/send.h: a header of 17 bytes, then commands, each with the
// length of its body (4 bytes), its kind (2) and a checksum (4) before the body; a body is attributes,
// each with its kind (2) and length (2) before its value. All numbers are little endian.

const (
	streamMagic   = "btrfs-stream\x00"
	streamVersion = 1
	commandHeader = 10
	// maxCommand is the most that the kernel makes of one in this version.
	maxCommand = 64 << 10
)

// The kinds of commands.
const (
	commandSubvolume    = 1
	commandSnapshot     = 2
	commandMakeFile     = 3
	commandMakeDir      = 4
	commandMakeNode     = 5
	commandMakeFIFO     = 6
	commandMakeSocket   = 7
	commandSymlink      = 8
	commandRename       = 9
	commandLink         = 10
	commandUnlink       = 11
	commandRemoveDir    = 12
	commandSetXattr     = 13
	commandRemoveXattr  = 14
	commandWrite        = 15
	commandClone        = 16
	commandTruncate     = 17
	commandMode         = 18
	commandOwner        = 19
	commandTimes        = 20
	commandEnd          = 21
	commandUpdateExtent = 22 // stands for the write of so much content
)

// The kinds of attributes.
const (
	attributeUUID         = 1
	attributeTransid      = 2
	attributeSize         = 4
	attributeMode         = 5
	attributeUID          = 6
	attributeGID          = 7
	attributeDevice       = 8
	attributeModified     = 10
	attributeAccessed     = 11
	attributeXattrName    = 13
	attributeXattrData    = 14
	attributePath         = 15
	attributePathTo       = 16
	attributePathLink     = 17
	attributeOffset       = 18
	attributeData         = 19
	attributeCloneUUID    = 20
	attributeCloneTransid = 21
	attributeClonePath    = 22
	attributeCloneOffset  = 23
	attributeCloneLength  = 24

	attributes = 25
)

// A command is one of them. Its attributes are good until the next is read.
type command struct {
	kind       uint16
	attributes [attributes][]byte
	err        error // the first attribute that was asked for and is not as it must be
}

// commands reads the commands of a stream one after another.
type commands struct {
	r     *bufio.Reader
	began bool
	read  int64
	used  int // of what is in the buffer: the last command
	now   command
}

func newCommands(r io.Reader) *commands {
	return &commands{r: bufio.NewReaderSize(r, 4*maxCommand)}
}

// next returns the next command. A stream that ends without its end is io.ErrUnexpectedEOF.
func (c *commands) next() (*command, error) {
	if !c.began {
		if err := c.begin(); err != nil {
			return nil, err
		}
	}
	if _, err := c.r.Discard(c.used); err != nil {
		return nil, err
	}
	c.used = 0
	header, err := c.peek(commandHeader)
	if err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header)
	if size > maxCommand {
		return nil, fmt.Errorf("%w: a command of %d bytes", cluster.ErrInvalid, size)
	}
	whole, err := c.peek(commandHeader + int(size))
	if err != nil {
		return nil, err
	}
	c.used = len(whole)
	c.read += int64(len(whole))
	if got := checksum(whole); got != binary.LittleEndian.Uint32(whole[6:]) {
		return nil, fmt.Errorf("%w: a command whose checksum is wrong", cluster.ErrInvalid)
	}
	return &c.now, c.now.parse(binary.LittleEndian.Uint16(whole[4:]), whole[commandHeader:])
}

func (c *commands) begin() error {
	const length = len(streamMagic) + 4
	start, err := c.peek(length)
	if err != nil {
		return err
	}
	if string(start[:len(streamMagic)]) != streamMagic {
		return fmt.Errorf("%w: this is no stream of the kernel's", cluster.ErrInvalid)
	}
	if version := binary.LittleEndian.Uint32(start[len(streamMagic):]); version != streamVersion {
		return fmt.Errorf("%w: streams of version %d cannot be read", cluster.ErrUnsupported, version)
	}
	c.began, c.used, c.read = true, length, int64(length)
	return nil
}

func (c *commands) peek(n int) ([]byte, error) {
	b, err := c.r.Peek(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of a command with zeros in the place of its checksum, as the kernel has it: from
// zero on and without the last complement.
func checksum(whole []byte) uint32 {
	sum := crc32.Update(^uint32(0), castagnoli, whole[:6])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return ^crc32.Update(sum, castagnoli, whole[commandHeader:])
}

// parse takes a body apart. An attribute that nobody here knows is of a version that is not ours.
func (c *command) parse(kind uint16, body []byte) error {
	*c = command{kind: kind}
	for len(body) > 0 {
		if len(body) < 4 {
			return fmt.Errorf("%w: an attribute that is cut off", cluster.ErrInvalid)
		}
		attribute, length := binary.LittleEndian.Uint16(body), int(binary.LittleEndian.Uint16(body[2:]))
		body = body[4:]
		if length > len(body) {
			return fmt.Errorf("%w: an attribute of %d bytes in %d", cluster.ErrInvalid, length, len(body))
		}
		if attribute >= attributes {
			return fmt.Errorf("%w: attribute %d of a command is not known", cluster.ErrUnsupported, attribute)
		}
		c.attributes[attribute] = body[:length:length]
		body = body[length:]
	}
	return nil
}

func (c *command) number(attribute int) uint64 {
	if b := c.attributes[attribute]; len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	c.wrong(attribute)
	return 0
}

// offset is a number that fits a file.
func (c *command) offset(attribute int) int64 {
	n := c.number(attribute)
	if n > 1<<63-1 {
		c.wrong(attribute)
	}
	return int64(n)
}

// id is that of an owner or a group.
func (c *command) id(attribute int) int {
	n := c.number(attribute)
	if n >= 1<<32-1 {
		c.wrong(attribute)
	}
	return int(uint32(n))
}

func (c *command) uuid(attribute int) (u [16]byte) {
	if len(c.attributes[attribute]) != len(u) {
		c.wrong(attribute)
	}
	copy(u[:], c.attributes[attribute])
	return u
}

func (c *command) time(attribute int) unix.Timespec {
	b := c.attributes[attribute]
	if len(b) != 12 || binary.LittleEndian.Uint32(b[8:]) >= 1e9 {
		c.wrong(attribute)
		return unix.Timespec{}
	}
	return unix.Timespec{Sec: int64(binary.LittleEndian.Uint64(b)), Nsec: int64(binary.LittleEndian.Uint32(b[8:]))}
}

// text is a name that is no path: of an attribute, or what a link says.
func (c *command) text(attribute int) string {
	b := c.attributes[attribute]
	if len(b) == 0 || len(b) >= unix.PathMax || strings.IndexByte(string(b), 0) >= 0 {
		c.wrong(attribute)
	}
	return string(b)
}

// path is one below the root of the subvolume, and cannot lead out of it; the root is "".
func (c *command) path(attribute int) string {
	path := string(c.attributes[attribute])
	if path == "" && c.attributes[attribute] != nil {
		return path
	}
	if len(path) >= unix.PathMax || !filepath.IsLocal(path) || filepath.Clean(path) != path || path == "." || strings.IndexByte(path, 0) >= 0 {
		c.wrong(attribute)
	}
	return path
}

// name is a path, but not that of the root.
func (c *command) name(attribute int) string {
	path := c.path(attribute)
	if path == "" {
		c.wrong(attribute)
	}
	return path
}

func (c *command) wrong(attribute int) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: command %d has %d for its attribute %q", cluster.ErrInvalid, c.kind, attribute, c.attributes[attribute])
	}
}
