package own_test

import (
	"os"
	"strings"
	"testing"
)

// Whatever delivers events has the merchant's code, and nothing has it elsewhere.
func TestWhateverDeliversCallsTheMerchantsCode(t *testing.T) {
	const load, subscribers = "sys, err := own.Load(ctx, getenv, log)", "subscribers, err := own.Subscribers(getenv, log)"
	for program, want := range map[string]struct {
		call  string
		times int
	}{
		"notify":    {load, 1},
		"reconcile": {load, 1},
		"container": {load, 2}, // it is both of them
		"sandbox":   {subscribers, 1},
	} {
		b, err := os.ReadFile("../" + program + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(string(b), want.call)
		if n != want.times || strings.Count(string(b), "own.") != n ||
			want.call == subscribers && !strings.Contains(string(b), "append(sys.Refunds.Subscribers, subscribers...)") {
			t.Errorf("%s takes the merchant's code %d times, want %d and from here alone", program, n, want.times)
		}
	}
}
