package ssh

import (
	"io"
	"time"

	"github.com/pkg/sftp"
)

// incomingImage receives an image.
func (h *handlers) incomingImage(name string) (*incoming, error) {
	if h.server.Images == nil {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	// Before anything is shipped: whoever may not ask may not send.
	if _, err := h.server.Images.HasImage(h.ctx, h.from, name); err != nil {
		return nil, status(err)
	}
	file, err := h.incoming("image "+name, func(r io.Reader) error { return h.server.Images.LoadImage(h.ctx, h.from, name, r) })
	if err != nil {
		return nil, status(err)
	}
	return file, nil
}

// describeImage says whether an image is here.
func (h *handlers) describeImage(name string) (sftp.ListerAt, error) {
	if h.server.Images == nil {
		return nil, sftp.ErrSSHFxNoSuchFile
	}
	switch has, err := h.server.Images.HasImage(h.ctx, h.from, name); {
	case err != nil:
		return nil, status(err)
	case !has:
		return nil, sftp.ErrSSHFxNoSuchFile
	}
	return listing{regular(name, 0, time.Time{})}, nil
}
