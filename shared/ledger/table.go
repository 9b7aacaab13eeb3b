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

// The statements, with ? for parameters. The column is item_key because KEY is
// a reserved word in some dialects.
const (
	insertItem = `INSERT INTO items (item_key, version, due, body) VALUES (?, 1, ?, ?)`
	updateItem = `UPDATE items SET version = version + 1, due = ?, body = ? WHERE item_key = ? AND version = ?`
	selectItem = `SELECT item_key, version, due, body FROM items WHERE `
	listItems  = selectItem + `due <= ? AND (due, item_key) > (?, ?) ORDER BY due, item_key LIMIT ?`
)

// getItems asks for n keys.
func getItems(n int) string {
	return selectItem + `item_key IN (?` + strings.Repeat(`, ?`, n-1) + `)`
}

// A table is the ledger in a database that speaks SQL. All statements are
// prepared once; database/sql prepares them anew if it has to reconnect.
type table struct {
	db      *sql.DB
	dialect dialect

	insert, update, due *sql.Stmt

	// byKey[i] asks for 4^i keys. A few shapes serve any number of keys, the
	// rest of the parameters being filled up with the last key.
	byKey []*sql.Stmt
}

// newTable prepares the statements. The table owns db only if there is no error.
func newTable(ctx context.Context, db *sql.DB, d dialect) (*table, error) {
	t := &table{db: db, dialect: d}
	prepare := func(text string) (stmt *sql.Stmt, err error) {
		err = d.patiently(ctx, func() error {
			stmt, err = db.PrepareContext(ctx, d.rebind(text))
			return err
		})
		return stmt, err
	}
	var err error
	if t.insert, err = prepare(insertItem); err != nil {
		return nil, err
	}
	if t.update, err = prepare(updateItem); err != nil {
		return nil, err
	}
	if t.due, err = prepare(listItems); err != nil {
		return nil, err
	}
	for n := 1; n <= maxKeys; n *= 4 {
		stmt, err := prepare(getItems(n))
		if err != nil {
			return nil, err
		}
		t.byKey = append(t.byKey, stmt)
	}
	return t, nil
}

// get returns those of the items that exist, all as of one moment. Keys differ.
func (t *table) get(ctx context.Context, keys []refund.Key) (found map[refund.Key]refund.Item, err error) {
	err = t.dialect.patiently(ctx, func() error {
		found = make(map[refund.Key]refund.Item, len(keys))
		if len(keys) <= maxKeys {
			return t.getChunk(ctx, nil, keys, found)
		}
		// Several queries see one moment only inside a transaction.
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
	stmt := t.byKey[i]
	if tx != nil {
		stmt = tx.StmtContext(ctx, stmt)
	}
	items, err := query(ctx, stmt, args...)
	for _, item := range items {
		found[item.Key] = item
	}
	return err
}

// list returns up to limit items that are due by the given Unix millisecond,
// beginning behind a position.
func (t *table) list(ctx context.Context, due int64, after position, limit int) (items []refund.Item, err error) {
	err = t.dialect.patiently(ctx, func() error {
		items, err = query(ctx, t.due, due, after.due, string(after.key), limit)
		return err
	})
	return items, err
}

// commit writes the items in one transaction. A transaction that found the
// database locked has written nothing and is simply begun again.
func (t *table) commit(ctx context.Context, items []refund.Item) error {
	return t.dialect.patiently(ctx, func() error {
		tx, err := t.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // does nothing after a commit
		for _, item := range items {
			if err := t.write(ctx, tx, item); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

// write inserts or updates one item, if its version is the expected one. The
// condition is part of the statement: whoever commits first wins, and no other
// check is needed.
func (t *table) write(ctx context.Context, tx *sql.Tx, item refund.Item) error {
	due := sql.NullInt64{Int64: item.Due.UnixMilli(), Valid: !item.Due.IsZero()}
	if item.Version == 0 {
		_, err := tx.StmtContext(ctx, t.insert).ExecContext(ctx, string(item.Key), due, item.Body)
		if err != nil && t.dialect.duplicate(err) {
			return refund.ErrStale
		}
		return err
	}
	res, err := tx.StmtContext(ctx, t.update).ExecContext(ctx, due, item.Body, string(item.Key), item.Version)
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

// query runs a statement that begins with selectItem.
func query(ctx context.Context, stmt *sql.Stmt, args ...any) (items []refund.Item, err error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var item refund.Item
		var due sql.NullInt64
		if err := rows.Scan(&item.Key, &item.Version, &due, &item.Body); err != nil {
			return nil, err
		}
		if item.Body == nil { // some drivers give an empty body as nil
			item.Body = []byte{}
		}
		if due.Valid {
			item.Due = time.UnixMilli(due.Int64).UTC()
		}
		items = append(items, item)
	}
	return items, rows.Err()
}
