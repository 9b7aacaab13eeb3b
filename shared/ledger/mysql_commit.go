//go:build mysql || !slim

package ledger

import (
	"context"
	"database/sql"
	"strings"

	"wxrefund/shared/refund"
)

// The statement that writes a commit, a row or two an item. What is wrong must make it fail, and not
// match nothing: it is a transaction of its own, and only a failure undoes the rows before.
// In MySQL's family a sum that leaves the range of BIGINT is an error in every sql_mode, where a
// NULL in a column that has none may be made a zero with a warning.
//
//   - A row has the version that it will have. One that is there is written over if its version
//     is the one before; otherwise mysqlMost is added to that, which is too much.
//   - An item that must be there has a row before, with due_shard -1. Where the item is,
//     it changes nothing; where it is not, it makes one with the version mysqlMost, over
//     which nothing can be written.
//
// Rows are locked one by one, in the order of their keys, as they are written.
const (
	mysqlMost = `9223372036854775807`

	mysqlCommit = `INSERT INTO wxrefund_items (item_key, version, due_shard, due, class, class_at, body) VALUES `
	mysqlExists = `(?, ` + mysqlMost + `, -1, NULL, NULL, NULL, ''), `
	mysqlRow    = `(?, ? + 1, ?, ?, ?, ?, ?)`

	mysqlGuard = ` ON DUPLICATE KEY UPDATE
		version   = IF(VALUES(due_shard) < 0, version, VALUES(version) + IF(version = VALUES(version) - 1, 0, ` + mysqlMost + `)),
		due       = IF(VALUES(due_shard) < 0, due, VALUES(due)),
		class     = IF(VALUES(due_shard) < 0, class, VALUES(class)),
		class_at  = IF(VALUES(due_shard) < 0, class_at, VALUES(class_at)),
		body      = IF(VALUES(due_shard) < 0, body, VALUES(body)),
		due_shard = IF(VALUES(due_shard) < 0, due_shard, VALUES(due_shard))`
)

// commitMySQL writes all items in one statement, with its parameters in its text.
// If the connection is lost on the way, nobody knows whether it was carried out.
func commitMySQL(ctx context.Context, t *table, items []refund.Item) error {
	var text strings.Builder
	text.WriteString(mysqlCommit)
	args := make([]any, 0, 8*len(items))
	for i, item := range items {
		if i > 0 {
			text.WriteString(`, `)
		}
		if item.Version > 0 {
			text.WriteString(mysqlExists)
			args = append(args, string(item.Key))
		}
		text.WriteString(mysqlRow)
		args = append(args, string(item.Key), item.Version, shardOf(item.Key), milli(item.Due), sql.NullString{String: item.Class, Valid: item.Class != ""}, milli(item.At), item.Body)
	}
	text.WriteString(mysqlGuard)
	return t.dialect.retry(ctx, func() error {
		_, err := t.db.ExecContext(ctx, text.String(), args...)
		if mysqlCode(err) == 1690 { // out of range: a guard
			return refund.ErrStale
		}
		return err
	})
}
