package store

import "slices"

// Wake implements signin.ChallengeStore. A view wakes nobody.
func (t *Tx) Wake(topic string) {
	if !t.readOnly && !slices.Contains(t.topics, topic) {
		t.topics = append(t.topics, topic)
	}
}

// woken wakes who waits for topics.
func (db *DB) woken(topics []string) {
	for _, topic := range topics {
		if db.cfg.Hub != nil {
			db.cfg.Hub.Wake(topic)
		}
	}
}
