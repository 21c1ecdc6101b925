package records

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestAMapIsAMap: whatever is done to it, and to clones of it, each holds what was put into it, in order.
func TestAMapIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type both struct {
			is   Map[int, int]
			want map[int]int
		}
		all := []*both{{want: map[int]int{}}}
		some := func(t *rapid.T) *both { return all[rapid.IntRange(0, len(all)-1).Draw(t, "which")] }
		key := rapid.IntRange(0, 200)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				b := some(t)
				for k := range rapid.SliceOf(key).Draw(t, "keys") {
					b.is.Put(k, k+len(b.want))
					b.want[k] = k + len(b.want)
				}
			},
			"delete": func(t *rapid.T) {
				b, k := some(t), key.Draw(t, "key")
				b.is.Delete(k)
				delete(b.want, k)
			},
			"clone": func(t *rapid.T) {
				b := some(t)
				all = append(all, &both{b.is.Clone(), maps.Clone(b.want)})
			},
			"": func(t *rapid.T) {
				for _, b := range all {
					if !maps.Equal(maps.Collect(b.is.All()), b.want) || b.is.Len() != len(b.want) {
						t.Fatalf("it holds %v, want %v", maps.Collect(b.is.All()), b.want)
					}
					if keys := slices.Collect(b.is.Keys()); !slices.IsSorted(keys) {
						t.Fatalf("the keys come as %v", keys)
					}
					k := key.Draw(t, "looked up")
					if v, ok := b.is.Get(k); v != b.want[k] || v != b.is.At(k) || ok != (b.want[k] != 0) && k != 0 {
						t.Fatalf("%d is %d, %t; want %d", k, v, ok, b.want[k])
					}
				}
			},
		})
	})
}

func TestPairsAreFoundByTheFirst(t *testing.T) {
	var p Pairs[string, string]
	if p.Any("a") || p.Has("a", "x") {
		t.Error("none are some")
	}
	p.Remove("a", "x")
	for _, of := range []string{"b", "a", "ab"} {
		p.Add(of, "y")
		p.Add(of, "x")
		p.Add(of, "x")
	}
	before := p.Clone()
	p.Remove("a", "x")
	p.Remove("ab", "x")
	p.Remove("ab", "y")
	for _, tt := range []struct {
		of   string
		want []string
	}{{"", nil}, {"a", []string{"y"}}, {"ab", nil}, {"b", []string{"x", "y"}}, {"c", nil}} {
		if got := slices.Collect(p.Of(tt.of)); !slices.Equal(got, tt.want) || p.Any(tt.of) != (len(tt.want) > 0) {
			t.Errorf("%q has %q, want %q", tt.of, got, tt.want)
		}
	}
	if !before.Has("ab", "x") || p.Has("ab", "x") || !slices.Equal(slices.Collect(before.Of("a")), []string{"x", "y"}) {
		t.Error("a clone follows the changes of the other")
	}
}
