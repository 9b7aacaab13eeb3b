package exhaust

import (
	"strings"
	"testing"
)

// Each rule that is taken out stands in the source, once.
func TestEveryMutationHasItsPlace(t *testing.T) {
	if _, err := Sources("../../.."); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range Mutations() {
		if names[m.Name] || !strings.Contains(m.Replace, "MUTATED") {
			t.Errorf("%q is there twice, or takes nothing out", m.Name)
		}
		names[m.Name] = true
	}
}
