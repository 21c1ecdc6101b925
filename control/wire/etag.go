package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
)

// ETag writes a revision as an entity tag: "42", with its quotes.
func ETag(r cluster.Revision) string { return `"` + strconv.FormatUint(uint64(r), 10) + `"` }

// ParseETag reads what ETag wrote. Anything else is cluster.ErrInvalid.
func ParseETag(text string) (cluster.Revision, error) {
	number, opened := strings.CutPrefix(text, `"`)
	number, closed := strings.CutSuffix(number, `"`)
	revision, err := strconv.ParseUint(number, 10, 64)
	if err != nil || !opened || !closed {
		return 0, fmt.Errorf(`%w: tag %q: want a revision in quotes, such as "42"`, cluster.ErrInvalid, text)
	}
	return cluster.Revision(revision), nil
}
