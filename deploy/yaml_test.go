package deploy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

func TestYAMLRefused(t *testing.T) {
	for _, row := range []struct {
		rule, file string
		want       []string
	}{
		{"a mapping in a line", "x: 1\na: b: c\n", []string{"f:2: is not YAML: mapping values are not allowed in this context"}},
		{"a fault in the first line", "a: b: c\n", []string{"f:1: is not YAML: mapping values are not allowed in this context"}},
		{"a tab", "a: 1\n\tb: 2\n", []string{"f:2: is not YAML: found a tab character that violates indentation"}},
		{"a list that ends in a mapping", "x: 1\na:\n - 1\n b: 2\n", []string{"f:3: is not YAML: did not find expected '-' indicator"}},
		{"a brace that closes nothing", "x: 1\na: [1,\nb: }\n", []string{"f:3: is not YAML: did not find expected node content"}},
		{"an unknown anchor", "x: 1\n\na: *foo\n", []string{"f:3: is not YAML: unknown anchor 'foo' referenced"}},
		{"a control character", "x: 1\na: \x01\n", []string{"f:2: is not YAML: control characters are not allowed"}},
		{"no UTF-8", "x: 1\n\na: \xff\n", []string{"f:3: is not YAML: invalid leading UTF-8 octet"}},
		{"a second document", "a: 1\n---\nb: 2\n", []string{"f:2: a second YAML document begins here: want one"}},
		{"a broken second document", "a: 1\n---\nb: [\n", []string{"f:3: is not YAML: did not find expected node content"}},
		{"a key twice", "a: 1\nb: 2\na: 3\n", []string{"f:3: a: is given twice, first on line 1: remove one"}},
		{"a key twice, deep down", "a:\n- {b: 1, b: 2}\n", []string{"f:2: a[0].b: is given twice, first on line 2: remove one"}},
		{"a merge twice", "x: &x {}\na:\n  <<: *x\n  <<: *x\n", []string{"f:4: a.<<: is given twice, first on line 3: remove one"}},
		{"a key that is a number", "a: {80: 1}\n", []string{"f:1: a: every key must be a string: put quotes around 80"}},
		{"a key that is nothing", "a: {~: 1}\n", []string{"f:1: a: every key must be a string: put quotes around ~"}},
		{"a key that is a list", "a:\n  ? [1]\n  : 2\n", []string{"f:2: a: every key must be a string: put quotes around it"}},
		{"a very long key", "? " + strings.Repeat("k", maxKey+1) + "\n: 1\n", []string{"f:1: a key is longer than 1024 bytes"}},
		{"a merge of a string", "a:\n  <<: b\n", []string{`f:2: a: << wants a mapping, or a list of mappings; got "b"`}},
		{"a merge of a list of strings", "a:\n  <<: [b]\n", []string{`f:2: a: << wants a mapping, or a list of mappings; got "b"`}},
		{"an alias within its anchor", "a: &a\n  b: *a\n", []string{"f:2: a.b.b: the alias *a stands for something that contains it"}},
		{"a merge of oneself", "a: &a\n  <<: *a\n", []string{"f:2: a: the alias *a stands for something that contains it"}},
		{"deep nesting", "a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), []string{
			"f:1: a" + strings.Repeat("[0]", maxDepth) + ": is nested more than 32 levels deep"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, errs := parseYAML(Source{Name: "f", Data: []byte(row.file)})
			if len(errs) == 0 {
				errs = nil
			}
			wantError(t, errs, row.want...)
		})
	}
}

// A file of a few hundred bytes that stands for ten to the tenth values.
func TestAliasesAreBounded(t *testing.T) {
	file := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		file += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	_, errs := parseYAML(Source{Name: "f", Data: []byte(file)})
	if len(errs) != 1 || !strings.Contains(errs.Error(), "the file stands for more than 131072 values") {
		t.Errorf("got %v", errs)
	}
}

func TestMergesAreBounded(t *testing.T) {
	file := "a0: &a0 {x: 1}\n"
	for i := 1; i < 20; i++ {
		file += fmt.Sprintf("a%d: &a%d {<<: [%s]}\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	_, errs := parseYAML(Source{Name: "f", Data: []byte(file)})
	if len(errs) != 1 {
		t.Errorf("got %v", errs)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	c := deployed(t, cluster.Configuration{}, `
version: 1
common: &common
  image: postgres:15
  environment: &environment {A: common, B: common}
  mem_limit: 1000
quick: &quick
  mem_limit: 2000
  cpu_shares: 10
applications:
  own:
    <<: *common
    environment: {<<: *environment, B: own}
  both:
    <<: [*quick, *common]
  same: *common
`, nowhere)
	for name, want := range map[cluster.AppName]cluster.Application{
		"own":  {Environment: map[string]string{"A": "common", "B": "own"}, Limits: cluster.Limits{MemoryBytes: 1000}},
		"both": {Environment: map[string]string{"A": "common", "B": "common"}, Limits: cluster.Limits{MemoryBytes: 2000, CPUShares: 10}},
		"same": {Environment: map[string]string{"A": "common", "B": "common"}, Limits: cluster.Limits{MemoryBytes: 1000}},
	} {
		want.Name, want.Image = name, "postgres:15"
		if diff := cmp.Diff(want, c.Applications[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The line is where the fault has to be mended, the path which application has it.
func TestAFaultBehindAnAliasNamesBothItsEnds(t *testing.T) {
	_, err := parse(`version: 1
x: &x
  image: x
  mem_limit: much
applications:
  a: *x
  b: {<<: *x}
`, nowhere)
	wantError(t, err,
		`app.yml:4: applications.a.mem_limit: want an integer; got "much"`,
		`app.yml:4: applications.b.mem_limit: want an integer; got "much"`)
}

func TestValuesDescribeThemselves(t *testing.T) {
	for file, want := range map[string]string{
		"[]": "a list", "{}": "a mapping", "~": "nothing", "5": "the integer 5", "1e3": "the number 1e3", "true": "the boolean true",
		"2001-01-01": "the date 2001-01-01", "!foo 1": "a value with the tag !foo", "text": `"text"`,
		strings.Repeat("x", 41): "a long string",
	} {
		root, errs := parseYAML(Source{Name: "f", Data: []byte(file)})
		if len(errs) > 0 || root.String() != want {
			t.Errorf("%s: got %s %v, want %s", file, root, errs, want)
		}
	}
}
