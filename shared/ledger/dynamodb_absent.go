//go:build !dynamodb && (sqlite || postgres || mysql)

package ledger

var dynamodbDriver []driver
