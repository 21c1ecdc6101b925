package ssh

import "io"

// What is open is counted, from when the client opened it until it is closed; the SFTP server closes
// what a client left open, too.

type readHandle struct {
	io.ReaderAt
	closed func()
}

// Close implements io.Closer.
func (r *readHandle) Close() error {
	defer r.closed()
	if c, ok := r.ReaderAt.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

type writeHandle struct {
	*incoming
	closed func()
}

// Close implements io.Closer.
func (w *writeHandle) Close() error {
	defer w.closed()
	return w.incoming.Close()
}

type listHandle struct {
	listing
	closed func()
}

// Close implements io.Closer.
func (l *listHandle) Close() error {
	l.closed()
	return nil
}
