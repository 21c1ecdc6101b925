package plugin

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestOptions(t *testing.T) {
	for _, row := range []struct {
		given map[string]string
		want  Request
	}{
		{nil, Request{}},
		{map[string]string{"size": "10G", "profile": "database", "node": "b", "backend": "zfs", "replicas": "2"},
			Request{Size: 10 << 30, Profile: "database", Node: "b", Backend: "zfs", Replicas: 2}},
		{map[string]string{"size": "1.5gib"}, Request{Size: 3 << 29}},
		{map[string]string{"size": "10MB"}, Request{Size: 10 << 20}},
		{map[string]string{"size": "4096"}, Request{Size: 4096}},
		{map[string]string{"labels": "tier=db,empty=,url=a=b"}, Request{Labels: map[string]string{"tier": "db", "empty": "", "url": "a=b"}}},
		{map[string]string{"zfs.recordsize": "8K", "btrfs.x": ""}, Request{Settings: map[string]string{"zfs.recordsize": "8K", "btrfs.x": ""}}},
		{map[string]string{"from": "db", "snapshot": "before"}, Request{From: "db", Snapshot: "before"}},
	} {
		row.want.Name = "v"
		if got, err := parse("v", row.given); err != nil || !reflect.DeepEqual(got, row.want) {
			t.Errorf("%v: %+v, %v; want %+v", row.given, got, err, row.want)
		}
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		key, value string
		words      []string
	}{
		{"sise", "1G", []string{`"sise"`, "did you mean size"}},
		{"Labels", "a=b", []string{"did you mean labels"}},
		{"compression", "lz4", []string{`"compression"`, "zfs.recordsize"}},
		{"ext4.x", "1", []string{`"ext4.x"`}},
		{"size", "10 G", []string{"option size", "such as 2.5G"}},
		{"size", "", []string{"has no value"}},
		{"size", "B", []string{"option size"}},
		{"size", "-1", []string{"option size"}},
		{"labels", "tier", []string{"key=value"}},
		{"labels", "=x", []string{"key=value"}},
		{"backend", "ext4", []string{"btrfs, dir, zfs"}},
		{"replicas", "0", []string{"from 1 to 100"}},
		{"replicas", "many", []string{"from 1 to 100"}},
		{"snapshot", "s", []string{"from=VOLUME"}},
		{"\x00\xff", "x", []string{`"\x00\xff"`}},
		{strings.Repeat("x", 1<<20), "x", []string{"there is no option"}},
	} {
		_, err := parse("v", map[string]string{row.key: row.value})
		if !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%.40q=%q: %v", row.key, row.value, err)
			continue
		}
		text := sentence("create", "v", err).Error()
		for _, word := range row.words {
			if !strings.Contains(text, word) {
				t.Errorf("%.40q=%q: %q does not say %q", row.key, row.value, text, word)
			}
		}
		if len(text) > 500 {
			t.Errorf("%.40q: an error of %d bytes", row.key, len(text))
		}
	}
}

func FuzzOptions(f *testing.F) {
	f.Add("size", "10G")
	f.Add("labels", "a=b,c=d")
	f.Add("zfs.recordsize", "16K")
	f.Fuzz(func(t *testing.T, key, value string) {
		r, err := parse("v", map[string]string{key: value})
		if err == nil && (r.Size < 0 || r.Replicas < 0) {
			t.Errorf("%q=%q: %+v", key, value, r)
		}
		if err != nil && !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%q=%q: %v", key, value, err)
		}
	})
}
