package view

import "github.com/drover/drover/cluster"

// Knows reports whether what a node was told last is of this store: told by a life of the service that is on
// record, before the next one began; or by one that is older than all on record, as some are forgotten. If not,
// the store has gone back since, whatever it was told. What an operator has accepted of that node is known, and
// so is what it was told by a service that did not say who it is: then there are only numbers to compare.
func (v View) Knows(node cluster.NodeID, told cluster.Position) bool {
	accepted, _ := v.Model.Accepted.Get(node)
	if told.Life == "" || told.Life == accepted.Told.Life && told.Revision <= accepted.Told.Revision {
		return true
	}
	began, last := v.Model.Lives.Written(told.Life), true
	end := cluster.Revision(0) // when the next one began, or of an unknown one the first
	for _, r := range v.Model.Lives.Rows() {
		if r.Revision > began && (last || r.Revision < end) {
			end, last = r.Revision, false
		}
	}
	return began > 0 && last || told.Revision < end<<RevisionsPerWrite
}
