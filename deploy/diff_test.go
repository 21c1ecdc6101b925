package deploy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

func TestDiffReadsAsSentences(t *testing.T) {
	const noApps = "version: 1\napplications: {}\n"
	const webOnA, webOnB = "version: 1\nnodes: {a: [web]}\n", "version: 1\nnodes: {b: [web]}\n"
	adopting := "version: 1\napplications: {web: {image: nginx, volume: {mountpoint: /w, maximum_size: 1G, dataset_id: " + string(dbID) + "}}}\n"
	for _, row := range []struct {
		rule   string
		before [2]string // application file, deployment file
		after  [2]string
		want   []string
	}{
		{rule: "nothing", before: [2]string{dbFile, onA}, after: [2]string{dbFile, onA}, want: []string{}},
		{rule: "an application with a new volume", before: [2]string{noApps, nowhere}, after: [2]string{dbFile, onA}, want: []string{
			"db: add on a (10.0.0.1)", "volume db: create empty on a (10.0.0.1) for db, at most 1G"}},
		{rule: "an application without a place", before: [2]string{noApps, nowhere}, after: [2]string{dbFile, nowhere}, want: []string{
			"db: add; it runs nowhere, as no node names it", "volume db: create empty for db, at most 1G"}},
		{rule: "its first place", before: [2]string{dbFile, nowhere}, after: [2]string{dbFile, onB}, want: []string{
			"db: start on b (10.0.0.2)", "volume db: place on b (10.0.0.2)"}},
		{rule: "a move with the data", before: [2]string{dbFile, onA}, after: [2]string{dbFile, onB}, want: []string{
			"db: move from a (10.0.0.1) to b (10.0.0.2) with volume db (data is shipped while it runs, then a short pause)"}},
		{rule: "a move without data", before: [2]string{webFile, webOnA}, after: [2]string{webFile, webOnB}, want: []string{
			"web: move from a (10.0.0.1) to b (10.0.0.2) (it has no volume: it starts anew there)"}},
		{rule: "no place any more", before: [2]string{dbFile, onA}, after: [2]string{dbFile, nowhere}, want: []string{
			"db: stop on a (10.0.0.1); it stays defined, but no node names it"}},
		{rule: "an application that leaves its data behind", before: [2]string{dbFile, onA}, after: [2]string{noApps, nowhere}, want: []string{
			"db: remove from a (10.0.0.1)", "volume db: unattach from db; its data stays on a (10.0.0.1)"}},
		{rule: "an application that ran nowhere leaves", before: [2]string{webFile, nowhere}, after: [2]string{noApps, nowhere}, want: []string{
			"web: remove"}},
		{rule: "data that changes hands and node", before: [2]string{dbFile, onA}, after: [2]string{adopting, webOnB}, want: []string{
			"db: remove from a (10.0.0.1)", "web: add on b (10.0.0.2)",
			"volume db: unattach from db; its data stays on b (10.0.0.2)",
			"volume db: attach to web, with the data that it holds",
			"volume db: move from a (10.0.0.1) to b (10.0.0.2)"}},
		{rule: "a size", before: [2]string{inNative("image: x\nvolume: {mountpoint: /d, maximum_size: 1.5G}"), onA},
			after: [2]string{inNative("image: x\nvolume: {mountpoint: /d}"), onA}, want: []string{
				"volume db: resize from 1536M to no limit"}},
		{rule: "a definition", before: [2]string{inNative("image: x:1\nenvironment: {A: secret}"), onA},
			after: [2]string{inNative("image: x:2\nenvironment: {A: changed}"), onA}, want: []string{
				"db: change image, environment"}},
		{rule: "several parts of a definition", before: [2]string{inNative("image: x\nports: [{internal: 1, external: 1}]"), onA},
			after: [2]string{inNative("image: x\nports: [{internal: 1, external: 2}]\nrestart_policy: {name: always}"), onA}, want: []string{
				"db: change ports, restart_policy"}},
		{rule: "a definition, with a move", before: [2]string{inNative("image: x:1"), onA}, after: [2]string{inNative("image: x:2"), onB}, want: []string{
			"db: change image", "db: move from a (10.0.0.1) to b (10.0.0.2) (it has no volume: it starts anew there)"}},
		{rule: "another volume", before: [2]string{inNative("image: x\nvolume: {mountpoint: /d, dataset_id: " + string(otherID) + "}"), onA},
			after: [2]string{inNative("image: x"), onA}, want: []string{
				"db: change volume.dataset_id, volume.mountpoint", "volume db: unattach from db; its data stays on a (10.0.0.1)"}},
		{rule: "the default policy, written out", before: [2]string{inNative("image: x"), onA},
			after: [2]string{inNative("image: x\nrestart_policy: {name: never}"), onA}, want: []string{}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			before := deployed(t, cluster.Configuration{}, row.before[0], row.before[1])
			after := deployed(t, before, row.after[0], row.after[1])
			if diff := cmp.Diff(row.want, Render(Diff(before, after), twoNodes())); diff != "" {
				t.Errorf("sentences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiffSeesEveryField(t *testing.T) {
	for _, row := range []struct {
		field  string
		change func(*cluster.Application)
	}{
		{"image", func(a *cluster.Application) { a.Image = "y" }},
		{"command_line", func(a *cluster.Application) { a.Command = []string{"y"} }},
		{"ports", func(a *cluster.Application) { a.Ports = []cluster.Port{{Internal: 1, External: 2}} }},
		{"links", func(a *cluster.Application) { a.Links = []cluster.Link{{LocalPort: 1, RemotePort: 2, Alias: "y"}} }},
		{"environment", func(a *cluster.Application) { a.Environment = map[string]string{"A": "y"} }},
		{"volume.dataset_id", func(a *cluster.Application) { a.Volume.Volume = otherID }},
		{"volume.mountpoint", func(a *cluster.Application) { a.Volume.Mountpoint = "/y" }},
		{"mem_limit", func(a *cluster.Application) { a.Limits.MemoryBytes = 1 }},
		{"cpu_shares", func(a *cluster.Application) { a.Limits.CPUShares = 1 }},
		{"swappiness", func(a *cluster.Application) { a.Limits.Swappiness = 1 }},
		{"restart_policy", func(a *cluster.Application) { a.Restart.Name = cluster.RestartAlways }},
		{"stop_signal", func(a *cluster.Application) { a.Stop.Signal = "SIGINT" }},
		{"before_stop", func(a *cluster.Application) { a.Stop.Before = []string{"psql", "-c", "CHECKPOINT"} }},
		{"stop_timeout", func(a *cluster.Application) { a.Stop.Timeout = time.Second }},
		{"user", func(a *cluster.Application) { a.User = "y" }},
		{"scratch", func(a *cluster.Application) { a.Scratch = []string{"/cache"} }},
		{"health.command", func(a *cluster.Application) { a.Health.Command = []string{"y"} }},
		{"health.interval", func(a *cluster.Application) { a.Health.Interval = time.Second }},
		{"health.timeout", func(a *cluster.Application) { a.Health.Timeout = time.Second }},
	} {
		t.Run(row.field, func(t *testing.T) {
			old := cluster.Application{Name: "db", Image: "x", Volume: &cluster.Attachment{Volume: dbID, Mountpoint: "/x"},
				Health: &cluster.HealthCheck{Command: []string{"x"}}}
			app := old.Clone()
			row.change(&app)
			if diff := cmp.Diff([]string{row.field}, changedFields(old, app)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatNobodySeesIsNoChange(t *testing.T) {
	empty := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{"db": {Name: "db", Image: "x"}}}
	full := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{"db": {Name: "db", Image: "x",
		Ports: []cluster.Port{}, Links: []cluster.Link{}, Environment: map[string]string{}, Command: []string{}}},
		Volumes: map[cluster.VolumeID]cluster.Volume{}}
	if changes := append(Diff(empty, full), Diff(full, empty)...); len(changes) > 0 {
		t.Errorf("got %v", changes)
	}
}

func TestRenderFallsBackToIDs(t *testing.T) {
	changes := []Change{
		{Kind: ApplicationAdded, Application: "db", To: "gone"},
		{Kind: ApplicationMoved, Application: "db", From: "named", To: "addressed", Volume: dbID},
		{Kind: "something new", Application: "db"},
	}
	got := Render(changes, []cluster.Node{{ID: "named", Name: "a"}, {ID: "addressed", Address: "10.0.0.2"}})
	want := []string{
		"db: add on gone",
		"db: move from a to 10.0.0.2 with volume " + string(dbID) + " (data is shipped while it runs, then a short pause)",
		"db: something new",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sentences (-want +got):\n%s", diff)
	}
}

func TestSizesAreWrittenAsFilesHaveThem(t *testing.T) {
	for bytes, want := range map[int64]string{1: "1", 1023: "1023", 1024: "1K", 1536: "1536", 1 << 20: "1M", 2684354560: "2560M", 3 << 40: "3T", 1 << 60: "1048576T"} {
		got := limit(bytes)
		if back, err := cluster.ParseSize(got); got != want || back != bytes || err != nil {
			t.Errorf("%d: got %s, which reads as %d %v; want %s", bytes, got, back, err, want)
		}
	}
}

// TestRenderSaysWhichWay: between backends of different kinds data goes file by file.
func TestRenderSaysWhichWay(t *testing.T) {
	nodes := []cluster.Node{{ID: "1", Name: "a", Backend: "btrfs"}, {ID: "2", Name: "b", Backend: "dir"}, {ID: "3", Name: "c", Backend: "btrfs"}}
	for to, want := range map[cluster.NodeID]string{
		"2": "db: move from a to b with volume db (data is shipped file by file, from btrfs to dir, while it runs, then a short pause)",
		"3": "db: move from a to c with volume db (data is shipped while it runs, then a short pause)",
	} {
		got := Render([]Change{{Kind: ApplicationMoved, Application: "db", From: "1", To: to, Volume: "v", VolumeName: "db"}}, nodes)
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
