package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// stuckAfter is when a group is reported as stuck in the log: the usual cause is a member that calls InTx inside InTx and
// waits for itself.
const stuckAfter = 10 * time.Second

// maxGroup bounds the members of one commit, and so the time until the first is acknowledged.
const maxGroup = 64

// writer is the one goroutine that writes to an SQLite file. It takes whatever waits, lets those who are about to come
// run until a turn of the scheduler brings nobody new, never sleeps for more, and makes one durable commit of it:
//
//	BEGIN IMMEDIATE
//	  member 1                                 (no savepoint: if it fails, the whole group is rolled back and the others run again)
//	  SAVEPOINT m  member 2  RELEASE m         (fails: ROLLBACK TO m, only it is lost)
//	  …            whoever has come meanwhile
//	  audit head
//	COMMIT ─► all are answered
//
// BEGIN fails inside a transaction and COMMIT fails outside one: that is the check of autocommit before and after.
// An error that may have ended the transaction early (disk full, I/O) tears the group: it is rolled back, that member
// is told, and the others run again without it. The group runs under no request's context.
type writer struct {
	c     *liteConn
	chain string
	log   *slog.Logger

	mu       sync.RWMutex // held for reading while queueing, for writing to stop
	stopping bool
	queue    chan *job
	done     chan struct{}

	// nudge is called after every copyEvery commits.
	nudge   func()
	commits int

	// current are the unanswered jobs of the group under way, for abandon.
	current []*job
	// watch reports a group that does not end.
	watch *time.Timer
}

// job is one caller's transaction.
type job struct {
	db    *DB
	fn    func(*Tx) error
	state atomic.Int32 // jobQueued → jobClaimed (by the writer) or jobLeft (by the caller)
	reply chan error

	tx       *Tx
	err      error
	answered bool
}

const (
	jobQueued int32 = iota
	jobClaimed
	jobLeft
)

func startWriter(c *liteConn, chain string, log *slog.Logger, nudge func()) *writer {
	w := &writer{c: c, chain: chain, log: log, nudge: nudge, queue: make(chan *job, 4*maxGroup), done: make(chan struct{})}
	w.watch = time.AfterFunc(stuckAfter, func() {
		w.log.Error("a write transaction does not end; does it open another one inside?", "after", stuckAfter)
	})
	w.watch.Stop()
	go w.loop()
	return w
}

// do queues fn and waits until it is durable or has failed.
func (w *writer) do(ctx context.Context, db *DB, fn func(*Tx) error) error {
	j := &job{db: db, fn: fn, reply: make(chan error, 1)}
	if err := w.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.reply:
		return err
	case <-ctx.Done():
		if j.state.CompareAndSwap(jobQueued, jobLeft) {
			return ctx.Err()
		}
		return <-j.reply
	}
}

