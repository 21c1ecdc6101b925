package uses

import (
	"errors"
	"slices"
	"time"

	"github.com/drover/drover/convergence/runtime"
)

// young is how long Docker may take from a mount to a container that runs: above its own time-outs.
const young = 3 * time.Minute

// containerMount begins the ids of uses that are known by their container alone.
const containerMount = "container:"

// Used reports whether anything is used, and whether of any use it is not known whose it is.
func (b *Book) Used() (used, nameless bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pages {
		for _, use := range p.Uses {
			nameless = nameless || use.Container == ""
		}
	}
	return len(b.pages) > 0, nameless
}

// Rebuild brings the book in line with the containers that there are: uses whose end nobody heard of
// end, unless somebody else still has the volume mounted, and containers that use a volume without
// a word in the book get one. Find returns the volume of a name, if it is here.
func (b *Book) Rebuild(containers []runtime.Container, find func(name string) (Volume, bool), mounted func(path string) bool) error {
	running := map[string][]runtime.Container{} // by the name of the volume
	for _, c := range containers {
		for _, name := range c.Volumes {
			if c.Running && !slices.ContainsFunc(running[name], func(other runtime.Container) bool { return other.ID == c.ID }) {
				running[name] = append(running[name], c)
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, p := range b.pages {
		errs = append(errs, b.endOld(p, running[p.Volume.Name], mounted))
	}
	for name, users := range running {
		if v, here := find(name); here {
			errs = append(errs, b.add(v, users))
		}
	}
	return errors.Join(errs...)
}

// endOld ends the uses of a page that no container accounts for. Docker does not say which mount is
// whose, so as long as one that runs is not named by another use, all may be its. The caller holds
// mu.
func (b *Book) endOld(p Page, users []runtime.Container, mounted func(path string) bool) error {
	runs := func(name string) bool {
		return slices.ContainsFunc(users, func(c runtime.Container) bool { return c.Name == name })
	}
	var errs []error
	for mount, use := range p.Uses {
		known := use.Container != ""
		if known && runs(use.Container) || !known && len(users) > 0 || time.Since(use.Since) < young || mounted(p.Volume.Path) && len(users) == 0 {
			continue
		}
		if p = b.pages[p.Volume.ID]; p.Uses != nil {
			errs = append(errs, b.end(p, mount))
		}
	}
	return errors.Join(errs...)
}

// add names the uses that have no name, and makes those that are missing. The caller holds mu.
func (b *Book) add(v Volume, users []runtime.Container) error {
	var errs []error
	for _, c := range users {
		nameless, found := "", false
		for mount, use := range b.pages[v.ID].Uses {
			if use.Container == "" {
				nameless = mount
			}
			found = found || use.Container == c.Name
		}
		switch {
		case found:
		case nameless != "":
			use := b.pages[v.ID].Uses[nameless]
			use.Container = c.Name
			errs = append(errs, b.set(v, nameless, use))
		default:
			errs = append(errs, b.set(v, containerMount+c.ID, Use{Since: time.Now(), Container: c.Name}))
		}
	}
	return errors.Join(errs...)
}
