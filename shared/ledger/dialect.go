package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"math/rand/v2"
	"strings"
	"time"
)

// A dialect is what differs between the databases that share table.
type dialect struct {
	// placeholder writes the nth parameter, from 1; nil: a question mark.
	placeholder func(n int) string

	// ranges: a range of the index on (due_shard, due, item_key) must be spelled out, for the
	// database does not see one in the comparison of a pair.
	ranges bool

	// limit writes how many rows are wanted, with one parameter; "": a bare one.
	limit string

	// snapshot is the isolation under which several queries see the same instant.
	snapshot sql.IsolationLevel

	// duplicate reports that an insert met an existing key.
	duplicate func(error) bool

	// locked reports that the statement or the transaction has written nothing
	// because another process was at work, and that it may be repeated. It knows
	// that from an answer of the database; a lost connection is none.
	locked func(error) bool

	// attempts is how often a transaction that met a lock is tried, at most.
	attempts int
}

// listItems is the statement of List, and listArgs are its arguments: due by a
// time, behind a position in its shard, a few. Either way of writing it is a seek in the
// index in one family of databases and a scan in the other.
func (d dialect) listItems() string {
	behind := `(due, item_key) > (?, ?)`
	if d.ranges {
		behind = `(due > ? OR due = ? AND item_key > ?)`
	}
	return selectItem + `due_shard = ? AND due <= ? AND ` + behind + ` ORDER BY due, item_key LIMIT ` + cmp.Or(d.limit, "?")
}

func (d dialect) listArgs(due int64, after position, limit int) []any {
	if d.ranges {
		return []any{after.shard, due, after.due, after.due, string(after.key), limit}
	}
	return []any{after.shard, due, after.due, string(after.key), limit}
}

// rebind writes the parameters of a statement the dialect's way. No statement
// of ours has a question mark of another meaning.
func (d dialect) rebind(text string) string {
	if d.placeholder == nil {
		return text
	}
	var b strings.Builder
	parts := strings.Split(text, "?")
	for i, part := range parts[:len(parts)-1] {
		b.WriteString(part)
		b.WriteString(d.placeholder(i + 1))
	}
	b.WriteString(parts[len(parts)-1])
	return b.String()
}

// retry repeats op while the database is locked, with d.attempts in all, and gives
// up earlier when the context ends. The pauses are short and uneven, so that
// processes which collided do not do so again.
func (d dialect) retry(ctx context.Context, op func() error) error {
	for attempt := 1; ; attempt++ {
		err := op()
		if err == nil || attempt >= d.attempts || !d.locked(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(1+rand.IntN(10)) * time.Millisecond):
		}
	}
}
