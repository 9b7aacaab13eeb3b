package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// maxKeys is how many keys one query asks for, a power of 4. Databases bound the
// number of parameters; 64 is more than an order can have refunds.
const maxKeys = 64

// The statements, with ? for parameters. The table's name is ours in a database
// that holds other programs' tables too. The column is item_key because KEY is
// a reserved word in some dialects.
const (
	insertItem = `INSERT INTO wxrefund_items (item_key, version, due_shard, due, class, class_at, body) VALUES (?, 1, ?, ?, ?, ?, ?)`
	updateItem = `UPDATE wxrefund_items SET version = version + 1, due_shard = ?, due = ?, class = ?, class_at = ?, body = ? WHERE item_key = ? AND version = ?`
	selectItem = `SELECT ` + itemColumns + ` FROM wxrefund_items WHERE `

	itemColumns = `item_key, version, due, class, class_at, body`
)

// getItems asks for n keys.
func getItems(n int) string {
	return selectItem + `item_key IN (?` + strings.Repeat(`, ?`, n-1) + `)`
}

// A table is the ledger in a database that speaks SQL.
type table struct {
	db      *sql.DB
	dialect dialect

	insert, update, due, everything statement

	// byKey[i] asks for 4^i keys. A few shapes serve any number of keys, the
	// rest of the parameters being filled up with the last key.
	byKey []statement
}

// A statement is sent as its text each time, unless it has been prepared.
type statement struct {
	text     string
	prepared *sql.Stmt
}

// newTable writes the statements the dialect's way. The table owns db.
func newTable(db *sql.DB, d dialect) *table {
	t := &table{
		db: db, dialect: d,
		insert: statement{text: d.rebind(insertItem)},
		update: statement{text: d.rebind(updateItem)},
		due:    statement{text: d.rebind(d.listDue())},

		everything: statement{text: d.rebind(d.listKeys())},
	}
	if d.atOnce {
		t.due.text = d.rebind(d.listShards())
	}
	for n := 1; n <= maxKeys; n *= 4 {
		t.byKey = append(t.byKey, statement{text: d.rebind(getItems(n))})
	}
	return t
}

// reads are the statements that read.
func (t *table) reads() []*statement {
	all := []*statement{&t.due, &t.everything}
	for i := range t.byKey {
		all = append(all, &t.byKey[i])
	}
	return all
}

// prepare has the database parse statements now and once; database/sql
// prepares them anew if it has to reconnect.
func (t *table) prepare(ctx context.Context, statements ...*statement) error {
	for _, s := range statements {
		err := t.dialect.retry(ctx, func() (err error) {
			s.prepared, err = t.db.PrepareContext(ctx, s.text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *table) close() error { return t.db.Close() }

// get returns those of the items that exist, all as of one instant. Keys differ.
func (t *table) get(ctx context.Context, keys []refund.Key) (found map[refund.Key]refund.Item, err error) {
	err = t.dialect.retry(ctx, func() error {
		found = make(map[refund.Key]refund.Item, len(keys))
		if len(keys) <= maxKeys {
			return t.getChunk(ctx, nil, keys, found)
		}
		// Several queries see the same instant only inside a transaction.
		tx, err := t.db.BeginTx(ctx, &sql.TxOptions{Isolation: t.dialect.snapshot, ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		for rest := keys; len(rest) > 0; rest = rest[min(len(rest), maxKeys):] {
			if err := t.getChunk(ctx, tx, rest[:min(len(rest), maxKeys)], found); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
	return found, err
}

// getChunk adds the items of up to maxKeys keys to found; tx may be nil.
func (t *table) getChunk(ctx context.Context, tx *sql.Tx, keys []refund.Key, found map[refund.Key]refund.Item) error {
	i, size := 0, 1
	for size < len(keys) {
		i, size = i+1, size*4
	}
	args := make([]any, size)
	for j := range args {
		args[j] = string(keys[min(j, len(keys)-1)])
	}
	items, err := t.query(ctx, tx, t.byKey[i], args...)
	for _, item := range items {
		found[item.Key] = item
	}
	return err
}

// write inserts or updates one item, if its version is the expected one. The
// condition is part of the statement: whoever commits first wins, and no other
// check is needed.
func (t *table) write(ctx context.Context, tx *sql.Tx, item refund.Item) error {
	shard := shardOf(item.Key) // not only of new items: those of schema 1 are all in one
	due, at := milli(item.Due), milli(item.At)
	class := sql.NullString{String: item.Class, Valid: item.Class != ""}
	if item.Version == 0 {
		_, err := t.insert.exec(ctx, tx, string(item.Key), shard, due, class, at, item.Body)
		if err != nil && t.dialect.duplicate(err) {
			return refund.ErrStale
		}
		return err
	}
	res, err := t.update.exec(ctx, tx, shard, due, class, at, item.Body, string(item.Key), item.Version)
	if err != nil {
		return err
	}
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return err
	case n == 0:
		return refund.ErrStale
	case n != 1: // the key is the primary key
		return fmt.Errorf("key %q: %d rows updated", item.Key, n)
	}
	return nil
}

// milli is a time as a column has it: NULL for none.
func milli(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func (s statement) exec(ctx context.Context, tx *sql.Tx, args ...any) (sql.Result, error) {
	if s.prepared != nil {
		return tx.StmtContext(ctx, s.prepared).ExecContext(ctx, args...)
	}
	return tx.ExecContext(ctx, s.text, args...)
}

// rows runs a query; tx may be nil.
func (s statement) rows(ctx context.Context, db *sql.DB, tx *sql.Tx, args ...any) (*sql.Rows, error) {
	switch {
	case s.prepared != nil && tx != nil:
		return tx.StmtContext(ctx, s.prepared).QueryContext(ctx, args...)
	case s.prepared != nil:
		return s.prepared.QueryContext(ctx, args...)
	case tx != nil:
		return tx.QueryContext(ctx, s.text, args...)
	default:
		return db.QueryContext(ctx, s.text, args...)
	}
}

// query runs a statement that begins with selectItem; tx may be nil.
func (t *table) query(ctx context.Context, tx *sql.Tx, s statement, args ...any) (items []refund.Item, err error) {
	return t.queryWith(ctx, tx, s, nil, args...)
}

// queryWith does so. If parts is not nil, each row has a number behind the item, which is
// added to it.
func (t *table) queryWith(ctx context.Context, tx *sql.Tx, s statement, parts *[]int, args ...any) (items []refund.Item, err error) {
	rows, err := s.rows(ctx, t.db, tx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var item refund.Item
		var due, at sql.NullInt64
		var class sql.NullString
		columns := []any{&item.Key, &item.Version, &due, &class, &at, &item.Body}
		if parts != nil {
			*parts = append(*parts, 0)
			columns = append(columns, &(*parts)[len(*parts)-1])
		}
		if err := rows.Scan(columns...); err != nil {
			return nil, err
		}
		if item.Body == nil { // some drivers give an empty body as nil
			item.Body = []byte{}
		}
		if due.Valid {
			item.Due = time.UnixMilli(due.Int64).UTC()
		}
		if class.Valid && at.Valid {
			item.Class, item.At = class.String, time.UnixMilli(at.Int64).UTC()
		}
		items = append(items, item)
	}
	return items, rows.Err()
}
