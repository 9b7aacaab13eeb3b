// Package needs says what a test cannot run without: a server, a program, a file of the
// checkout. A test that lacks it is skipped, and with CI=true it fails.
//
// A skip must not go unseen. [Main] ends a package's tests with one line that lists what
// did not run and what it lacks. The go command shows that line in the package's own
// folder and with -v. Of packages that it was given by name it shows nothing but "ok",
// whatever they print, so for all of them:
//
//	go test -v ./... | grep '^not run:'
package needs

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Env returns the value of a variable that names a server.
func Env(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		Skip(t, name)
	}
	return value
}

// Program returns the path of a program by one of its names.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Skip(t, strings.Join(names, " or "))
	return ""
}

// Skip ends a test that lacks something else.
func Skip(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test lacks %s", what)
	}
	skipped.add(what, t.Name())
	t.Skipf("this test lacks %s", what)
}

// Main runs a package's tests, prints the closing line and returns the exit code.
func Main(m *testing.M) (code int) {
	code = m.Run()
	skipped.print(os.Stdout)
	return code
}

// skipped belongs to the test program: TestMain knows no test that it could be given to.
var skipped list

// A list holds what is lacking, and the tests that lack it.
type list struct {
	mu    sync.Mutex
	tests map[string][]string
}

func (l *list) add(what, test string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tests == nil {
		l.tests = map[string][]string{}
	}
	l.tests[what] = append(l.tests[what], test)
}

// print writes the line, if anything is lacking.
func (l *list) print(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(l.tests)) {
		tests := slices.Sorted(slices.Values(l.tests[what]))
		parts = append(parts, strings.Join(slices.Compact(tests), ", ")+" for lack of "+what)
	}
	if len(parts) > 0 {
		_, _ = fmt.Fprintf(w, "not run: %s\n", strings.Join(parts, "; ")) // there is nobody to tell
	}
}
