package deploy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

const (
	dbID    = cluster.VolumeID("d77d5e50-3ad1-439f-985a-c494268b351b") // of the name db
	otherID = cluster.VolumeID("47440eff-e933-4de0-b56c-d3469b61421f")
)

const (
	dbFile  = "version: 1\napplications:\n  db:\n    image: postgres\n    volume:\n      mountpoint: /data\n      maximum_size: 1G\n"
	webFile = "version: 1\napplications:\n  web:\n    image: nginx\n"
	onA     = "version: 1\nnodes: {a: [db], b: []}\n"
	onB     = "version: 1\nnodes: {a: [], b: [db]}\n"
)

// lived is a cluster where db ran on a for a while.
func lived() cluster.Configuration {
	return cluster.Configuration{
		Applications: map[cluster.AppName]cluster.Application{
			"db": {Name: "db", Image: "postgres", Volume: &cluster.Attachment{Volume: dbID, Mountpoint: "/data"}, Node: nodeA}},
		Volumes: map[cluster.VolumeID]cluster.Volume{
			dbID: {ID: dbID, Name: "db", Primary: nodeA, MaximumSize: 1 << 30, Metadata: map[string]string{"name": "db", "team": "x"},
				Snapshots: []cluster.SnapshotRequest{{Name: "before", Epoch: 3}}}},
		Leases: map[cluster.VolumeID]cluster.Lease{dbID: {Volume: dbID, Node: nodeA}},
	}
}

func TestConfiguration(t *testing.T) {
	for _, row := range []struct {
		rule                    string
		application, deployment string
		change                  func(*cluster.Configuration) // of lived
	}{
		{"the same files change nothing", dbFile, onA, func(*cluster.Configuration) {}},
		{"a move takes the volume along, with all that belongs to it", dbFile, onB, func(c *cluster.Configuration) {
			placeDB(c, nodeB)
			v := c.Volumes[dbID]
			v.Primary = nodeB
			c.Volumes[dbID] = v
		}},
		{"an application that no node names runs nowhere; its volume stays", dbFile, nowhere, func(c *cluster.Configuration) { placeDB(c, "") }},
		{"an application that left the file leaves its volume where it is", webFile, nowhere, func(c *cluster.Configuration) {
			c.Applications = map[cluster.AppName]cluster.Application{"web": {Name: "web", Image: "nginx"}}
		}},
		{"a size that is not given is no limit", "version: 1\napplications: {db: {image: postgres, volume: {mountpoint: /data}}}", onA, func(c *cluster.Configuration) {
			v := c.Volumes[dbID]
			v.MaximumSize = 0
			c.Volumes[dbID] = v
		}},
		{"a new volume of an application that is not placed has no primary", dbFile + "  new:\n    image: x\n    volume: {mountpoint: /d}\n", onA, func(c *cluster.Configuration) {
			id := cluster.VolumeIDForName("new")
			c.Applications["new"] = cluster.Application{Name: "new", Image: "x", Volume: &cluster.Attachment{Volume: id, Mountpoint: "/d"}}
			c.Volumes[id] = cluster.Volume{ID: id, Name: "new", Metadata: map[string]string{"name": "new"}}
		}},
		{"a new volume has the profile and the options of the file", dbFile + "  new:\n    image: x\n    volume: {mountpoint: /d, profile: database, options: {zfs.copies: 2}}\n", onA, func(c *cluster.Configuration) {
			id := cluster.VolumeIDForName("new")
			c.Applications["new"] = cluster.Application{Name: "new", Image: "x", Volume: &cluster.Attachment{Volume: id, Mountpoint: "/d"}}
			c.Volumes[id] = cluster.Volume{ID: id, Name: "new", Metadata: map[string]string{"name": "new"}, Profile: "database", Options: map[string]string{"zfs.copies": "2"}}
		}},
		{"a volume that is adopted by its id keeps its name", "version: 1\napplications: {web: {image: nginx, volume: {mountpoint: /w, dataset_id: " + string(dbID) + "}}}",
			"version: 1\nnodes: {b: [web]}", func(c *cluster.Configuration) {
				c.Applications = map[cluster.AppName]cluster.Application{"web": {Name: "web", Image: "nginx", Node: nodeB,
					Volume: &cluster.Attachment{Volume: dbID, Mountpoint: "/w"}}}
				v := c.Volumes[dbID]
				v.Primary, v.MaximumSize = nodeB, 0
				c.Volumes[dbID] = v
			}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			current, want := lived(), lived()
			row.change(&want)
			got := deployed(t, current, row.application, row.deployment)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(lived(), current); diff != "" {
				t.Errorf("the current configuration was changed:\n%s", diff)
			}
		})
	}
}

