//go:build !postgres && (sqlite || mysql || dynamodb)

package ledger

var postgresDriver []driver
