package records

import (
	"encoding/json"
	"fmt"

	"github.com/drover/drover/control/store"
)

// Batch returns the write as the store takes it.
func (tx *Tx) Batch() (store.Batch, error) {
	b := store.Batch{Put: map[string][]byte{}}
	guards := Guards{}
	for _, t := range tx.list {
		if err := t.stage(&b, guards); err != nil {
			return store.Batch{}, err
		}
	}
	for _, e := range tx.events {
		data, err := json.Marshal(e)
		if err != nil {
			return store.Batch{}, fmt.Errorf("encode event %d: %w", e.ID, err)
		}
		b.Put[eventKey(e.ID)] = data
		guards[eventKey(e.ID)] = 0
	}
	_, expired := tx.expireEvents()
	for _, e := range expired {
		b.Delete = append(b.Delete, eventKey(e.ID))
	}
	if tx.ChangesConfiguration() {
		guards[headKey] = tx.model.Head
		b.Put[headKey] = []byte("{}")
	}
	for key, revision := range tx.Guards {
		guards[key] = revision
	}
	for key, revision := range guards {
		b.If = append(b.If, store.Condition{Key: key, Revision: revision})
	}
	return b, nil
}
