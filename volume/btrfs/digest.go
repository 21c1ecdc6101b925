package btrfs

import "encoding/binary"

// A digest reads a stream that has no content of files, and sums up what it would do. The format is
// that of fs/btrfs/send.h: a header of 17 bytes, then commands, each with the length of its body
// (4 bytes), its kind (2) and a checksum (4) before the body; a body is attributes, each with its
// kind (2) and length (2) before its value.
type digest struct {
	// changes counts the commands that change more than times.
	changes int
	// bytes is the length of the stream, content what its files would add.
	bytes, content int64

	rest  []byte // of what has not been understood yet
	began bool
}

const (
	streamHeader  = 17
	commandHeader = 10

	commandSnapshot = 2
	commandUtimes   = 20
	commandEnd      = 21
	commandExtent   = 22 // stands for the write of so much content

	attributeSize = 4
)

// Write implements io.Writer.
func (d *digest) Write(p []byte) (int, error) {
	d.bytes += int64(len(p))
	d.rest = append(d.rest, p...)
	if !d.began {
		if len(d.rest) < streamHeader {
			return len(p), nil
		}
		d.began, d.rest = true, d.rest[streamHeader:]
	}
	for len(d.rest) >= commandHeader {
		end := commandHeader + int(binary.LittleEndian.Uint32(d.rest))
		if len(d.rest) < end {
			break
		}
		d.command(binary.LittleEndian.Uint16(d.rest[4:]), d.rest[commandHeader:end])
		d.rest = d.rest[end:]
	}
	return len(p), nil
}

func (d *digest) command(kind uint16, body []byte) {
	switch kind {
	case commandSnapshot, commandUtimes, commandEnd:
		return
	case commandExtent:
		d.content += int64(sizeIn(body))
	}
	d.changes++
}

// sizeIn returns the size attribute of a command, or zero.
func sizeIn(body []byte) uint64 {
	for len(body) >= 4 {
		kind, length := binary.LittleEndian.Uint16(body), int(binary.LittleEndian.Uint16(body[2:]))
		body = body[4:]
		if length > len(body) {
			return 0
		}
		if kind == attributeSize && length == 8 {
			return binary.LittleEndian.Uint64(body)
		}
		body = body[length:]
	}
	return 0
}
