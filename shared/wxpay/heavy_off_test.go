//go:build !heavy

package wxpay

// heavy: tests that need long run too.
const heavy = false
