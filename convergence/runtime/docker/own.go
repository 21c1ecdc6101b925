package docker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// An application has data of its own where its image declares a VOLUME that its volume does not
// cover. By itself the engine makes a new volume there for each container, without a name, and what
// is in the former one is lost to the application. Here such a volume has a name that follows from
// the application and the path, so that no container can be made without the data of the one
// before, and nothing removes it but a user:
//
//	docker volume ls --filter label=drover.application=db
//
// A container that was made without such names, by an earlier version, has volumes of the engine's
// own naming. Before it is removed they are noted, to be mounted again by the next one:
//
//	Dir/kept/<application>.json   {"/data": "4fe1..."}

// ownName is the name of the volume of an application's own data at a path.
func (r *Runtime) ownName(name cluster.AppName, at string) string {
	sum := sha256.Sum256([]byte(at))
	readable := strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, at), "-")
	return fmt.Sprintf("%s.%.40s-%s", r.containerName(name), readable, hex.EncodeToString(sum[:3]))
}

// ownVolumes returns the mounts of an application's own data, and makes those volumes that there
// are not yet.
func (r *Runtime) ownVolumes(ctx context.Context, app cluster.Application) ([]mount.Mount, error) {
	image, _, err := r.inspect(ctx, app.Image)
	if err != nil || image.Config == nil {
		return nil, err
	}
	kept, err := r.kept(app.Name)
	if err != nil {
		return nil, err
	}
	var mounts []mount.Mount
	for _, declared := range slices.Sorted(maps.Keys(image.Config.Volumes)) {
		at := path.Clean(declared)
		// A volume that is mounted above does not cover it: the engine mounts another one below.
		if app.Volume != nil && path.Clean(app.Volume.Mountpoint) == at || slices.Contains(app.Scratch, at) {
			continue
		}
		name := kept[at]
		if name == "" {
			name = r.ownName(app.Name, at)
		}
		labels := map[string]string{labelPrefix: r.o.Prefix, labelApplication: string(app.Name), labelPath: at}
		if _, err := r.engine.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels}); err != nil {
			return nil, fmt.Errorf("make a volume for %s: %w", at, err)
		}
		mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Source: name, Target: at})
	}
	return mounts, nil
}

// keeps returns the paths at which a container has data of its own.
func keeps(c container.InspectResponse) []string {
	scratch := readLabels(c.Config.Labels).scratch
	var paths []string
	for _, m := range c.Mounts {
		if m.Type == mount.TypeVolume && !slices.Contains(scratch, m.Destination) {
			paths = append(paths, m.Destination)
		}
	}
	slices.Sort(paths)
	return paths
}

// Keeps implements runtime.Keeper. Between two containers of the application, the volumes tell.
func (r *Runtime) Keeps(ctx context.Context, app cluster.Application) ([]string, error) {
	c, err := r.find(ctx, app.Name)
	if err == nil {
		return keeps(c), nil
	}
	if !errors.Is(err, cluster.ErrNotFound) {
		return nil, err
	}
	kept, err := r.kept(app.Name)
	if err != nil {
		return nil, err
	}
	volumes, err := r.engine.VolumeList(ctx, client.VolumeListOptions{Filters: local().
		Add("label", labelPrefix+"="+r.o.Prefix, labelApplication+"="+string(app.Name))})
	if err != nil {
		return nil, r.kind(err)
	}
	for _, v := range volumes.Items {
		kept[v.Labels[labelPath]] = v.Name
	}
	return slices.Sorted(maps.Keys(kept)), nil
}

// local selects the engine's own volumes, without asking plugins, one of which asks this agent.
func local() client.Filters { return client.Filters{}.Add("driver", "local") }

// Aside implements runtime.Keeper: the volumes of applications that are in no container.
func (r *Runtime) Aside(ctx context.Context) ([]cluster.Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	noted, err := r.noted()
	if err != nil {
		return nil, err
	}
	volumes, err := r.engine.VolumeList(ctx, client.VolumeListOptions{Filters: local().Add("dangling", "true")})
	if err != nil {
		return nil, r.kind(err)
	}
	var aside []cluster.Kept
	for _, v := range volumes.Items {
		kept, is := noted[v.Name]
		if v.Labels[labelPrefix] == r.o.Prefix {
			kept, is = cluster.Kept{Application: cluster.AppName(v.Labels[labelApplication]), Path: v.Labels[labelPath], Volume: v.Name}, true
		}
		if is {
			aside = append(aside, kept)
		}
	}
	slices.SortFunc(aside, func(a, b cluster.Kept) int {
		return cmp.Or(cmp.Compare(a.Application, b.Application), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Volume, b.Volume))
	})
	return aside, nil
}

// noted returns the volumes of the engine's own naming that belong to applications, by their names.
func (r *Runtime) noted() (map[string]cluster.Kept, error) {
	files, err := os.ReadDir(filepath.Dir(r.keptPath("")))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	noted := map[string]cluster.Kept{}
	for _, f := range files {
		app, is := strings.CutSuffix(f.Name(), ".json")
		if !is {
			continue
		}
		kept, err := r.kept(cluster.AppName(app))
		if err != nil {
			return nil, err
		}
		for at, volume := range kept {
			noted[volume] = cluster.Kept{Application: cluster.AppName(app), Path: at, Volume: volume}
		}
	}
	return noted, nil
}

// carry sees to it that the next container of an application gets the data of the present one. It
// reports whether the volumes without a name that the container may have besides can go with it.
func (r *Runtime) carry(ctx context.Context, name cluster.AppName) (bool, error) {
	c, err := r.find(ctx, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	paths := keeps(c)
	kept, err := r.kept(name)
	if err != nil {
		return false, err
	}
	unnamed := false
	for _, m := range c.Mounts {
		named := slices.ContainsFunc(c.HostConfig.Mounts, func(given mount.Mount) bool { return given.Source == m.Name })
		if slices.Contains(paths, m.Destination) && !named {
			kept[m.Destination], unnamed = m.Name, true
			r.log.Info("the data of a container are kept for the next one", "app", name, "path", m.Destination, "volume", m.Name)
		}
	}
	if !unnamed {
		return true, nil
	}
	return false, r.keepVolumes(name, kept)
}

func (r *Runtime) keptPath(name cluster.AppName) string {
	return filepath.Join(r.o.Dir, "kept", string(name)+".json")
}

// kept returns the volumes of the engine's own naming that belong to an application, by path. A note
// that is not readable is an error: without it the data would be lost to the application.
func (r *Runtime) kept(name cluster.AppName) (map[string]string, error) {
	b, err := os.ReadFile(r.keptPath(name))
	if errors.Is(err, os.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseKept(b)
}

func parseKept(b []byte) (map[string]string, error) {
	kept := map[string]string{}
	if err := json.Unmarshal(b, &kept); err != nil || kept == nil {
		return nil, fmt.Errorf("%w: read which volumes were kept: %q: %v", cluster.ErrInvalid, b, err)
	}
	return kept, nil
}

func (r *Runtime) keepVolumes(name cluster.AppName, kept map[string]string) error {
	if err := durable.MkdirAll(filepath.Dir(r.keptPath(name)), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(r.keptPath(name), []byte(plainJSON(kept)), 0o600)
}
