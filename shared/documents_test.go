package shared_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var (
	fence       = regexp.MustCompile("(?s)```(\\w*)\n(.*?)\n *```")
	link        = regexp.MustCompile(`\]\(([^)\s#]+)(#[^)\s]+)?\)`)
	goTest      = regexp.MustCompile(`(?m)^go test .*?(?:#|$)`)
	goTestPlace = regexp.MustCompile(`\./\S+`)
	goTestFlag  = regexp.MustCompile(` -([a-z]+)(?: '([^']*)'| ([^-\s]\S*))?`)
)

// Documents can be read in a terminal, their links lead somewhere, and the tests,
// benchmarks and flags that their commands name exist.
func TestDocuments(t *testing.T) {
	for _, path := range documentsIn(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		prose := fence.ReplaceAllString(string(b), "")
		for line := range strings.Lines(prose) {
			line = strings.TrimRight(line, "\n")
			code := strings.HasPrefix(line, "|") || strings.HasPrefix(line, "    ") || strings.Contains(line, "](http")
			if n := utf8.RuneCountInString(line); n > 120 && !code && path != "../README.md" {
				t.Errorf("%s: a line of %d characters: %s", path, n, line)
			}
		}
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", path, m[1])
			}
		}
		for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
			if m[1] == "sh" {
				for _, command := range goTest.FindAllString(m[2], -1) {
					checkGoTest(t, path, command)
				}
			}
		}
	}
}

// checkGoTest wants what a command names to be in the package that it runs.
func checkGoTest(t *testing.T, path, command string) {
	t.Helper()
	folder := goTestPlace.FindString(command)
	if folder == "./..." {
		return
	}
	var source strings.Builder
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	for _, f := range files {
		b, readErr := os.ReadFile(f)
		if readErr != nil {
			t.Fatal(readErr)
		}
		source.Write(b)
	}
	if err != nil || source.Len() == 0 {
		t.Errorf("%s: %q: %s holds no tests", path, command, folder)
		return
	}
	for _, m := range goTestFlag.FindAllStringSubmatch(command, -1) {
		switch name, value := m[1], m[2]+m[3]; name {
		case "run", "bench":
			kind := map[string]string{"run": "Test", "bench": "Benchmark"}[name]
			if value != "^$" && !regexp.MustCompile(`(?m)^func `+kind+`\w*`+strings.TrimPrefix(value, kind)).MatchString(source.String()) {
				t.Errorf("%s: %q: there is no %s of that name", path, command, kind)
			}
		case "v", "benchtime", "benchmem", "race", "count", "timeout", "tags":
		default:
			if !strings.Contains(source.String(), `"`+name+`"`) {
				t.Errorf("%s: %q: there is no flag -%s", path, command, name)
			}
		}
	}
}

// documentsIn lists the documents of the repository.
func documentsIn(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == ".git" || name == "dist" || name == "node_modules" || name == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d documents, %v", len(paths), err)
	}
	return paths
}