func (w *writer) enqueue(ctx context.Context, j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.stopping {
		return errClosed
	}
	select {
	case w.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop lets everything queued finish.
func (w *writer) stop() error {
	w.mu.Lock()
	w.stopping = true
	close(w.queue)
	w.mu.Unlock()
	<-w.done
	return w.c.close()
}

func (w *writer) loop() {
	drained := false
	defer func() {
		if drained {
			close(w.done)
			return
		}
		// A member ended this goroutine (runtime.Goexit): its group is lost, the writer goes on.
		w.abandon()
		go w.loop()
	}()
	for j := range w.queue {
		w.watch.Reset(stuckAfter)
		for todo := []*job{j}; len(todo) > 0; {
			todo = w.group(todo)
		}
		w.watch.Stop()
	}
	drained = true
}

func (w *writer) abandon() {
	w.c.exec("ROLLBACK", nil)
	for _, j := range w.current {
		if !j.answered {
			j.answer(errors.New("store: a transaction ended its goroutine and took the group with it"))
		}
	}
	w.current = nil
}

func (j *job) answer(err error) {
	j.answered = true
	j.reply <- err
}

// group makes one commit of todo and of what waits in the queue, and gives back those that must run again.
func (w *writer) group(todo []*job) (again []*job) {
	w.current = append(w.current[:0], todo...)
	if _, err := w.c.exec("BEGIN IMMEDIATE", nil); err != nil {
		w.c.exec("ROLLBACK", nil)
		w.answerAll(w.current, fmt.Errorf("store: begin: %w", err))
		return nil
	}
	lane := lane{chain: w.chain}
	var members, refused []*job
	for i := 0; ; i++ {
		j := w.member(todo, i, len(members)+len(refused))
		if j == nil {
			break
		}
		if !j.state.CompareAndSwap(jobQueued, jobClaimed) && j.state.Load() != jobClaimed {
			j.answered = true // its caller has left
			continue
		}
		first := len(members) == 0
		torn := w.run(j, &lane, first)
		if j.err == nil {
			members = append(members, j)
			continue
		}
		refused = append(refused, j)
		if torn {
			w.c.exec("ROLLBACK", nil)
			w.answerEach(refused)
			if i < len(todo) {
				again = todo[i+1:]
			}
			return append(members, again...)
		}
	}
	w.commit(&lane, members, refused)
	return nil
}

// member gives the i-th member of a group: first those of todo, then who is waiting; nil when the group is full or
// nobody waits. Whoever queues a job wakes the writer at once, ahead of all other requests that are ready to run: without
// letting these go first, nearly every commit would have one member (measured: 1.2 instead of 4.4 at 8 workers, and
// half as much processor time again for each).
func (w *writer) member(todo []*job, i, n int) *job {
	if i < len(todo) {
		return todo[i]
	}
	if n >= maxGroup {
		return nil
	}
	if j := w.waiting(); j != nil {
		return j
	}
	runtime.Gosched()
	return w.waiting()
}

// waiting takes the next job that is queued, nil where there is none.
func (w *writer) waiting() *job {
	select {
	case j, ok := <-w.queue:
		if !ok {
			return nil
		}
		w.current = append(w.current, j)
		return j
	default:
		return nil
	}
}

// run runs one member; torn: the whole transaction is to be rolled back. The lane is as before where it failed.
func (w *writer) run(j *job, lane *lane, first bool) (torn bool) {
	j.tx = &Tx{db: j.db, c: w.c}
	before := *lane
	if !first {
		if _, j.err = w.c.exec("SAVEPOINT m", nil); j.err != nil {
			return true
		}
	}
	if j.err = contained(j.tx, j.fn); j.err == nil {
		j.err = j.tx.finish(lane)
	}
	if j.err == nil && !first {
		_, j.err = w.c.exec("RELEASE m", nil)
		torn = j.err != nil
	}
	if j.err == nil {
		return false
	}
	*lane = before
	if torn || first || liteTorn(j.tx) {
		return true
	}
	if _, err := w.c.exec("ROLLBACK TO m", nil); err != nil {
		return true
	}
	_, err := w.c.exec("RELEASE m", nil)
	return err != nil
}

func liteTorn(tx *Tx) bool { return liteTears(tx.broken) }

// contained runs fn and turns its panic into an error.
func contained(tx *Tx, fn func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return nil
}

func (w *writer) commit(lane *lane, members, refused []*job) {
	if len(members) == 0 {
		w.c.exec("ROLLBACK", nil)
		w.answerEach(refused)
		return
	}
	err := lane.moveHead(w.c)
	if err == nil {
		_, err = w.c.exec("COMMIT", nil)
	}
	if err != nil {
		w.c.exec("ROLLBACK", nil)
		w.log.Error("commit failed", "members", len(members), "err", err)
		w.answerAll(members, fmt.Errorf("store: commit: %w", err))
	} else {
		for _, j := range members {
			j.tx.committed()
		}
		w.answerEach(members)
		if w.commits++; w.commits%copyEvery == 0 {
			w.nudge()
		}
	}
	w.answerEach(refused)
}

func (w *writer) answerEach(jobs []*job) {
	for _, j := range jobs {
		j.answer(j.err)
	}
}

func (w *writer) answerAll(jobs []*job, err error) {
	for _, j := range jobs {
		j.answer(err)
	}
}
