//go:build sqlite || !slim

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// maxTogether is how many commits go in one transaction, at most, so that nobody waits
// long behind those of others.
const maxTogether = 64

// A waiter is a commit that is not written yet.
type waiter struct {
	ctx   context.Context
	items []refund.Item
	tries int  // that found the database locked
	alone bool // because a transaction with others failed
	err   error

	// turn says whether it is this one's turn to lead, or else that err is what has
	// become of it.
	turn chan bool
}

// commit writes the items in one transaction, perhaps with those of others, each commit
// judged by its own versions. One that waits until its context ends has written nothing.
// Once it is being written its outcome is waited for: that takes a moment, and is the truth.
func (f *sqliteFile) commit(ctx context.Context, items []refund.Item) error {
	w := &waiter{ctx: ctx, items: items, turn: make(chan bool, 1)}
	f.mu.Lock()
	if f.led {
		f.waiting = append(f.waiting, w)
	} else {
		f.led = true
		w.turn <- true
	}
	f.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			if f.leave(w) {
				return ctx.Err()
			}
		case lead := <-w.turn:
			if !lead {
				return w.err
			}
			f.lead(w)
			continue
		}
		if lead := <-w.turn; !lead {
			return w.err
		}
		f.next()
		return ctx.Err()
	}
}

// leave takes a commit out of those that wait, and reports whether it was among them.
func (f *sqliteFile) leave(w *waiter) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.waiting, w)
	if i >= 0 {
		f.waiting = slices.Delete(f.waiting, i, i+1)
	}
	return i >= 0
}

// next makes the first of those who wait the leader.
func (f *sqliteFile) next() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.led = len(f.waiting) > 0; f.led {
		f.waiting[0].turn <- true
		f.waiting = slices.Delete(f.waiting, 0, 1)
	}
}

// lead writes one transaction: the leader's commit, and those that wait once it has begun.
func (f *sqliteFile) lead(w *waiter) {
	together := []*waiter{w}
	var err error
	again := false
	defer func() {
		f.answer(together, err, again)
		f.next()
	}()
	var conn *sql.Conn
	if conn, err = f.writes.db.Conn(w.ctx); err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	var tx *sql.Tx
	if tx, err = f.begin(conn, w); err != nil {
		return
	}
	defer tx.Rollback() // does nothing after a commit
	// Whoever is taken gets this answer if the leader panics before the commit has ended.
	together, err = f.take(w), errors.New("the transaction was not ended")
	if failed := f.writeAll(tx, together); failed != nil {
		// Nothing is written, and it is not known whose fault that is.
		err, again = failed, len(together) > 1 || f.dialect.locked(failed)
		return
	}
	// After any other error of a commit it is not known whether it was carried out.
	err = tx.Commit()
	again = err != nil && f.dialect.locked(err)
}

// begin begins a transaction as soon as no other process writes. It is not under the
// leader's context, which must not end what others have a part in.
func (f *sqliteFile) begin(conn *sql.Conn, w *waiter) (*sql.Tx, error) {
	for {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
		tx, err := conn.BeginTx(context.WithoutCancel(w.ctx), nil)
		if err == nil || !f.dialect.locked(err) || f.lockedOut(w, err) {
			return tx, err
		}
		// Short and uneven, so that processes which collided do not do so again.
		select {
		case <-w.ctx.Done():
		case <-time.After(time.Duration(1+rand.IntN(10)) * time.Millisecond):
		}
	}
}

// lockedOut counts a try for the leader and for all who wait, since each of them would
// have found the same. It answers those who have waited long enough, and reports
// whether the leader has.
func (f *sqliteFile) lockedOut(w *waiter, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.tries++
	f.waiting = slices.DeleteFunc(f.waiting, func(w *waiter) bool {
		w.tries++
		if w.tries < f.dialect.attempts {
			return false
		}
		w.err = err
		w.turn <- false
		return true
	})
	return w.tries >= f.dialect.attempts
}

// take returns those who are written now, the leader first.
func (f *sqliteFile) take(w *waiter) []*waiter {
	together := []*waiter{w}
	if w.alone {
		return together
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(f.waiting), maxTogether-1)
	together = append(together, f.waiting[:n]...)
	f.waiting = slices.Delete(f.waiting, 0, n)
	return together
}

// writeAll writes the commits one after the other. One of several that is stale, or whose
// caller waits no longer, leaves nothing in the transaction. Any other error ends it.
func (f *sqliteFile) writeAll(tx *sql.Tx, together []*waiter) error {
	for _, w := range together {
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		if len(together) == 1 {
			return f.writeItems(tx, w.items)
		}
		if err := f.writeOne(tx, w); err != nil {
			return err
		}
	}
	return nil
}

// writeOne writes one commit of several, or nothing if it is stale.
func (f *sqliteFile) writeOne(tx *sql.Tx, w *waiter) error {
	ctx := context.Background() // of the transaction
	if len(w.items) == 1 {      // a statement that fails undoes itself
		w.err = f.writeItems(tx, w.items)
		return notStale(w.err)
	}
	if _, err := f.mark.exec(ctx, tx); err != nil {
		return err
	}
	w.err = f.writeItems(tx, w.items)
	if err := notStale(w.err); err != nil {
		return err
	}
	if w.err != nil {
		if _, err := f.undo.exec(ctx, tx); err != nil {
			return err
		}
	}
	_, err := f.release.exec(ctx, tx)
	return err
}

func (f *sqliteFile) writeItems(tx *sql.Tx, items []refund.Item) error {
	for _, item := range items {
		if err := f.writes.write(context.Background(), tx, item); err != nil {
			return err
		}
	}
	return nil
}

func notStale(err error) error {
	if errors.Is(err, refund.ErrStale) {
		return nil
	}
	return err
}

// answer tells those whose commits were in a transaction what has become of them. After
// one that has certainly written nothing, each is tried again, by itself.
func (f *sqliteFile) answer(together []*waiter, err error, again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var back []*waiter
	for _, w := range together {
		if again {
			w.tries++
			if w.tries < f.dialect.attempts {
				w.alone = true
				back = append(back, w)
				continue
			}
		}
		if err != nil {
			w.err = err
		}
		w.turn <- false
	}
	f.waiting = append(back, f.waiting...)
}
