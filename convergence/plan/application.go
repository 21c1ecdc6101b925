package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// application brings one application to what is wanted. Name is empty when no application shall
// use the volume; whatever else uses it is removed. For an application without a volume, spec is
// derived here.
func (d *differ) application(lane string, name cluster.AppName, spec runtime.Spec, id cluster.VolumeID) {
	if id != "" {
		for _, other := range d.users(id) {
			if other != name {
				d.remove(lane, other, "it is no longer placed here")
			}
		}
	}
	if name == "" {
		return
	}
	app, wanted := d.wanted[name]
	if !wanted {
		d.remove(lane, name, "it is no longer placed here")
		return
	}
	if id == "" {
		spec = runtime.Spec{Application: app, Address: d.seen.Address, Private: d.seen.Private}
	}
	d.run(lane, spec)
}

// run creates and starts what is wanted and does not run, and replaces what runs as something
// else.
func (d *differ) run(lane string, spec runtime.Spec) {
	name := spec.Application.Name
	start := Step{Kind: StartInstance, Application: name, Spec: spec}
	instance, exists := d.instances[name]
	if exists && d.removing(lane, name) {
		exists = false
	}
	if !exists {
		d.create(lane, spec, "it is placed here")
		start.Reason = "it is placed here"
		d.add(lane, start)
		return
	}
	if instance.Fingerprint != spec.Fingerprint() || instance.Epoch != spec.Epoch {
		d.remove(lane, name, "its definition changed")
		d.create(lane, spec, "its definition changed")
		start.Reason = "its definition changed"
		d.add(lane, start)
		return
	}
	if instance.Running {
		return
	}
	if instance.Ended.IsZero() || instance.Asked {
		start.Reason = "it is placed here"
		d.add(lane, start)
		return
	}
	again, decided := d.seen.Restarts[name]
	switch {
	case !decided || !again.Again:
	case d.now.Before(again.At):
		d.wakeAt(again.At)
	default:
		start.Reason = again.Reason
		d.add(lane, start)
	}
}

func (d *differ) create(lane string, spec runtime.Spec, reason string) {
	d.add(lane, Step{Kind: CreateInstance, Application: spec.Application.Name, Spec: spec, Reason: reason})
}

// remove stops an instance, if it runs, and forgets it.
func (d *differ) remove(lane string, name cluster.AppName, reason string) {
	instance, exists := d.instances[name]
	if !exists || d.removing(lane, name) {
		return
	}
	if instance.Running {
		d.add(lane, Step{Kind: StopInstance, Application: name, Reason: reason})
	}
	d.add(lane, Step{Kind: RemoveInstance, Application: name, Reason: reason})
}

// removeUsers removes the instances that use a volume, but for those of that epoch.
func (d *differ) removeUsers(lane string, id cluster.VolumeID, except cluster.Epoch, reason string) {
	for _, name := range d.users(id) {
		if except == 0 || d.instances[name].Epoch != except {
			d.remove(lane, name, reason)
		}
	}
}

// users returns the names of the instances that use a volume.
func (d *differ) users(id cluster.VolumeID) []cluster.AppName {
	var names []cluster.AppName
	for _, name := range slices.Sorted(maps.Keys(d.instances)) {
		if d.instances[name].Volume == id {
			names = append(names, name)
		}
	}
	return names
}

// removing reports whether the lane already removes that instance.
func (d *differ) removing(lane string, name cluster.AppName) bool {
	l, ok := d.lanes[lane]
	return ok && slices.ContainsFunc(l.Steps, func(s Step) bool {
		return s.Kind == RemoveInstance && s.Application == name
	})
}

// String says a step in one line.
func (s Step) String() string {
	if s.Name != "" {
		return fmt.Sprintf("%s %s@%s: %s", s.Kind, s.Subject(), s.Name, s.Reason)
	}
	return fmt.Sprintf("%s %s: %s", s.Kind, s.Subject(), s.Reason)
}
