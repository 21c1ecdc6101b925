package mem_test

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/backendtest"
	"github.com/drover/drover/volume/mem"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backendtest.Harness {
		b := mem.New()
		return backendtest.Harness{Backend: b, Write: func(id cluster.VolumeID, name, content string) error {
			return b.Write(id, name, []byte(content))
		}, Read: func(id cluster.VolumeID) (map[string]string, error) {
			files, err := b.Read(id)
			texts := map[string]string{}
			for name, content := range files {
				texts[name] = string(content)
			}
			return texts, err
		}}
	})
}
