package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrDamaged: a record is there and says nothing, or only a part. That is never the same as no
// record: nobody may take it for "there is none".
var ErrDamaged = errors.New("damaged")

// ReadJSON reads a record. A file that does not exist is fs.ErrNotExist; one that is empty, cut
// short or anything but one JSON value is ErrDamaged, and the message says which.
func ReadJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := ParseJSON(b, into); err != nil {
		return fmt.Errorf("read %s: %s %w", path, filepath.Base(path), err)
	}
	return nil
}

// ParseJSON is ReadJSON of what was read.
func ParseJSON(b []byte, into any) error {
	if len(bytes.Trim(b, "\x00 \t\r\n")) == 0 {
		return fmt.Errorf("is empty: %w (%d bytes without content, as a loss of power or a full disk leaves them)", ErrDamaged, len(b))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	err := d.Decode(into)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("is cut short after %d bytes: %w", len(b), ErrDamaged)
	case err != nil:
		return fmt.Errorf("is not readable: %w: %w", ErrDamaged, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("is not readable: %w: there is more after its end", ErrDamaged)
	}
	return nil
}
