package store

import "slices"

// Wake implements signin.ChallengeStore. A view wakes nobody.
func (t *Tx) Wake(topic string) {
	if !t.readOnly && !slices.Contains(t.topics, topic) {
		t.topics = append(t.topics, topic)
	}
}

// woken wakes who waits for topics, here and on the other nodes. It does not block: on SQLite the writer calls it.
func (db *DB) woken(topics []string) {
	if len(topics) == 0 {
		return
	}
	if db.cfg.Hub != nil {
		for _, topic := range topics {
			db.cfg.Hub.Wake(topic)
		}
	}
	db.engine.notify(topics)
}
