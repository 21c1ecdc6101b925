package control

import (
	"context"
	"fmt"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
)

// How large the cluster of the benchmarks is.
const (
	manyNodes        = 1_000
	manyApplications = 10_000
	manyVolumes      = 100_000
)

func benchNode(i int) cluster.NodeID { return cluster.NodeID(fmt.Sprintf("node-%06d", i%manyNodes)) }

// large returns a service of a large cluster, whose nodes have all reported.
func large(b *testing.B) *Service {
	b.Helper()
	tx := records.New().Begin()
	states := map[cluster.NodeID]*cluster.NodeState{}
	for i := range manyNodes {
		id := benchNode(i)
		tx.Nodes.Put(cluster.Node{ID: id, Name: string(id), Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250)})
		states[id] = &cluster.NodeState{Node: id}
	}
	for i := range manyVolumes {
		node, id := benchNode(i), cluster.VolumeIDForName(cluster.AppName(fmt.Sprintf("v%d", i)))
		tx.Volumes.Put(cluster.Volume{ID: id, Name: fmt.Sprintf("v%d", i), Primary: node})
		tx.PutOwnership(cluster.Ownership{Volume: id, Owner: node, Epoch: 1, Created: true})
		states[node].Volumes = append(states[node].Volumes, cluster.Copy{Volume: id, Role: cluster.Primary, Epoch: 1})
		if i >= manyApplications {
			continue
		}
		name := cluster.AppName(fmt.Sprintf("app%d", i))
		tx.PutApplication(cluster.Application{Name: name, Image: "db", Node: node, Ports: []cluster.Port{{Internal: 1, External: 10_000 + i}},
			Volume: &cluster.Attachment{Volume: id, Mountpoint: "/data"}})
		states[node].Applications = append(states[node].Applications, cluster.Instance{Name: name, Volume: id, Epoch: 1, Running: true, Healthy: true})
	}
	batch, err := tx.Batch()
	if err != nil {
		b.Fatal(err)
	}
	s := mem.New()
	if _, err := s.Write(context.Background(), batch); err != nil {
		b.Fatal(err)
	}
	svc, err := Open(context.Background(), s, Options{Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	for id, state := range states {
		node, _ := svc.model.Nodes.Get(id)
		if err := svc.Register(context.Background(), node); err != nil {
			b.Fatal(err)
		}
		if err := svc.Report(context.Background(), *state); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	b.ReportAllocs()
	return svc
}

// BenchmarkGlance is all that Status does under the lock.
func BenchmarkGlance(b *testing.B) {
	s := large(b)
	for b.Loop() {
		s.glance()
	}
}

func BenchmarkStatus(b *testing.B) {
	s := large(b)
	for b.Loop() {
		s.Status()
	}
}

// BenchmarkConfigureOne is a change of one application by a configuration of all.
func BenchmarkConfigureOne(b *testing.B) {
	s := large(b)
	for i := 0; b.Loop(); i++ {
		if _, err := s.Edit(b.Context(), func(c *cluster.Configuration) error {
			app := c.Applications["app7"]
			app.Environment = map[string]string{"I": fmt.Sprint(i)}
			c.Applications["app7"] = app
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPendingOfOne is what a deploy asks for that waits for one application.
func BenchmarkPendingOfOne(b *testing.B) {
	s := large(b)
	for b.Loop() {
		if _, err := s.Pending(wire.Subjects{Applications: []cluster.AppName{"app7"}}); err != nil {
			b.Fatal(err)
		}
	}
}
