//go:build slim && !cloudbase

package ledger

var cloudbaseDriver []driver
