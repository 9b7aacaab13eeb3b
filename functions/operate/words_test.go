package main

import "testing"

// A number of things is written as people write it.
func TestANumberOfThingsAgreesWithItsWord(t *testing.T) {
	for n, want := range map[int]string{0: "0 passes", 1: "1 pass", 2: "2 passes", 101: "101 passes"} {
		if got := counted(n, "pass", "passes"); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
