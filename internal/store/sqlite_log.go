package store

import "log/slog"

// A commit on SQLite is appended to a log beside the file, and from time to time the log is copied into the file, which waits
// for the disk twice. SQLite does that inside whichever commit makes the log long enough, and everybody in that group
// waits. Here another connection does it meanwhile:
//
//	writer: COMMIT, COMMIT, … ──every copyEvery commits──► copier: PRAGMA wal_checkpoint(PASSIVE)
//
// While commits never pause, the copier is always a few behind and the log cannot begin anew; at copyInside pages the
// writer does the little that is left in its own commit.
const (
	copyEvery  = 64     // commits
	copyInside = "8000" // pages of 4 KiB: 32 MB
	copyNow    = "PRAGMA wal_checkpoint(PASSIVE)"
)

// copier copies the log into the file, beside the writer.
type copier struct {
	due  chan struct{} // one waits at most
	done chan struct{}
}

func startCopier(open func() (*liteConn, error), log *slog.Logger) *copier {
	k := &copier{due: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(k.done)
		var c *liteConn
		var err error
		for range k.due {
			if c == nil {
				if c, err = open(); err != nil {
					log.Warn("the log is not copied beside the writer", "err", err)
					c = nil
					continue
				}
			}
			// What fails here is tried again after the next commits, and by the writer itself.
			if _, err := c.exec(copyNow, nil); err != nil {
				log.Warn("the log is not copied beside the writer", "err", err)
			}
		}
		if c != nil {
			if err := c.close(); err != nil {
				log.Warn("close", "err", err)
			}
		}
	}()
	return k
}

// nudge asks for a copy; it never waits.
func (k *copier) nudge() {
	select {
	case k.due <- struct{}{}:
	default:
	}
}

// stop ends the copier, once nobody nudges any more.
func (k *copier) stop() {
	close(k.due)
	<-k.done
}
