package own_test

import (
	"os"
	"path/filepath"
	"regexp"
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
		source := sourceOf(t, program)
		n := strings.Count(source, want.call)
		if n != want.times || len(regexp.MustCompile(`\bown\.(Load|Subscribers)\b`).FindAllString(source, -1)) != n ||
			want.call == subscribers && !strings.Contains(source, "append(sys.Refunds.Subscribers, subscribers...)") {
			t.Errorf("%s takes the merchant's code %d times, want %d and from here alone", program, n, want.times)
		}
	}
}

// sourceOf is all of a program that is not its tests.
func sourceOf(t *testing.T, program string) string {
	t.Helper()
	files, err := filepath.Glob("../" + program + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
