package mem_test

import (
	"testing"

	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		var open *mem.Store
		return func() (store.Store, error) {
			if open == nil {
				open = mem.New()
			} else {
				open = open.Reopen()
			}
			return open, nil
		}
	})
}
