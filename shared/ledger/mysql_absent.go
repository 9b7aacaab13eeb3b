//go:build !mysql && (sqlite || postgres || dynamodb)

package ledger

var mysqlDriver []driver
