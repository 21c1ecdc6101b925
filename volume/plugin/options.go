package plugin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/suggest"
)

// A Request is a volume as an engine asks for it. What is empty is not asked for.
type Request struct {
	Name string
	// Size is its limit in bytes.
	Size   int64
	Labels map[string]string
	// Node makes it, which must have that Backend.
	Node, Backend string
	Profile       string
	// Settings are those of a kind of backend each, as "zfs.recordsize".
	Settings map[string]string
	Replicas int
	// From is the volume that it is a clone of, at a Snapshot or as it is.
	From, Snapshot string
}

// backends are the kinds that have settings of their own.
var backends = []string{"btrfs", "dir", "zfs"}

// options are what can be asked for, each with what reads its value.
var options = map[string]func(r *Request, value string) error{
	"size":     func(r *Request, v string) (err error) { r.Size, err = parseSize(v); return err },
	"labels":   func(r *Request, v string) (err error) { r.Labels, err = parseLabels(v); return err },
	"node":     func(r *Request, v string) error { r.Node = v; return nil },
	"backend":  parseBackend,
	"profile":  func(r *Request, v string) error { r.Profile = v; return nil },
	"replicas": parseReplicas,
	"from":     func(r *Request, v string) error { r.From = v; return nil },
	"snapshot": func(r *Request, v string) error { r.Snapshot = v; return nil },
}

// parse reads the options of an engine's request. One that is not known is refused: what was meant by
// it would be lost in silence.
func parse(name string, given map[string]string) (Request, error) {
	r := Request{Name: name}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value := given[key]
		read, known := options[key]
		backend, _, dotted := strings.Cut(key, ".")
		switch {
		case dotted && slices.Contains(backends, backend):
			if r.Settings == nil {
				r.Settings = map[string]string{}
			}
			r.Settings[key] = value
			continue
		case !known:
			return r, unknown(key)
		case value == "":
			return r, fmt.Errorf("%w: option %s has no value", cluster.ErrInvalid, key)
		}
		if err := read(&r, value); err != nil {
			return r, fmt.Errorf("option %s: %w", key, err)
		}
	}
	if r.Snapshot != "" && r.From == "" {
		return r, fmt.Errorf("%w: option snapshot needs the volume that has it: from=VOLUME", cluster.ErrInvalid)
	}
	return r, nil
}

func unknown(key string) error {
	names := slices.Sorted(maps.Keys(options))
	err := fmt.Errorf("%w: there is no option %.100q; the options are: %s, and settings of a backend such as zfs.recordsize",
		cluster.ErrInvalid, key, strings.Join(names, ", "))
	if near := suggest.Word(strings.ToLower(key), names); near != "" {
		err = cluster.WithHint(err, fmt.Sprintf("did you mean %s?", near))
	}
	return err
}

// parseSize reads a size as people give it to Docker: also "10GB" and "10GiB" are binary.
func parseSize(value string) (int64, error) {
	text := strings.ToUpper(value)
	for _, unit := range []string{"IB", "B"} {
		if short, ok := strings.CutSuffix(text, unit); ok && strings.ContainsAny(short, "KMGT") {
			return cluster.ParseSize(short)
		}
	}
	return cluster.ParseSize(value)
}

// parseLabels reads "tier=db,team=x".
func parseLabels(value string) (map[string]string, error) {
	labels := map[string]string{}
	for _, label := range strings.Split(value, ",") {
		key, text, ok := strings.Cut(label, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%w: %.100q: want key=value, and commas between them", cluster.ErrInvalid, label)
		}
		labels[key] = text
	}
	return labels, nil
}

func parseBackend(r *Request, value string) error {
	if r.Backend = value; !slices.Contains(backends, value) {
		return fmt.Errorf("%w: %.100q: the backends are: %s", cluster.ErrInvalid, value, strings.Join(backends, ", "))
	}
	return nil
}

func parseReplicas(r *Request, value string) (err error) {
	if r.Replicas, err = strconv.Atoi(value); err != nil || r.Replicas < 1 || r.Replicas > 100 {
		return fmt.Errorf("%w: %.100q: want a number from 1 to 100", cluster.ErrInvalid, value)
	}
	return nil
}
