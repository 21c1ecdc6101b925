// Package archtest holds the rules of the architecture against the code: who may import whom,
// where each outside library has its home, and what every package and file must be like. A rule
// that is broken prints its reason.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/drover/drover"

// layers lists what the packages below a folder may import of this module. The first entry whose
// folder holds the package counts. Tests are free.
var layers = []struct {
	folder string
	may    []string
	why    string
}{
	{"cluster", nil, "the vocabulary imports nothing, so that everything can import it"},
	{"internal/durable", nil, "a leaf"},
	{"internal/fault", nil, "a leaf"},
	{"internal/widepipe", nil, "a leaf"},
	{"internal/sleep", nil, "a leaf"},
	{"internal/suggest", nil, "a leaf"},
	{"internal/pki", []string{"cluster", "internal/durable"}, "certificates know who is who, not what they do"},
	{"volume", []string{"cluster", "volume", "internal/durable", "internal/widepipe", "internal/suggest"}, "volumes know nothing of applications, routes and the control service"},
	{"proxy", []string{"cluster"}, "the proxy is a table and a data path"},
	{"convergence/plan", []string{"cluster"}, "the plan is pure and knows nothing but the vocabulary"},
	{"convergence/runtime", []string{"cluster", "convergence/runtime", "internal/durable"}, "a runtime runs what it is given"},
	{"convergence/membership", []string{"cluster"}, "membership wakes things up and decides nothing"},
	{"convergence/executor", []string{"convergence/plan"}, "it does steps, whatever they are"},
	{"convergence/handoff", []string{"cluster", "control/wire", "convergence/runtime", "volume", "internal/durable", "internal/fault", "internal/sleep"}, "one attempt of a move, as its source, knows no agent"},
	{"convergence/receiver", []string{"cluster", "control/wire", "convergence/plan", "convergence/runtime", "volume", "internal/fault"}, "moves to a node arrive without its agent"},
	{"convergence/mounts", []string{"cluster", "convergence/runtime", "volume", "internal/durable", "internal/sleep"}, "who uses volumes is known without the agent"},
	{"convergence/applogs", []string{"cluster", "convergence/runtime", "internal/sleep"}, "output of applications passes by all else"},
	{"convergence/agentsocket", []string{"cluster", "control/wire"}, "two calls and their errors"},
	{"convergence/dockervolume", []string{"cluster", "control/wire", "convergence/agentsocket", "convergence/mounts", "convergence/plan", "volume", "internal/durable", "internal/sleep"}, "the plugin is a process of its own"},
	{"convergence", []string{"cluster", "volume", "convergence", "control/wire", "internal/durable", "internal/fault", "internal/sleep"},
		"the agent meets the other folders in the volume contract and the wire only"},
	{"control/wire", []string{"cluster"}, "what both sides of the API agree on"},
	{"control/store", []string{"cluster", "control/store", "internal/durable"}, "a store is a map with revisions"},
	{"control/client", []string{"cluster", "control/wire", "internal/pki", "internal/sleep"}, "the client mirrors the API"},
	{"control/api", []string{"cluster", "control/wire", "control/api", "internal/pki", "internal/sleep"}, "handlers call the service through their own interface"},
	{"control/records", []string{"cluster", "control/store"}, "what is on record decides nothing"},
	{"control/view", []string{"cluster", "control/records", "control/wire"}, "a view shows, and decides nothing"},
	{"control/rules", []string{"cluster", "control/records", "control/view", "control/wire", "volume"}, "a rule knows one view, and never calls the service"},
	{"control/assign", []string{"cluster", "control/records", "control/view"}, "what a node gets follows from one view"},
	{"control/report", []string{"cluster", "control/records", "control/view", "control/assign", "control/wire", "convergence/plan", "convergence/runtime", "volume"},
		"a report puts one view into words"},
	{"control", []string{"cluster", "control/records", "control/view", "control/rules", "control/assign", "control/report",
		"control/wire", "control/store", "internal/fault"}, "the service knows no transport and no host"},
	{"deploy", []string{"cluster", "internal/suggest"}, "files become a configuration, nothing else"},
}

// homes says which folder an outside library belongs to, so that it can be replaced there.
var homes = map[string][]string{
	"github.com/gin-gonic/gin":                   {"control/api"},
	"github.com/google/btree":                    {"control/records"},
	"go.etcd.io/bbolt":                           {"control/store/bolt", "internal/workload/ledger"},
	"golang.org/x/crypto/ssh":                    {"volume/transfer/ssh"},
	"github.com/pkg/sftp":                        {"volume/transfer/ssh"},
	"github.com/hashicorp/memberlist":            {"convergence/membership"},
	"github.com/spf13/cobra":                     {"cmd/drover"},
	"go.yaml.in/yaml/v3":                         {"deploy"},
	"github.com/jackc/pgx/v5":                    {"internal/workload/postgres", "test/bench"},
	"github.com/compose-spec/compose-go/v2":      {"deploy"},
	"github.com/moby/moby":                       {"convergence/runtime/docker"},
	"github.com/docker/go-plugins-helpers":       {"volume/plugin"},
	"github.com/mistifyio/go-zfs":                {"volume/zfs"},
	"github.com/vbauerster/mpb/v8":               {"cmd/drover"},
	"github.com/rogpeppe/go-internal/testscript": {"cmd/drover"},
}

