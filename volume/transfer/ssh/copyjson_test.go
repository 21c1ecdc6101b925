package ssh

import (
	"errors"
	"io"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

func TestACopyArrivesAsItIs(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	want := volume.Copy{Volume: someVolume, Role: cluster.Replica, Epoch: 7, Head: "g2", Path: "/v", UsedBytes: 5, MaximumSize: 6, Changed: at,
		Snapshots: []cluster.Snapshot{{Name: "s1", GUID: "g1", Created: at, Bytes: 1}, {Name: "s2", GUID: "g2", Created: at, Kept: true}},
		Bases:     []cluster.Snapshot{{Name: "s0", GUID: "g0", Created: at}},
		Partial:   &volume.Partial{From: "s2", To: "s3", Token: []byte("token"), Listed: true},
		Rollback:  "wish", Labels: &volume.Labels{Name: "db", Application: "pg"}, Obstacle: "no key", Warning: "full"}
	b, err := encodeCopy(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeCopy(b, someVolume); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestOnlyTheNewestSnapshotsAreToldOf(t *testing.T) {
	c := volume.Copy{Volume: someVolume, Role: cluster.Primary}
	for range mostSnapshots + 5 {
		c.Snapshots = append(c.Snapshots, cluster.Snapshot{Name: "s", GUID: cluster.NewUUID()})
	}
	b, err := encodeCopy(c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeCopy(b, someVolume)
	if err != nil || len(got.Snapshots) != mostSnapshots || got.Snapshots[mostSnapshots-1] != c.Snapshots[mostSnapshots+4] {
		t.Errorf("%d snapshots arrived, %v", len(got.Snapshots), err)
	}
}

func TestWhatAPeerSaysOfItsCopy(t *testing.T) {
	const of = `{"volume":"` + someVolume + `","role":"replica",`
	for _, row := range []struct{ rule, said string }{
		{"not of another volume", `{"volume":"` + "c1f3ba5e-77b7-4b0a-9e5e-0d3e4ce5a1b2" + `","role":"replica"}`},
		{"no other role", `{"volume":"` + someVolume + `","role":"king"}`},
		{"no head with a line in it", of + `"head":"a\nb"}`},
		{"no epoch below nothing", of + `"epoch":-1}`},
		{"no more snapshots than there can be", of + `"snapshots":[` + strings.Repeat("{},", mostSnapshots) + `{}]}`},
		{"no more bases", of + `"bases":[` + strings.Repeat("{},", mostSnapshots) + `{}]}`},
		{"no list that is none", of + `"snapshots":{}}`},
		{"no end in the middle", of},
		{"nothing", ``},
		{"no nest without end", of + `"x":` + strings.Repeat("[", 100_000)},
	} {
		if got, err := decodeCopy([]byte(row.said), someVolume); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%s: got %.200v, %v", row.rule, got, err)
		}
	}
	got, err := decodeCopy([]byte(of+`"snapshots":[{"name":"../../etc","guid":"1"},{"name":"s1","guid":""},{"name":"s1","guid":"a b"},{"name":"s1","guid":"g","bytes":-5}],
		"partial":{"from":"../a","to":"s2","token":"AAAA"},"used_bytes":-7,"warning":"`+strings.Repeat(`\u001b[2J\n`, maxText)+`"}`), someVolume)
	if err != nil || len(got.Snapshots) != 1 || got.Snapshots[0] != (cluster.Snapshot{Name: "s1", GUID: "g"}) || got.Partial != nil || got.UsedBytes != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(got.Warning) > maxText+3 || strings.ContainsAny(got.Warning, "\x1b\n") {
		t.Errorf("the warning is %d bytes: %.20q", len(got.Warning), got.Warning)
	}
}

// A talker is a file without end, that goes on with what it began with.
type talker struct{ begin, again string }

func (k talker) ReadAt(p []byte, offset int64) (int, error) {
	for i := range p {
		at := int(offset) + i
		if at < len(k.begin) {
			p[i] = k.begin[at]
		} else {
			p[i] = k.again[(at-len(k.begin))%len(k.again)]
		}
	}
	return len(p), nil
}

func (k talker) Fileread(*sftp.Request) (io.ReaderAt, error) { return k, nil }

// TestAPeerThatTalksWithoutEnd costs little, whatever it says.
func TestAPeerThatTalksWithoutEnd(t *testing.T) {
	for rule, k := range map[string]talker{
		"snapshots":  {`{"volume":"` + someVolume + `","snapshots":[{}`, ",{}"},
		"one string": {`{"volume":"`, "x"},
		"spaces":     {" ", " "},
		"nests":      {`{"x":`, "["},
	} {
		near, far := net.Pipe()
		server := sftp.NewRequestServer(far, sftp.Handlers{FileGet: k})
		go server.Serve()
		client, err := sftp.NewClientPipe(near, near)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = readCopy(&connection{sftp: client}, someVolume)
		runtime.ReadMemStats(&after)
		var own *ownError
		if !errors.As(err, &own) || !errors.Is(own.error, cluster.ErrInvalid) {
			t.Errorf("%s: got %v, want an error that is not tried again", rule, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 150<<20 {
			t.Errorf("%s: it took %d MiB", rule, took>>20)
		} else {
			t.Logf("%s: %d MiB were allocated, all in all", rule, took>>20)
		}
		near.Close()
		far.Close()
	}
}

func TestNoErrorOfAPeerIsLongOrHasLines(t *testing.T) {
	long := forPeople(strings.Repeat("ä\x00\n", 10_000))
	if len(long) > maxText+3 || strings.ContainsFunc(long, func(r rune) bool { return r < ' ' }) || !strings.HasSuffix(long, "...") {
		t.Errorf("%d bytes: %.20q", len(long), long)
	}
	if !slices.Contains([]string{"short: ü"}, forPeople("short: ü")) {
		t.Error("what is short is changed")
	}
}
