//go:build slim && !mysql

package ledger

var mysqlDriver []driver
