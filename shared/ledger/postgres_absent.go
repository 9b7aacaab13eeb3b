//go:build slim && !postgres

package ledger

var postgresDriver []driver