// placeDB puts db on a node.
func placeDB(c *cluster.Configuration, node cluster.NodeID) {
	app := c.Applications["db"]
	app.Node = node
	c.Applications["db"] = app
}

func TestNodesAreFoundByAnyOfTheirNames(t *testing.T) {
	for _, word := range []string{"b", "10.0.0.2", string(nodeB)} {
		c := deployed(t, cluster.Configuration{}, dbFile, "version: 1\nnodes: {\""+word+"\": [db]}\n")
		if got := c.Applications["db"].Node; got != nodeB {
			t.Errorf("%s: got %s, want %s", word, got, nodeB)
		}
	}
}

func TestAnAddressGoesBeforeAName(t *testing.T) {
	nodes := []cluster.Node{{ID: nodeA, Name: "10.0.0.2", Address: "10.0.0.1"}, {ID: nodeB, Name: "b", Address: "10.0.0.2"}}
	if id, problem := newNodeIndex(nodes).find("10.0.0.2"); id != nodeB || problem != "" {
		t.Errorf("got %s %s, want b", id, problem)
	}
}

func TestConfigurationRefused(t *testing.T) {
	deleted := lived()
	v := deleted.Volumes[dbID]
	v.Deleted = true
	deleted.Volumes[dbID] = v

	named := lived()
	named.Volumes = map[cluster.VolumeID]cluster.Volume{otherID: {ID: otherID, Name: "db", Primary: nodeA}}

	broken := lived()
	broken.Volumes[otherID] = cluster.Volume{ID: otherID, Name: "web", MaximumSize: -1}

	for _, row := range []struct {
		rule        string
		current     cluster.Configuration
		application string
		deployment  string
		nodes       []cluster.Node
		want        []string
	}{
		{"a node that is not known", lived(), dbFile, "version: 1\nnodes:\n  c: []\n  b: [db]\n  10.0.0.9: []\n", twoNodes(), []string{
			`deployment.yml:3: nodes.c: no node "c": use the address, name or id of one of a (10.0.0.1), b (10.0.0.2)`,
			`deployment.yml:5: nodes.10.0.0.9: no node "10.0.0.9": use the address, name or id of one of a (10.0.0.1), b (10.0.0.2)`}},
		{"no nodes at all", lived(), dbFile, onA, nil, []string{
			`deployment.yml:2: nodes.a: no node "a": none has joined the cluster yet`,
			`deployment.yml:2: nodes.b: no node "b": none has joined the cluster yet`}},
		{"a name that two nodes have", lived(), dbFile, "version: 1\nnodes: {a: [db]}", append(twoNodes(), cluster.Node{ID: "c", Name: "a", Address: "10.0.0.3"}), []string{
			`deployment.yml:2: nodes.a: "a" could be a (10.0.0.1) aaaaaaaa-0000-4000-8000-000000000001, a (10.0.0.3) c: use an id`}},
		{"a volume that was deleted", deleted, dbFile, onA, twoNodes(), []string{
			`app.yml:5: applications.db.volume: volume d77d5e50-3ad1-439f-985a-c494268b351b was deleted: undelete it to use its data, or set dataset_id to a new UUID for an empty volume`}},
		{"an empty volume in the name of one with data", named, dbFile, onA, twoNodes(), []string{
			`app.yml:5: applications.db.volume: another volume is named "db": set dataset_id to 47440eff-e933-4de0-b56c-d3469b61421f to use its data, or choose another name for the application`}},
		{"the same of a Fig file", named, "db:\n  image: x\n  volumes:\n  - /data\n", onA, twoNodes(), []string{
			`app.yml:4: db.volumes[0]: another volume is named "db": set dataset_id to 47440eff-e933-4de0-b56c-d3469b61421f to use its data, or choose another name for the application`}},
		{"the name of a deleted volume that another one has now", func() cluster.Configuration {
			c := deleted.Clone()
			c.Volumes[otherID] = cluster.Volume{ID: otherID, Name: "db", Primary: nodeA}
			return c
		}(), dbFile, onA, twoNodes(), []string{
			`app.yml:5: applications.db.volume: another volume is named "db": set dataset_id to 47440eff-e933-4de0-b56c-d3469b61421f to use its data, or choose another name for the application`}},
		{"another profile than the volume was made with", lived(), dbFile + "      profile: database\n", onA, twoNodes(), []string{
			`app.yml:5: applications.db.volume: the volume was made with the profile "", which cannot be changed: want that, or none here`}},
		{"another option than the volume was made with", lived(), dbFile + "      options: {zfs.copies: 2}\n", onA, twoNodes(), []string{
			`app.yml:5: applications.db.volume: the volume was made with "" for the option zfs.copies, which cannot be changed: want that, or remove the option here`}},
		{"an option for another backend than the node's", cluster.Configuration{}, dbFile + "      options:\n        btrfs.x: 1\n", onA,
			[]cluster.Node{{ID: nodeA, Name: "a", Backend: "zfs"}, {ID: nodeB, Name: "b"}}, []string{
				`app.yml:9: applications.db.volume.options.btrfs.x: it is for the backend btrfs, and node a has zfs`}},
		{"a fault of the cluster's own", broken, dbFile, onA, twoNodes(), []string{
			`app.yml:1: volumes.47440eff-e933-4de0-b56c-d3469b61421f.maximum_size: -1: must be greater than zero`}},
		{"faults of both files", deleted, dbFile, "version: 1\nnodes: {c: [db]}", twoNodes(), []string{
			`app.yml:5: applications.db.volume: volume d77d5e50-3ad1-439f-985a-c494268b351b was deleted: undelete it to use its data, or set dataset_id to a new UUID for an empty volume`,
			`deployment.yml:2: nodes.c: no node "c": use the address, name or id of one of a (10.0.0.1), b (10.0.0.2)`}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			files, err := parse(row.application, row.deployment)
			if err != nil {
				t.Fatal(err)
			}
			_, err = files.Configuration(row.current, row.nodes)
			wantError(t, err, row.want...)
		})
	}
}

func TestErrorsCarryFileLineAndPath(t *testing.T) {
	_, err := parse("version: 1\napplications:\n  db: {image: x, user: 5}\n", nowhere)
	var all Errors
	if !errors.As(err, &all) || len(all) != 1 {
		t.Fatalf("got %v", err)
	}
	if e := all[0]; e.File != "app.yml" || e.Line != 3 || e.Path != "applications.db.user" {
		t.Errorf("got %+v", e)
	}
}

// The deploy of one set of files may go on while another is compared: nothing is shared.
func TestConfigurationsShareNothing(t *testing.T) {
	files, err := parse(inNative("image: x\nenvironment: {A: '1'}"), nowhere)
	if err != nil {
		t.Fatal(err)
	}
	first, err := files.Configuration(cluster.Configuration{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	first.Applications["db"].Environment["A"] = "changed"
	second, err := files.Configuration(cluster.Configuration{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := second.Applications["db"].Environment["A"]; got != "1" {
		t.Errorf("got %s, want 1", got)
	}
}
