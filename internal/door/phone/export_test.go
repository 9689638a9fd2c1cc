package phone

import "time"

// After puts a clock of a test's own under the calls that wait.
func (p *Phone) After(after func(time.Duration) <-chan time.Time) { p.after = after }

// Waits are how many calls wait.
func (p *Phone) Waits() (n int) {
	p.polls.mu.Lock()
	defer p.polls.mu.Unlock()
	for _, calls := range p.polls.by {
		n += calls
	}
	return n
}

// MaxPolls is how many calls of one phone may wait.
const MaxPolls = maxPolls

// ReadObject is what reads bodies.
func ReadObject(body []byte, into map[string]any) bool { return readObject(body, into) }
