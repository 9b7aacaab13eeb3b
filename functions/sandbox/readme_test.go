package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The sandbox is described in two languages.
var readmes = []string{"README.md", "README.zh.md"}

func readme(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// scripts are the blocks of commands, without comments.
func scripts(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```\n").FindAllStringSubmatch(text, -1) {
		out = append(out, regexp.MustCompile(`(?m)^# .*\n|^\n`).ReplaceAllString(m[1], ""))
	}
	return out
}

// first lists the first cells of the tables' rows in which they are code, in order.
func first(text, pattern string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(text, -1) {
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m[1], -1) {
			if regexp.MustCompile(pattern).MatchString(code[1]) {
				out = append(out, code[1])
			}
		}
	}
	return out
}

// Every command runs, in the order of the document, against one sandbox, and none
// is refused but the call of somebody who may not.
func TestREADMECommandsRun(t *testing.T) {
	t.Parallel()
	p := start(t, "-speed", "1") // nothing settles meanwhile but what a command settles
	var answers []string
	dir := t.TempDir()
	for _, script := range scripts(readme(t, readmes[0])) {
		if strings.Contains(script, "./functions/") {
			continue // it runs already, and functions of their own are another test's
		}
		command := exec.CommandContext(t.Context(), "sh", "-ec", strings.NewReplacer("http://127.0.0.1:8700", p.ready.Listen, "http://127.0.0.1:8701", p.ready.WeChat).Replace(script))
		command.Dir = dir
		out, err := command.Output()
		if err != nil || bytes.Contains(out, []byte(`{"error":`)) {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		answers = append(answers, string(out))
	}
	all := strings.Join(answers, "\n")
	var codes []string
	for _, m := range regexp.MustCompile(`"result":\{"code":(\d+)`).FindAllStringSubmatch(all, -1) {
		codes = append(codes, m[1])
	}
	if got, want := strings.Join(codes, " "), "0 0 403 0 0 0 0 202 403 0 503 0 0 0"; got != want {
		t.Errorf("the functions reply %s, want %s", got, want)
	}
}

// The tables of both documents have the flags, the doors and the faults that there are.
func TestREADMETables(t *testing.T) {
	t.Parallel()
	p := start(t)
	var known struct {
		Known struct {
			Upstream, Notify, Timer, Bill, Database map[string]string
		}
	}
	p.control("GET", "/_sandbox/faults", "", &known)
	var faults []string
	for _, of := range []map[string]string{known.Known.Upstream, known.Known.Notify, known.Known.Timer, known.Known.Bill, known.Known.Database} {
		for name := range of {
			faults = append(faults, name)
		}
	}
	var usage bytes.Buffer
	if _, err := parse([]string{"-h"}, &usage); err == nil {
		t.Fatal("-h is no flag")
	}
	var flags []string
	for _, m := range regexp.MustCompile(`(?m)^  (-[\w-]+)`).FindAllStringSubmatch(usage.String(), -1) {
		flags = append(flags, m[1])
	}
	for _, c := range []struct {
		what, pattern string
		want          []string
	}{
		{"flags", `^-\w`, flags},
		{"faults", `^[\w]+$`, faults},
		{"doors", `^[A-Z]+ /_sandbox/`, doors(t)},
	} {
		slices.Sort(c.want)
		for _, name := range readmes {
			text := readme(t, name)
			if c.what == "faults" { // clients of theirs have such names, further down
				text, _, _ = strings.Cut(text, "| `POST /_sandbox/orders`")
			}
			got := first(text, c.pattern)
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s of %s (-program +document):\n%s", c.what, name, d)
			}
		}
	}
}

// doors lists the patterns under /_sandbox/ that the sandbox's source has.
func doors(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("../../shared/sandbox", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`"((?:GET|POST|DELETE) /_sandbox/[^"?]*)[?"]`).FindAllStringSubmatch(string(b), -1) {
			if !strings.Contains(m[1], "/_sandbox/console/") {
				all = append(all, m[1])
			}
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d doors, %v", len(all), err)
	}
	return all
}

// What the documents say of scenarios is so: the example passes, there is a row for each
// file, in English with what it teaches, and for each member of a step.
func TestREADMEScenarios(t *testing.T) {
	t.Parallel()
	var files []string
	for _, file := range shipped(t) {
		files = append(files, filepath.Base(file))
	}
	for _, name := range readmes {
		text := readme(t, name)
		example := regexp.MustCompile("(?s)```json\n(.*?)```\n").FindStringSubmatch(text)
		if got := play(t.Context(), written(t, example[1])); got.code != 0 {
			t.Errorf("the example of %s: exit code %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
		rows := first(text, `^[\w-]+\.json$`)
		slices.Sort(rows)
		if d := cmp.Diff(files, rows); d != "" {
			t.Errorf("%s (-files +document):\n%s", name, d)
		}
		for _, m := range regexp.MustCompile(`f\.\w+\("(\w+)"\)`).FindAllStringSubmatch(readme(t, "scenario.go"), -1) {
			if !strings.Contains(text, `"`+m[1]+`"`) {
				t.Errorf("%s does not tell of %q", name, m[1])
			}
		}
		for _, flag := range scenarioFlags {
			if !strings.Contains(text, "`"+flag+"`") {
				t.Errorf("%s does not say that a scenario may set %s", name, flag)
			}
		}
	}
	english := strings.ReplaceAll(readme(t, readmes[0]), "`", "")
	for _, file := range files {
		teaches := strings.TrimSuffix(toldBy(t, filepath.Join("scenarios", file)).Teaches, ".")
		if !strings.Contains(english, "| "+file+" | "+teaches+" |\n") {
			t.Errorf("%s is not said to teach: %s", file, teaches)
		}
	}
}
