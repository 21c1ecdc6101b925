package deploy

import (
	"bytes"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Bounds of what a file may come to. A few lines of aliases can stand for more values than there
// is memory; a real file is far below.
const (
	maxValues = 1 << 17
	maxDepth  = 32
	maxKey    = 1 << 10
	maxBytes  = 1 << 20
	maxLinks  = 10_000
)

// Bounds of a Compose file, whose library takes much longer for twice as much.
const (
	maxComposeValues    = 4096
	maxComposeText      = 16 << 10
	maxComposeVariables = 32 // in one text
	maxComposeRange     = 100
	maxComposeRanges    = 32
)

// parseYAML returns the one document of a file as a tree of values. With errors, the tree is what
// could be understood, or nil.
func parseYAML(s Source) (*value, Errors) {
	if len(s.Data) > maxBytes {
		return nil, Errors{{File: s.Name, Line: 1, Message: fmt.Sprintf("the file has more than %d bytes", maxBytes)}}
	}
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
	if t.abandoned {
		return nil, t.errors
	}
	return root, t.errors
}

// A tree is made from the nodes of a YAML document.
type tree struct {
	file      string
	errors    Errors
	left      int                 // how many values more it may have
	open      map[*yaml.Node]bool // aliases being resolved
	abandoned bool                // it would come to too much
}

func (t *tree) fail(v *value, line int, format string, args ...any) {
	t.errors = append(t.errors, Error{File: t.file, Line: line, Path: v.path(), Message: fmt.Sprintf(format, args...)})
}

func (t *tree) giveUp(v *value, format string, args ...any) {
	if !t.abandoned {
		t.fail(v, v.line, format, args...)
	}
	t.abandoned = true
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
	if t.abandoned {
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
		t.merge(m, v, first, depth)
	}
}

// merge adds to v what "<<" brings: one mapping or a list of them. Keys that are there already, by
// the lines of first, win.
func (t *tree) merge(n *yaml.Node, v *value, first map[string]int, depth int) {
	from := t.value(n, &value{line: n.Line, parent: v.parent, key: v.key, index: v.index}, depth+1)
	sources := []*value{from}
	if from.kind == list {
		sources = from.parts
	}
	for _, source := range sources {
		if source.kind != mapping && !t.abandoned {
			t.fail(v, n.Line, "<< wants a mapping, or a list of mappings; got %s", source)
		}
		for _, part := range source.parts {
			if _, there := first[part.key]; source.kind == mapping && !there {
				first[part.key] = part.line
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
