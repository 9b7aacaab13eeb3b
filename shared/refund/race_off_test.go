//go:build !race

package refund_test

// fewer is 1: without the race detector every case is tried.
func fewer(int) int { return 1 }
