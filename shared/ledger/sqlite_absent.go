//go:build !sqlite && (postgres || mysql || dynamodb)

package ledger

var sqliteDriver []driver
