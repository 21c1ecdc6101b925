package deploy

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of what a file may come to. A few lines of aliases can stand for more values than there
// is memory; a real file is far below.
const (
	maxValues = 1 << 17
	maxDepth  = 32
	maxKey    = 1 << 10
)

// parseYAML returns the one document of a file as a tree of values. With errors, the tree is what
// could be understood, or nil.
func parseYAML(s Source) (*value, Errors) {
	decoder := yaml.NewDecoder(bytes.NewReader(s.Data))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err == io.EOF {
		return &value{kind: nothing, line: 1}, nil
	} else if err != nil {
		return nil, Errors{syntaxError(s, err)}
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, Errors{{File: s.Name, Line: second.Line, Message: "a second YAML document begins here: want one"}}
	} else if err != io.EOF {
		return nil, Errors{syntaxError(s, err)}
	}
	t := tree{file: s.Name, left: maxValues, open: map[*yaml.Node]bool{}}
	root := t.value(document.Content[0], &value{line: document.Content[0].Line}, 0)
	if t.endless {
		return nil, t.errors
	}
	return root, t.errors
}

// A tree is made from the nodes of a YAML document.
type tree struct {
	file    string
	errors  Errors
	left    int                 // how many values more it may have
	open    map[*yaml.Node]bool // aliases being resolved
	endless bool                // it was given up
}

func (t *tree) fail(v *value, line int, format string, args ...any) {
	t.errors = append(t.errors, Error{File: t.file, Line: line, Path: v.path(), Message: fmt.Sprintf(format, args...)})
}

func (t *tree) giveUp(v *value, format string, args ...any) {
	if !t.endless {
		t.fail(v, v.line, format, args...)
	}
	t.endless = true
}

// value fills v, which knows its place already, from the node.
func (t *tree) value(n *yaml.Node, v *value, depth int) *value {
	v.kind = nothing
	if t.left--; t.left < 0 {
		t.giveUp(v, "the file stands for more than %d values", maxValues)
	}
	if depth > maxDepth {
		t.giveUp(v, "is nested more than %d levels deep", maxDepth)
	}
	if t.endless {
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		if t.open[n.Alias] {
			t.giveUp(v, "the alias *%s stands for something that contains it", n.Value)
			return v
		}
		t.open[n.Alias] = true
		t.value(n.Alias, v, depth+1)
		delete(t.open, n.Alias)
	case yaml.MappingNode:
		v.kind = mapping
		t.mapping(n, v, depth)
	case yaml.SequenceNode:
		v.kind = list
		for i, item := range n.Content {
			v.parts = append(v.parts, t.value(item, &value{line: item.Line, parent: v, index: i}, depth+1))
		}
	default:
		v.kind, v.text = scalarKind(n), n.Value
		if v.kind == exotic {
			v.text = n.Tag
		}
	}
	return v
}

func (t *tree) mapping(n *yaml.Node, v *value, depth int) {
	first := map[string]int{} // key -> line
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, content := n.Content[i], n.Content[i+1]
		line := key.Line
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		merge := key.ShortTag() == "!!merge"
		if key.Kind != yaml.ScalarNode || (scalarKind(key) != aString && !merge) {
			t.fail(v, line, "every key must be a string: put quotes around %s", describeKey(key))
			continue
		}
		if len(key.Value) > maxKey {
			t.fail(v, line, "a key is longer than %d bytes", maxKey)
			continue
		}
		part := &value{line: line, parent: v, key: key.Value}
		if earlier, twice := first[key.Value]; twice {
			t.fail(part, line, "is given twice, first on line %d: remove one", earlier)
			continue
		}
		first[key.Value] = line
		if merge {
			merges = append(merges, content)
			continue
		}
		v.parts = append(v.parts, t.value(content, part, depth+1))
	}
	for _, m := range merges {
		t.merge(m, v, depth)
	}
}

// merge adds to v what "<<" brings: one mapping or a list of them. What is there already wins.
func (t *tree) merge(n *yaml.Node, v *value, depth int) {
	from := t.value(n, &value{line: n.Line, parent: v.parent, key: v.key, index: v.index}, depth+1)
	sources := []*value{from}
	if from.kind == list {
		sources = from.parts
	}
	for _, source := range sources {
		if source.kind != mapping && !t.endless {
			t.fail(v, n.Line, "<< wants a mapping, or a list of mappings; got %s", source)
		}
		for _, part := range source.parts {
			if source.kind == mapping && v.field(part.key) == nil {
				part.parent = v
				v.parts = append(v.parts, part)
			}
		}
	}
}

func describeKey(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return "it"
	}
	return n.Value
}

func scalarKind(n *yaml.Node) kind {
	switch n.ShortTag() {
	case "!!str":
		return aString
	case "!!int":
		return integer
	case "!!float":
		return number
	case "!!bool":
		return boolean
	case "!!null":
		return nothing
	case "!!timestamp":
		return instant
	}
	return exotic
}

var (
	linePattern   = regexp.MustCompile(`^yaml: line (\d+): `)
	anchorPattern = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced`)
)

// syntaxError finds the line of an error of the YAML library, which often tells none.
func syntaxError(s Source, err error) Error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := linePattern.FindStringSubmatch(err.Error()); m != nil {
		message = strings.TrimPrefix(err.Error(), m[0])
		line, _ = strconv.Atoi(m[1]) // digits
		if strings.HasPrefix(message, "did not find expected") {
			line++ // the parser, unlike the scanner, counts lines from 0
		}
	} else if m := anchorPattern.FindStringSubmatch(err.Error()); m != nil {
		before, _, _ := bytes.Cut(s.Data, []byte("*"+m[1]))
		line += bytes.Count(before, []byte("\n"))
	} else if i := firstUnreadable(s.Data); i >= 0 {
		line += bytes.Count(s.Data[:i], []byte("\n"))
	}
	return Error{File: s.Name, Line: line, Message: "is not YAML: " + message}
}

// firstUnreadable returns the index of the first byte that YAML refuses to read, or -1.
func firstUnreadable(data []byte) int {
	return bytes.IndexFunc(data, func(r rune) bool {
		return r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r'
	})
}

