package own_test

import (
	"os"
	"strings"
	"testing"
)

// Whatever delivers events has the merchant's code, and nothing has it elsewhere.
func TestWhateverDeliversCallsTheMerchantsCode(t *testing.T) {
	for _, program := range []string{"notify", "reconcile", "sandbox"} {
		b, err := os.ReadFile("../" + program + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "subscribers, err := own.Subscribers(getenv, log)"); n != 1 || strings.Count(string(b), "own.") != 1 || !strings.Contains(string(b), "append(sys.Refunds.Subscribers, subscribers...)") {
			t.Errorf("%s takes the merchant's code %d times, want once and from here alone", program, n)
		}
	}
}
