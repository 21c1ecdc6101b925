package cluster_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestScripts runs the scripts of testdata, each against a cluster of three nodes a, b and c of
// its own. They are the manual of the command line: what they show works.
func TestScripts(t *testing.T) {
	binary := testcluster.Binary(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			c := &localcluster.Cluster{Binary: binary, Dir: filepath.Join(e.WorkDir, ".cluster"), Nodes: 3}
			ctx, cancel := context.WithTimeout(context.Background(), testcluster.Patience)
			defer cancel()
			if err := c.Start(ctx); err != nil {
				return err
			}
			e.Defer(func() {
				if err := c.Stop(); err != nil {
					t.Errorf("stop the cluster: %v", err)
				}
			})
			e.Setenv("DROVER_CONTROL", c.ControlAddress())
			e.Setenv("DROVER_PKI", c.PKI())
			e.Setenv("EXAMPLES", examples)
			for _, name := range c.NodeNames() {
				e.Setenv("NODE_"+name, c.Address(name))
			}
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			return nil
		},
	})
}
