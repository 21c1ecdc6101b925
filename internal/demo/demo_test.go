package demo_test

import (
	"testing"

	"github.com/drover/drover/internal/demo"
)

func TestWhatAReportProves(t *testing.T) {
	for rule, row := range map[string]struct {
		report demo.Report
		good   bool
	}{
		"everything is there":        {demo.Report{WritesAcknowledged: 10}, true},
		"a write is lost":            {demo.Report{WritesAcknowledged: 10, WritesLost: 1}, false},
		"a request failed":           {demo.Report{WritesAcknowledged: 10, RequestsFailed: 1}, false},
		"nothing was written at all": {demo.Report{}, false},
	} {
		if err := row.report.Err(); (err == nil) != row.good {
			t.Errorf("%s: %v", rule, err)
		}
	}
}
