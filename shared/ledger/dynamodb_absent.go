//go:build slim && !dynamodb

package ledger

var dynamodbDriver []driver
