package mem

import (
	"context"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
)

// Lack takes an image away, which no registry gives back: only another node brings it. All others are there.
func (r *Runtime) Lack(image string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lacks == nil {
		r.lacks = map[string]bool{}
	}
	r.lacks[image] = true
}

func lacking(image string) error {
	return fmt.Errorf("%w: image %s: not on this node, and not to be had", cluster.ErrUnavailable, image)
}

// HasImage implements runtime.Images.
func (r *Runtime) HasImage(_ context.Context, name string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.lacks[name], nil
}

// EnsureImage implements runtime.Images.
func (r *Runtime) EnsureImage(ctx context.Context, name string) error {
	if has, _ := r.HasImage(ctx, name); !has {
		return lacking(name)
	}
	return nil
}

// SaveImage implements runtime.Images.
func (r *Runtime) SaveImage(ctx context.Context, name string, w io.Writer) error {
	if err := r.EnsureImage(ctx, name); err != nil {
		return err
	}
	_, err := io.WriteString(w, name)
	return err
}

// LoadImage implements runtime.Images.
func (r *Runtime) LoadImage(_ context.Context, name string, stream io.Reader) error {
	b, err := io.ReadAll(stream)
	if err == nil && string(b) != name {
		err = fmt.Errorf("%w: the stream held no image %s", cluster.ErrInvalid, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.lacks, name)
		r.tell()
	}
	return err
}
