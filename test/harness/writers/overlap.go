package writers

import "slices"

// Overlaps finds instants at which an application ran on two hosts, of looks at one host after
// another. No two looks are at the same time, so that a process is held against another only if
// it was seen both before and after that: then it lived in between.
//
//	look at a: 17    look at b: 4    look at a: 17      a and b at once
//	look at a: 17    look at b: 4    look at a: none    perhaps b began when a had ended
//
// The zero value is ready.
type Overlaps struct{ looks []look }

type look struct {
	host string
	seen map[string][]string
}

// Add adds what Here returned on a host, and returns the applications that ran on two hosts, each with
// the two.
func (o *Overlaps) Add(host string, seen map[string][]string) map[string][2]string {
	now := look{host, seen}
	var found map[string][2]string
	for i := len(o.looks) - 1; i >= 0 && o.looks[i].host != host; i-- {
		for app := range o.looks[i].seen {
			if o.since(now, app, i) {
				if found == nil {
					found = map[string][2]string{}
				}
				found[app] = [2]string{o.looks[i].host, host}
			}
		}
	}
	o.looks = append(o.looks, now)
	o.looks = o.looks[max(0, len(o.looks)-64):]
	return found
}

// since reports whether a process of the application was seen on the same host before look i too.
func (o *Overlaps) since(now look, app string, i int) bool {
	for j := i - 1; j >= 0; j-- {
		if o.looks[j].host == now.host {
			return slices.ContainsFunc(now.seen[app], func(p string) bool { return slices.Contains(o.looks[j].seen[app], p) })
		}
	}
	return false
}
