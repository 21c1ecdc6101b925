package deploy

import (
	"regexp"
	"strconv"
	"strings"
)

// composeBounds refuses what would keep the Compose library busy for long.
func (r *applicationReader) composeBounds(root *value) {
	if n := root.count(); n > maxComposeValues {
		r.fail(root, "a Compose file may stand for %d values; this one does for %d", maxComposeValues, n)
		return
	}
	root.each(func(v *value) {
		for _, text := range []string{v.key, v.text} {
			switch {
			case len(text) > maxComposeText:
				r.fail(v, "is longer than %d bytes", maxComposeText)
			case strings.Count(text, "$") > maxComposeVariables:
				r.fail(v, "has more than %d variables", maxComposeVariables)
			}
		}
	})
	ranges := 0
	for _, service := range root.get("services").all() {
		for _, key := range []string{"ports", "expose"} {
			service.get(key).each(func(v *value) {
				for _, m := range portRange.FindAllStringSubmatch(v.text, -1) {
					ranges++
					first, err := strconv.Atoi(m[1])
					last, err2 := strconv.Atoi(m[2])
					if err != nil || err2 != nil || last-first >= maxComposeRange || ranges > maxComposeRanges {
						r.fail(v, "a file may have %d ranges, of up to %d ports; got %s", maxComposeRanges, maxComposeRange, v)
						return
					}
				}
			})
		}
	}
}

var portRange = regexp.MustCompile(`(\d+)-(\d+)`)
