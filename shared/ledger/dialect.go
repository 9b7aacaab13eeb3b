package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// A dialect is what differs between the databases that share table.
type dialect struct {
	// name is the one that its schema's files have.
	name string

	// migrate applies those steps of the schema that the database does not have yet.
	migrate func(ctx context.Context, db *sql.DB, steps []string) error

	// version returns how many steps the database has; an error if the program cannot
	// work with them that knows so many.
	version func(ctx context.Context, q querier, known int) (int, error)

	// placeholder writes the nth parameter, from 1; nil: a question mark.
	placeholder func(n int) string

	// item writes the columns of an item; "": as they are. A name that it gives one must not
	// be another's.
	item string

	// ranges: a range of the index on (due_shard, due, item_key) must be spelled out, for the
	// database does not see one in the comparison of a pair.
	ranges bool

	// atOnce says that a LIMIT may be computed by queries, so that one statement lists what is
	// due in all shards.
	atOnce bool

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

// listDue is the statement that lists what is due in one shard, and dueArgs are its arguments: due by
// a time, behind a position in its shard, a few. Either way of writing it is a seek in the
// index in one family of databases and a scan in the other.
func (d dialect) listDue() string {
	behind := `(due, item_key) > (?, ?)`
	if d.ranges {
		behind = `(due > ? OR due = ? AND item_key > ?)`
	}
	return d.selectItem() + `due_shard = ? AND due <= ? AND ` + behind + ` ORDER BY due, item_key LIMIT ` + d.limited()
}

func (d dialect) dueArgs(due int64, after position, limit int) []any {
	if d.ranges {
		return []any{after.shard, due, after.due, after.due, string(after.key), limit}
	}
	return []any{after.shard, due, after.due, string(after.key), limit}
}

// listClasses is the statement that lists the newest entries of n classes, of each up to
// a limit: as many seeks in the index, which is all that it reads. A database that were
// asked for the newest of all of them would read and sort every one. classArgs are its arguments.
func (d dialect) listClasses(n int) string {
	before := `(class_at, item_key) < (?, ?)`
	if d.ranges {
		before = `class_at <= ? AND (class_at < ? OR class_at = ? AND item_key < ?)`
	}
	one := `SELECT * FROM (SELECT class, class_at, item_key FROM wxrefund_items WHERE class = ? AND class_at >= ? AND ` + before +
		` ORDER BY class_at DESC, item_key DESC LIMIT ` + d.limited() + `) AS one`
	return one + strings.Repeat(` UNION ALL `+one, n-1)
}

func (d dialect) classArgs(r classRange, limit int) (args []any) {
	for _, class := range r.classes {
		args = append(args, class, r.since, r.before.at)
		if d.ranges {
			args = append(args, r.before.at, r.before.at)
		}
		args = append(args, string(r.before.key), limit)
	}
	return args
}

// listKeys is the statement that lists everything behind a key.
func (d dialect) listKeys() string {
	return d.selectItem() + `item_key > ? ORDER BY item_key LIMIT ` + d.limited()
}

// count is the statement that counts what is selected, with its arguments.
func (d dialect) count(s selection) (text string, args []any) {
	text = `SELECT count(*) FROM wxrefund_items`
	switch s.kind {
	case refund.IndexDue: // the index begins with the shard
		text += ` WHERE due <= ? AND due_shard IN (0`
		for shard := 1; shard < shards; shard++ {
			text += fmt.Sprint(`, `, shard)
		}
		return text + `)`, []any{s.due}
	case refund.IndexClass: // before it is no key, or behind all of them
		args = []any{s.since, s.before.at}
		for _, class := range s.classes {
			args = append(args, class)
		}
		until := `<`
		if s.before.key != "" {
			until = `<=`
		}
		return text + ` WHERE class_at >= ? AND class_at ` + until + ` ? AND class IN (?` + strings.Repeat(`, ?`, len(s.classes)-1) + `)`, args
	default:
		return text, nil
	}
}

// selectItem begins a statement that reads items.
func (d dialect) selectItem() string {
	return `SELECT ` + cmp.Or(d.item, itemColumns) + ` FROM wxrefund_items WHERE `
}

func (d dialect) limited() string { return cmp.Or(d.limit, "?") }

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
