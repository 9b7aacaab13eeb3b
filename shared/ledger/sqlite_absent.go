//go:build slim && !sqlite

package ledger

var sqliteDriver []driver
