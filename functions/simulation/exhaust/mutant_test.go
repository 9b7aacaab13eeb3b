package exhaust

import (
	"encoding/json"
	"os"
	"testing"
)

// Run with a rule taken out, see TestMutations of package simulation: what kills it is
// written to a file.
func TestMutant(t *testing.T) {
	out := os.Getenv("MUTANT_OUT")
	if out == "" {
		t.Skip("no rule is taken out")
	}
	b, err := json.Marshal(Kill(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
