//go:build !heavy

package ledger

const heavy = false
