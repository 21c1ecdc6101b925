package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
)

// HasImage implements runtime.Images.
func (r *Runtime) HasImage(ctx context.Context, name string) (bool, error) {
	_, err := r.engine.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, r.kind(err)
}

// EnsureImage implements runtime.Images.
func (r *Runtime) EnsureImage(ctx context.Context, name string) error {
	has, err := r.HasImage(ctx, name)
	if has || err != nil {
		return err
	}
	r.log.Info("pulling an image", "image", name)
	if err := r.pull(ctx, name); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: image %s: not on this node, and not to be had: %w", cluster.ErrUnavailable, name, err)
	}
	return nil
}

func (r *Runtime) pull(ctx context.Context, name string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A registry that is there may take its time for a large image; one that is not, may not.
	silence := time.AfterFunc(r.o.Patience, func() { cancel(errors.New("the registry does not answer")) })
	defer silence.Stop()
	pulled, err := r.engine.ImagePull(ctx, name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer pulled.Close()
	for _, err := range pulled.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		silence.Reset(r.o.Patience)
	}
	return nil
}

// SaveImage implements runtime.Images.
func (r *Runtime) SaveImage(ctx context.Context, name string, w io.Writer) error {
	saved, err := r.engine.ImageSave(ctx, []string{name})
	if err != nil {
		return r.kind(err)
	}
	defer saved.Close()
	_, err = io.Copy(w, saved)
	return err
}

// LoadImage implements runtime.Images.
func (r *Runtime) LoadImage(ctx context.Context, name string, stream io.Reader) error {
	loaded, err := r.engine.ImageLoad(ctx, stream, client.ImageLoadWithQuiet(true))
	if err != nil {
		return r.kind(err)
	}
	defer loaded.Close()
	if _, err := io.Copy(io.Discard, loaded); err != nil {
		return err
	}
	switch has, err := r.HasImage(ctx, name); {
	case err != nil:
		return err
	case !has:
		return fmt.Errorf("%w: the stream held no image %s", cluster.ErrInvalid, name)
	}
	return nil
}

// sandboxImage returns the name of the image of sandboxes, which is made if it is not there.
func (r *Runtime) sandboxImage() (string, error) {
	r.made.Lock()
	defer r.made.Unlock()
	var err error
	if r.made.image == "" {
		r.made.image, err = r.makeSandboxImage()
	}
	return r.made.image, err
}

// makeSandboxImage returns the name of an image that holds nothing but the sandbox's program.
func (r *Runtime) makeSandboxImage() (string, error) {
	program, err := os.ReadFile(r.o.Sandbox)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(program)
	name := "drover-sandbox:" + hex.EncodeToString(sum[:6])
	switch has, err := r.HasImage(r.ctx, name); {
	case err != nil:
		return "", err
	case has:
		return name, nil
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header := &tar.Header{Name: "drover", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(header); err != nil {
		return "", err
	}
	if _, err := w.Write(program); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	made, err := r.engine.ImageImport(r.ctx, client.ImageImportSource{Source: &b, SourceName: "-"}, name,
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/drover", "sandbox"]`}})
	if err != nil {
		return "", r.kind(err)
	}
	defer made.Close()
	if _, err = io.Copy(io.Discard, made); err != nil {
		return "", err
	}
	return name, nil
}
