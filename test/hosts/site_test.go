package hosts_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestAnImageComesWithoutAVolume: an application without a volume moves to a host that has not its image, and
// has no way to a registry. Every request on the way is answered.
func TestAnImageComesWithoutAVolume(t *testing.T) {
	c := testcluster.OnHosts(t, 3)
	site := filepath.Join(t.TempDir(), "site")
	build := exec.Command("go", "build", "-o", site, "./site")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the site: %v\n%s", err, out)
	}
	const image = "drover-test-site:1"
	if err := c.Network.Host("a").Import(image, site); err != nil {
		t.Fatal(err)
	}
	c.Deploy(cluster.Application{Name: "site", Image: image, Command: []string{"/site"},
		Ports: []cluster.Port{{Internal: 80, External: port}}}, "a")

	var asked, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			asked.Add(1)
			if why := get(client, "http://"+c.Proxy("c", port)); why != "" {
				failed.Add(1)
				t.Logf("request %d: %s", asked.Load(), why)
			}
		}
	}()
	for _, to := range []string{"b", "a", "c"} {
		m, err := c.Control().RequestMove(t.Context(), wire.MoveRequest{Application: "site", To: to})
		if err != nil {
			t.Fatal(err)
		}
		patient, cancel := context.WithTimeout(t.Context(), testcluster.Patience)
		if _, err := c.Control().WaitServing(patient, "site", m.To, nil); err != nil {
			t.Fatalf("on %s: %v", to, err)
		}
		cancel()
		c.Converge()
		c.RunsOn("site", to)
	}
	stop()
	<-done
	t.Logf("%d requests, %d failed", asked.Load(), failed.Load())
	if failed.Load() > 0 || asked.Load() < 100 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
}

// get says what is wrong with an answer.
func get(client *http.Client, url string) string {
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	if b, err := io.ReadAll(response.Body); err != nil || strings.TrimSpace(string(b)) != "here" {
		return "half an answer: " + string(b)
	}
	return ""
}
