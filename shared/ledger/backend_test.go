package ledger

import (
	"os"
	"testing"
)

// fresh returns the URL of an empty ledger. It ends the test if the backend's
// variable is not set: as skipped, but where everything must be tested, as failed.
func (b backend) fresh(t testing.TB) string {
	t.Helper()
	env := os.Getenv(b.env)
	if b.env != "" && env == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set", b.env)
		}
		t.Skipf("%s is not set", b.env)
	}
	return b.url(t, env)
}
