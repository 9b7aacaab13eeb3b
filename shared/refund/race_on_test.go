//go:build race

package refund_test

// fewer says of which part of many cases one is enough under the race detector, where
// everything takes ten times as long and the others race in the same way.
func fewer(n int) int { return n }
