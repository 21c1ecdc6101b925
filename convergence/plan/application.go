package plan

import (
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
)

// application brings one application to what is wanted. Name is empty when no application shall
// use the volume; whatever else uses it is removed. For an application without a volume, spec is
// derived here.
func (d *differ) application(lane string, name cluster.AppName, spec cluster.Spec, id cluster.VolumeID) {
	if id != "" {
		for _, other := range d.users[id] {
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
		spec = d.seen.spec(app, 0)
	}
	d.run(lane, spec)
}

// run creates and starts what is wanted and does not run, and replaces what runs as something
// else.
func (d *differ) run(lane string, spec cluster.Spec) {
	name := spec.Application.Name
	start := Step{Kind: StartInstance, Application: name, Spec: spec}
	instance, exists := d.instances[name]
	if !exists && spec.Application.Volume != nil && d.underway(spec.Application.Volume.Volume) {
		return // it is stopped, and is to start where its volume goes
	}
	if exists && d.removing(lane, name) {
		exists = false
	}
	if !exists {
		d.create(lane, spec, "it is placed here")
		start.Reason = "it is placed here"
		d.add(lane, start)
		return
	}
	if !madeFrom(instance, spec) {
		if instance.Running && instance.Epoch == spec.Epoch {
			d.add(lane, Step{Kind: CheckInstance, Application: name, Spec: spec, Reason: "its definition changed"})
		}
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

// carry brings the image of an application that is to run elsewhere to there.
func (d *differ) carry(drain cluster.Drain) {
	app := d.wanted[drain.Application]
	if app.Image == "" || d.seen.Carried[app.Name] == drain.To {
		return
	}
	d.add(string(app.Name), Step{Kind: CarryImage, Application: app.Name, Spec: cluster.Spec{Application: app}, To: drain.To,
		Reason: fmt.Sprintf("it is to run on %s", d.nodeName(drain.To))})
}

// madeFrom reports whether an instance may stay as it is when that is wanted.
func madeFrom(i cluster.Instance, want cluster.Spec) bool {
	return i.Fingerprint == want.Fingerprint() && i.Epoch == want.Epoch
}

// spec returns what an application runs as on the node, at an epoch of its volume.
func (o Observed) spec(app cluster.Application, epoch cluster.Epoch) cluster.Spec {
	s := cluster.Spec{Application: app, Epoch: epoch, Address: o.Address, Private: o.Private}
	if app.Volume != nil {
		s.VolumePath = o.Path(app.Volume.Volume)
	}
	return s
}

// Outdated returns the instances that are to be replaced, because they were made from something else
// than an assignment wants in their place.
func Outdated(assignment cluster.Assignment, seen Observed) map[cluster.AppName]bool {
	epochs := map[cluster.VolumeID]cluster.Epoch{}
	for _, owned := range assignment.Volumes {
		epochs[owned.Volume.ID] = owned.Ownership.Epoch
	}
	instances := by(seen.Instances, func(i cluster.Instance) cluster.AppName { return i.Name })
	outdated := map[cluster.AppName]bool{}
	for _, app := range assignment.Applications {
		var epoch cluster.Epoch
		if app.Volume != nil {
			epoch = epochs[app.Volume.Volume]
		}
		if i, exists := instances[app.Name]; exists && !madeFrom(i, seen.spec(app, epoch)) {
			outdated[app.Name] = true
		}
	}
	return outdated
}

func (d *differ) create(lane string, spec cluster.Spec, reason string) {
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
	for _, name := range d.users[id] {
		if except == 0 || d.instances[name].Epoch != except {
			d.remove(lane, name, reason)
		}
	}
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