// A file is one parsed source file.
type file struct {
	path    string // relative to the module, with slashes
	folder  string
	test    bool
	syntax  *ast.File
	imports []string
	lines   int
}

func TestImportsPointDownwards(t *testing.T) {
	for _, f := range load(t) {
		if f.test {
			continue
		}
		for _, imported := range f.imports {
			local, ok := strings.CutPrefix(imported, module+"/")
			if !ok {
				continue
			}
			for _, layer := range layers {
				if !within(f.folder, layer.folder) {
					continue
				}
				if local != f.folder && !slices.ContainsFunc(layer.may, func(may string) bool { return within(local, may) }) {
					t.Errorf("%s imports %s: %s", f.path, local, layer.why)
				}
				break
			}
		}
	}
}

func TestOutsideLibrariesHaveOneHome(t *testing.T) {
	for _, f := range load(t) {
		if f.test {
			continue
		}
		for _, imported := range f.imports {
			for library, folders := range homes {
				if within(imported, library) && !slices.ContainsFunc(folders, func(home string) bool { return within(f.folder, home) }) {
					t.Errorf("%s imports %s, whose home is %s: outside it, use what that package offers", f.path, imported, strings.Join(folders, " or "))
				}
			}
		}
	}
}

// pure lists the packages that are functions of what they are given.
var pure = []string{"convergence/plan", "control/records", "control/view", "control/rules", "control/assign", "control/report"}

// impure lists what such a package must not call: each would make it answer differently for the same
// question. What it needs of them is given to it.
var impure = map[string][]string{
	"time":                             {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Sleep", "Tick"},
	"github.com/drover/drover/cluster": {"NewUUID"},
	"os":                               nil, "io/fs": nil, "os/exec": nil, "net": nil, "net/http": nil, // nil: it must not be imported at all
	"math/rand": nil, "math/rand/v2": nil, "crypto/rand": nil,
}

func TestPureFunctionsStayPure(t *testing.T) {
	for _, f := range load(t) {
		if f.test || !slices.Contains(pure, f.folder) {
			continue
		}
		for _, imported := range f.imports {
			if calls, listed := impure[imported]; listed && calls == nil {
				t.Errorf("%s imports %s: the package is a function of what it is given", f.path, imported)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if p, ok := s.X.(*ast.Ident); ok && p.Obj == nil {
				for imported, calls := range impure {
					if path.Base(imported) == p.Name && slices.Contains(calls, s.Sel.Name) {
						t.Errorf("%s uses %s.%s: the package is a function of what it is given", f.path, p.Name, s.Sel.Name)
					}
				}
			}
			return true
		})
	}
}

// TestNoProductImportsTheHarness: what tests are made with, and what ends file systems, is linked into no
// program.
func TestNoProductImportsTheHarness(t *testing.T) {
	for _, f := range load(t) {
		if f.test || within(f.folder, "test") || within(f.folder, "volume/torture") {
			continue
		}
		for _, imported := range f.imports {
			if local, ok := strings.CutPrefix(imported, module+"/"); ok && within(local, "test") {
				t.Errorf("%s imports %s, which is for tests", f.path, local)
			}
		}
	}
}

// TestInternalIsWhatTheProgramLinks: what only tests use stands with the harness.
func TestInternalIsWhatTheProgramLinks(t *testing.T) {
	used := map[string]bool{}
	folders := map[string]bool{}
	for _, f := range load(t) {
		if within(f.folder, "internal") {
			folders[f.folder] = true
		}
		if f.test || within(f.folder, "test") || within(f.folder, "volume/torture") {
			continue
		}
		for _, imported := range f.imports {
			used[strings.TrimPrefix(imported, module+"/")] = true
		}
	}
	for folder := range folders {
		if !used[folder] {
			t.Errorf("%s is used by tests alone: it belongs into test/harness", folder)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range load(t) {
		documented[f.folder] = documented[f.folder] || f.syntax.Doc != nil
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s has no package doc: say what it is, how it is used and what it is not", folder)
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	const most = 600
	for _, f := range load(t) {
		if f.lines > most {
			t.Errorf("%s has %d lines: two nouns in two files read better than one file over %d", f.path, f.lines, most)
		}
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: what happens before main is seen by nobody", f.path)
			}
		}
		for _, vague := range []string{"util", "utils", "common", "helpers", "types", "model", "misc"} {
			if path.Base(f.folder) == vague {
				t.Errorf("%s: a package named %s has no job", f.path, vague)
			}
		}
	}
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

func load(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	var files []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		source, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(fset, p, source, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f := file{path: filepath.ToSlash(rel), test: strings.HasSuffix(p, "_test.go"), syntax: syntax, lines: strings.Count(string(source), "\n")}
		f.folder = path.Dir(f.path)
		for _, spec := range syntax.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, name)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found only %d files: the rules would hold for nothing", len(files))
	}
	return files
}
