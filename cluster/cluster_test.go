package cluster

import (
	"strings"
	"testing"
)

func TestNewUUID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewUUID()
		if !IsUUID(id) || seen[id] || id != strings.ToLower(id) {
			t.Fatalf("%s is malformed, or not new", id)
		}
		seen[id] = true
	}
}

func TestIsUUID(t *testing.T) {
	for _, row := range []struct {
		rule, text string
		want       bool
	}{
		{"lower case", "47440eff-e933-4de0-b56c-d3469b61421f", true},
		{"upper case", "47440EFF-E933-4DE0-B56C-D3469B61421F", true},
		{"another version", "47440eff-e933-1de0-b56c-d3469b61421f", false},
		{"another variant", "47440eff-e933-4de0-756c-d3469b61421f", false},
		{"in braces", "{47440eff-e933-4de0-b56c-d3469b61421f}", false},
		{"without dashes", "47440effe9334de0b56cd3469b61421f", false},
		{"a digit too many", "47440eff-e933-4de0-b56c-d3469b61421f0", false},
		{"a line end behind", "47440eff-e933-4de0-b56c-d3469b61421f\n", false},
		{"a letter beyond f", "g7440eff-e933-4de0-b56c-d3469b61421f", false},
		{"nothing", "", false},
	} {
		if got := IsUUID(row.text); got != row.want {
			t.Errorf("%s: %q: got %t, want %t", row.rule, row.text, got, row.want)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, row := range []struct {
		rule, name string
		want       bool
	}{
		{"one letter", "a", true},
		{"a digit first", "0-app", true},
		{"all kinds of punctuation", "My_app.v2-b", true},
		{"as long as may be", strings.Repeat("a", 128), true},
		{"too long", strings.Repeat("a", 129), false},
		{"nothing", "", false},
		{"a way out of the directory", "..", false},
		{"a hidden file", ".app", false},
		{"an option", "-rf", false},
		{"a path", "a/b", false},
		{"Docker's leading slash", "/app", false},
		{"a space", "a b", false},
		{"a line end behind", "app\n", false},
		{"a letter beyond ASCII", "müll", false},
		{"a zero byte", "a\x00", false},
		{"a snapshot", "a@b", false},
	} {
		if got := ValidName(row.name); got != row.want {
			t.Errorf("%s: %q: got %t, want %t", row.rule, row.name, got, row.want)
		}
	}
}
