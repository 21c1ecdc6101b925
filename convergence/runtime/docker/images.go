package docker

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime/docker/archive"
)

// HasImage implements runtime.Images.
func (r *Runtime) HasImage(ctx context.Context, name string) (bool, error) {
	_, _, err := r.inspect(ctx, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// inspect looks for an image, also under the name that it was carried by, and returns as what it is here.
func (r *Runtime) inspect(ctx context.Context, name string) (image client.ImageInspectResult, as string, err error) {
	for _, as := range slices.Compact([]string{name, carriedName(name)}) {
		if image, err = r.engine.ImageInspect(ctx, as); !errdefs.IsNotFound(err) {
			return image, as, r.kind(err)
		}
	}
	return image, "", fmt.Errorf("image %s: %w on this node", name, cluster.ErrNotFound)
}

// carriedName is what an image is called on its way. One that is named by its digest has no name there: an engine
// knows digests of registries only from these, and cannot be told one. So it gets a name that follows from it.
func carriedName(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if _, pinned := named.(reference.Canonical); err != nil || !pinned {
		return name
	}
	sum := sha256.Sum256([]byte(named.String()))
	return "drover-carried:" + hex.EncodeToString(sum[:16])
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
	for message, err := range pulled.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil { // the engine has begun to answer before it failed
			return message.Error
		}
		silence.Reset(r.o.Patience)
	}
	return nil
}

// SaveImage implements runtime.Images.
func (r *Runtime) SaveImage(ctx context.Context, name string, w io.Writer) error {
	carried := carriedName(name)
	if carried != name {
		image, _, err := r.inspect(ctx, name)
		if err != nil {
			return err
		}
		if _, err := r.engine.ImageTag(ctx, client.ImageTagOptions{Source: image.ID, Target: carried}); err != nil {
			return r.kind(err)
		}
	}
	saved, err := r.engine.ImageSave(ctx, []string{carried})
	if err != nil {
		return r.kind(err)
	}
	defer saved.Close()
	_, err = io.Copy(w, saved)
	return err
}

// LoadImage implements runtime.Images. One that is here is left as it is.
func (r *Runtime) LoadImage(ctx context.Context, name string, stream io.Reader) error {
	if has, err := r.HasImage(ctx, name); has || err != nil {
		_, drained := io.Copy(io.Discard, stream)
		return errors.Join(err, drained)
	}
	if err := r.load(ctx, carriedName(name), stream); err != nil {
		return fmt.Errorf("load image %s: %w", name, err)
	}
	switch has, err := r.HasImage(ctx, name); {
	case err != nil:
		return err
	case !has:
		return fmt.Errorf("%w: the stream held no image %s", cluster.ErrInvalid, name)
	}
	return nil
}

// load gives the engine what is of that image. An archive that is cut off it does not look at.
func (r *Runtime) load(ctx context.Context, name string, stream io.Reader) error {
	sifted, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := archive.Sift(w, stream, name)
		w.CloseWithError(err)
		done <- err
	}()
	loaded, err := r.engine.ImageLoad(ctx, sifted, client.ImageLoadWithQuiet(true))
	if err == nil {
		_, err = io.Copy(io.Discard, loaded)
		loaded.Close()
	}
	over := cmp.Or(err, io.ErrClosedPipe) // for what the engine does not read, such as padding
	sifted.CloseWithError(over)
	if refused := <-done; refused != nil && !errors.Is(refused, over) {
		return refused
	}
	_, drained := io.Copy(io.Discard, stream)
	return cmp.Or(r.kind(err), drained)
}

// sandboxImage returns the name of the image of sandboxes, which is made if it is not there. It is looked for each
// time: whoever tidies up the engine removes it.
func (r *Runtime) sandboxImage() (string, error) {
	r.made.Lock()
	defer r.made.Unlock()
	if r.made.image != "" {
		if has, err := r.HasImage(r.ctx, r.made.image); has || err != nil {
			return r.made.image, err
		}
	}
	var err error
	r.made.image, err = r.makeSandboxImage()
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
