package zfs

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestParse reads what OpenZFS 2.1.11 printed of a volume with a bookmark, a snapshot of somebody
// else's and one that a user asked for, beside a dataset of somebody else's.
func TestParse(t *testing.T) {
	out, err := os.ReadFile("testdata/listing.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, err := parse("tank/drover", string(out))
	if err != nil {
		t.Fatal(err)
	}
	if all.free == 0 || all.used == 0 || !all.has("tank/drover/foreign") {
		t.Errorf("read %+v", all)
	}
	const id cluster.VolumeID = "886e1f3c-4f57-4f0d-9e5c-6e2f8b1a2c3d"
	d := all.of(id)
	if d == nil {
		t.Fatal("the volume is not found")
	}
	b := &Backend{o: Options{MountRoot: "/m"}}
	c := b.copyOf(d, all)
	if c.Volume != id || c.Role != cluster.Primary || c.Epoch != 3 || !c.Open || c.MaximumSize != 200<<20 || c.Labels.Name != "pgdata" ||
		c.Labels.Application != "db" || c.Changed.IsZero() || c.Head != "" || c.Path != "/m/"+string(id) {
		t.Errorf("the copy is %+v", c)
	}
	if len(c.Snapshots) != 1 || c.Snapshots[0].Name != "before" || !c.Snapshots[0].Kept || c.Snapshots[0].GUID == "" {
		t.Errorf("its snapshots are %+v", c.Snapshots)
	}
	if len(c.Bases) != 1 || c.Bases[0].Name != "move-1-1-1" || c.Bases[0].GUID == "" {
		t.Errorf("its bases are %+v", c.Bases)
	}
	if _, err := parse("tank", "no tabs\n"); err == nil {
		t.Error("a line that makes no sense was read")
	}
}

// TestHead: content is at a snapshot if nothing was written after it, whoever made more since.
func TestHead(t *testing.T) {
	at := func(name, purpose, written string) *snapshot {
		return &snapshot{name: name, properties: map[string]value{propSnapshot: {purpose, "local"}, "written": {written, "-"}}}
	}
	foreign := func(written string) *snapshot {
		return &snapshot{name: "hourly", properties: map[string]value{propSnapshot: {"-", "-"}, "written": {written, "-"}}}
	}
	for _, row := range []struct {
		rule      string
		open      string
		written   string
		snapshots []*snapshot
		want      string
	}{
		{"closed, nothing written", "off", "0", []*snapshot{at("s1", forTransfer, "9"), at("s2", forTransfer, "0")}, "s2"},
		{"one that a user keeps counts as well", "off", "0", []*snapshot{at("s1", forTransfer, "9"), at("k", forUser, "0")}, "k"},
		{"open: it may be written at any time", "on", "0", []*snapshot{at("s1", forTransfer, "9")}, ""},
		{"written since", "off", "1", []*snapshot{at("s1", forTransfer, "9")}, ""},
		{"no snapshot", "off", "0", nil, ""},
		{"another one's, without a change", "off", "0", []*snapshot{at("s1", forTransfer, "9"), foreign("0")}, "s1"},
		{"another one's, with a change", "off", "0", []*snapshot{at("s1", forTransfer, "9"), foreign("1")}, ""},
	} {
		d := &dataset{snapshots: row.snapshots, properties: map[string]value{propOpen: {row.open, "local"}, "written": {row.written, "-"}}}
		got := ""
		if s := d.head(); s != nil {
			got = s.name
		}
		if got != row.want {
			t.Errorf("%s: at %q, want %q", row.rule, got, row.want)
		}
	}
}

// TestOnlyWhatWasSetHereCounts: streams bring the sender's properties, and children inherit.
func TestOnlyWhatWasSetHereCounts(t *testing.T) {
	const id = "8b9f3c52-6f0f-4a43-9a52-0d7a4f4f3c11"
	for source, want := range map[string]cluster.VolumeID{"local": id, "received": "", "inherited from tank": "", "-": ""} {
		d := &dataset{properties: map[string]value{propVolume: {id, source}}}
		if got := d.volume(); got != want {
			t.Errorf("from %s: %q, want %q", source, got, want)
		}
	}
}

// TestExplain has what OpenZFS 2.1.11 said.
func TestExplain(t *testing.T) {
	for said, kind := range map[string]error{
		"cannot open 'tank/a': dataset does not exist\n":                                                                          cluster.ErrNotFound,
		"could not find any snapshots to destroy; check snapshot names.\n":                                                        cluster.ErrNotFound,
		"cannot create 'tank/a': dataset already exists\n":                                                                        cluster.ErrExists,
		"cannot receive incremental stream: out of space\n":                                                                       errNoSpace,
		"cannot unmount '/m/a1': pool or dataset is busy\n":                                                                       errBusy,
		"cannot receive incremental stream: destination tank/b/db has been modified\nsince most recent snapshot\n":                errModified,
		"cannot receive incremental stream: most recent snapshot of tank/b does not\nmatch incremental source\n":                  cluster.ErrStale,
		"cannot resume send: 'tank/a@s2' used in the initial send no longer exists\n":                                             cluster.ErrStale,
		"cannot resume send: resume token is corrupt (incorrect checksum)\n":                                                      cluster.ErrStale,
		"cannot set property for 'tank/a': 'recordsize' must be power of 2 from 512B to 1M\n":                                     cluster.ErrInvalid,
		"cannot set property for 'tank/a': invalid property 'foo'\n":                                                              cluster.ErrInvalid,
		"cannot open 'foo': no such pool\n":                                                                                       cluster.ErrUnavailable,
		"cannot receive: failed to read from stream\n":                                                                            errCut,
		"cannot receive new filesystem stream: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\nA": errCut,
	} {
		err := explain("zfs x", said, errors.New("exit status 1"))
		if !errors.Is(err, kind) || strings.ContainsRune(err.Error(), '\n') || strings.Contains(err.Error(), "Partially") {
			t.Errorf("%q was explained as %v, want %v", said, err, kind)
		}
	}
}

// TestToken has what was printed of a token on a host that has not the snapshot.
func TestToken(t *testing.T) {
	const said = "resume token contents:\nnvlist version: 0\n\tfromguid = 0x7d3b1e47a1231a3e\n\tobject = 0x1\n\toffset = 0x0\n\tbytes = 0x0\n\ttoguid = 0x5b9a8403e01355ec\n\ttoname = tank/a@s2\n"
	if in := parseToken(said); in["toname"] != "tank/a@s2" || in["fromguid"] != "9023839571361864254" || in["toguid"] != "6600733356044015084" {
		t.Errorf("read %v", in)
	}
	in := parseToken("nvlist version: 0\n\tfromguid = 0x0\n\ttoname = tank/a@s1\n\trawok = 1\n")
	if _, from := in["fromguid"]; from || in["toname"] != "tank/a@s1" || in["rawok"] != "1" {
		t.Errorf("of a full stream: %v", in)
	}
}

// TestForgedLines: a value that holds whole lines is found out.
func TestForgedLines(t *testing.T) {
	const honest = "tank/d/a\tdrover:role\treplica\tlocal\n"
	if _, err := parse("tank/d", honest+"tank/d/a\tdrover:rollback\tx\treceived\n"+"tank/d/a\tdrover:role\tprimary\tlocal\n"); err == nil {
		t.Error("a property that is told twice was believed")
	}
}

// TestEmptyStream: a begin and an end are no change, wherever the pieces are cut; anything else is one.
func TestEmptyStream(t *testing.T) {
	record := func(kind, follows uint32) []byte {
		b := make([]byte, recordSize)
		binary.LittleEndian.PutUint32(b, kind)
		binary.LittleEndian.PutUint32(b[4:], follows)
		return append(b, make([]byte, follows)...)
	}
	empty := append(record(recordBegin, 1000), record(recordEnd, 0)...)
	for _, piece := range []int{1, 7, recordSize, len(empty)} {
		e := &emptyStream{}
		for p := range slices.Chunk(empty, piece) {
			if _, err := e.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		if !e.ended {
			t.Errorf("in pieces of %d it has no end", piece)
		}
	}
	const recordObject = 1
	for what, stream := range map[string][]byte{"a change": append(record(recordBegin, 0), record(recordObject, 0)...),
		"no begin": record(recordEnd, 0), "two begins": append(record(recordBegin, 0), record(recordBegin, 0)...)} {
		if _, err := (&emptyStream{}).Write(stream); !errors.Is(err, errChanged) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	cut := &emptyStream{}
	if _, err := cut.Write(empty[:len(empty)-1]); err != nil || cut.ended {
		t.Errorf("one that was cut: %v, %t", err, cut.ended)
	}
}
