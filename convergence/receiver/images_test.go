package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// An imageNode is the runtime of an agent that gets images from nowhere but other nodes.
type imageNode struct {
	runtime.Runtime
	held    map[string]bool
	created []cluster.AppName
}

func (n *imageNode) HasImage(_ context.Context, name string) (bool, error) { return n.held[name], nil }

func (n *imageNode) EnsureImage(_ context.Context, name string) error {
	if n.held[name] {
		return nil
	}
	return fmt.Errorf("%w: no registry", cluster.ErrUnavailable)
}

func (n *imageNode) SaveImage(context.Context, string, io.Writer) error { return nil }

func (n *imageNode) LoadImage(_ context.Context, name string, stream io.Reader) error {
	_, err := io.Copy(io.Discard, stream)
	n.held[name] = err == nil
	return err
}

func (n *imageNode) Create(_ context.Context, spec runtime.Spec) error {
	n.created = append(n.created, spec.Application.Name)
	return nil
}

// arriving returns an agent to which node a moves db, from image db:1.
func arriving() (*Receiver, *imageNode) {
	node := &imageNode{held: map[string]bool{}}
	app := cluster.Application{Name: "db", Image: "db:1"}
	a := &Receiver{Node: cluster.Node{ID: "b"}, Runtime: node, Log: slog.New(slog.DiscardHandler)}
	a.assignment = cluster.Assignment{Moves: []cluster.Move{{ID: "m", From: "a", To: "b"}}, Arriving: []cluster.Arrival{{Move: "m", Application: &app}}}
	return a, node
}

// TestAnImageComesWithItsApplication, which is created as soon as it can be.
func TestAnImageComesWithItsApplication(t *testing.T) {
	a, node := arriving()
	if waits, err := a.createArriving(t.Context(), runtime.Spec{Application: *a.assignment.Arriving[0].Application}); err != nil || !waits {
		t.Fatal(waits, err)
	}
	if has, err := a.HasImage(t.Context(), "a", "db:1"); has || err != nil || len(node.created) != 0 {
		t.Fatalf("before the image: has %t, %v, created %v", has, err, node.created)
	}
	if err := a.LoadImage(t.Context(), "a", "db:1", strings.NewReader("layers")); err != nil {
		t.Fatal(err)
	}
	if has, err := a.HasImage(t.Context(), "a", "db:1"); !has || err != nil || len(node.created) != 1 {
		t.Errorf("after it: has %t, %v, created %v", has, err, node.created)
	}
}

// TestWhoMayBringAnImage: the source of a move that ends here, and only that of its application.
func TestWhoMayBringAnImage(t *testing.T) {
	for _, row := range []struct {
		rule  string
		from  cluster.NodeID
		image string
		want  error
	}{
		{"the source of the move", "a", "db:1", nil},
		{"another image", "a", "evil:1", cluster.ErrForbidden},
		{"another node", "c", "db:1", cluster.ErrForbidden},
		{"a user", "", "db:1", cluster.ErrForbidden},
	} {
		a, node := arriving()
		_, err := a.HasImage(t.Context(), row.from, row.image)
		err2 := a.LoadImage(t.Context(), row.from, row.image, strings.NewReader("layers"))
		if !errors.Is(err, row.want) || !errors.Is(err2, row.want) || (row.want != nil && len(node.held) > 0) {
			t.Errorf("%s: asks %v, brings %v, want %v", row.rule, err, err2, row.want)
		}
	}
	a, _ := arriving()
	a.Runtime = struct{ runtime.Runtime }{}
	if _, err := a.HasImage(t.Context(), "a", "db:1"); !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("a runtime without images: got %v, want ErrUnsupported", err)
	}
}

// TestAnImageComesWithoutAVolume, from who still runs the application, once its registry is silent.
func TestAnImageComesWithoutAVolume(t *testing.T) {
	a, node := arriving()
	app := *a.assignment.Arriving[0].Application
	a.assignment = cluster.Assignment{Arriving: []cluster.Arrival{{Application: &app, From: "a"}}}
	if _, err := a.HasImage(t.Context(), "a", "db:1"); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("before the registry was asked: %v", err)
	}
	if err := a.Create(t.Context(), runtime.Spec{Application: app}); !errors.Is(err, cluster.ErrUnavailable) || len(node.created) != 0 {
		t.Errorf("without its image: %v, created %v", err, node.created)
	}
	if has, err := a.HasImage(t.Context(), "a", "db:1"); has || err != nil {
		t.Errorf("after the registry was asked: has %t, %v", has, err)
	}
	if err := a.LoadImage(t.Context(), "c", "db:1", strings.NewReader("layers")); !errors.Is(err, cluster.ErrForbidden) {
		t.Errorf("another node brings it: %v", err)
	}
	if err := a.LoadImage(t.Context(), "a", "db:1", strings.NewReader("layers")); err != nil || len(node.created) != 1 {
		t.Errorf("with it: %v, created %v", err, node.created)
	}
	if err := a.Create(t.Context(), runtime.Spec{Application: app}); err != nil {
		t.Error(err)
	}
}
