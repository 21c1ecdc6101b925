package btrfs

import "io"

// A digest sums up what a stream that has no content of files would do.
type digest struct {
	// changes counts the commands that change more than times.
	changes int
	// bytes is the length of the stream, content what its files would add.
	bytes, content int64
}

// read reads a stream to its end.
func (d *digest) read(r io.Reader) error {
	stream := newCommands(r)
	for {
		c, err := stream.next()
		if err != nil {
			return err
		}
		switch c.kind {
		case commandEnd:
			d.bytes = stream.read
			_, err := io.Copy(io.Discard, stream.r)
			return err
		case commandSubvolume, commandSnapshot, commandTimes:
			continue
		case commandUpdateExtent:
			d.content += c.offset(attributeSize)
		}
		d.changes++
		if c.err != nil {
			return c.err
		}
	}
}
