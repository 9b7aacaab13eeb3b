package documents_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every command in a document is run by a test or by .ci/run, or cannot be run
// here, which the list says.

// A ran says where commands are run: by a test of this folder, or of the one that is
// named before it. The first row whose words a command begins with counts.
type ran struct{ words, where string }

const (
	byQuickStart = "TestQuickStart"
	byOwnProcess = "TestOwnProcess"
	byCalls      = "functions/sandbox TestREADMECommandsRun"
	byKeyLine    = "TestKeyOnOneLine"
	byCI         = ".ci/run"
	byName       = "its tests exist" // go test with a pattern: .ci/run runs them all
	inAnAccount  = "needs an account"
	inAContainer = "needs a container engine" // functions/package unpacks the images and runs them
	onAMachine   = "changes the machine"
)

var commandsRun = []ran{
	{"go run ./functions/sandbox -", byOwnProcess},
	{"go run ./functions/sandbox", byQuickStart},
	{"go run ./functions/notify", byOwnProcess},
	{"go run ./functions/wxpayfunctions", byOwnProcess},
	{"go run ./functions/operate explain", "functions/operate TestExplainNeedsNoSettingsForACode"},
	{"go run ./functions/operate", "functions/operate TestHandbookCommandsRun"},
	{"go build -o operate ./functions/operate", byCI},
	{"go run ./functions/package", byCI},
	{"go test ./...", byCI},
	{"go test ", byName},
	{"go vet ./...", byCI},
	{".ci/run", byCI},
	{"go env -w GOPROXY=", onAMachine},
	{"curl -s http://127.0.0.1:8700/_sandbox/env", byOwnProcess},
	{"set -a; . ./sandbox.env", byOwnProcess},
	{`curl -d '{}' "$WXPAY_NOTIFY_URL"`, inAnAccount},
	{"curl -d '{", byQuickStart},
	{"curl ", byCalls},
	{"docker run", inAContainer},
	{"cp .env.example .env", byKeyLine},
	{"awk ", byKeyLine},
	{"aws ", inAnAccount}, {"jq ", inAnAccount}, {"sam ", inAnAccount}, {"tcb ", inAnAccount}, {"scf ", inAnAccount},
	{"npm i -g @cloudbase/cli", onAMachine},
	{"cd dist/cloudbase", inAnAccount}, {"rm keys.json", inAnAccount},
}

const programs = `go|curl|set|awk|aws|jq|sam|tcb|scf|npm|npx|cp|cd|rm|git|docker|\.ci/run`

var (
	commandLine = regexp.MustCompile(`^(?:[A-Z_]+=\S* )*(?:` + programs + `)(?:\s|$)`)
	commandSpan = regexp.MustCompile(`^(?:(?:go (?:run|test|env|build|vet|tool)|awk|aws|curl|sam|tcb|scf|npm|npx|cp|git|docker) |\.ci/run)`)
)

// commands are those on lines of their own and those in the text, without comments.
func (d document) commands() (all []string) {
	add := func(text string) {
		text, _, _ = strings.Cut(text, "  #")
		for _, c := range strings.Split(text, " && ") {
			all = append(all, strings.Join(strings.Fields(c), " "))
		}
	}
	for i := 0; i < len(d.lines); i++ {
		l := d.lines[i]
		text := strings.TrimSpace(l.text)
		switch {
		case l.kind == code || l.kind == fence && slices.Contains([]string{"", "sh", "bash", "console"}, l.lang):
			if !commandLine.MatchString(text) {
				continue
			}
			for strings.HasSuffix(text, `\`) && i+1 < len(d.lines) {
				i++
				text = strings.TrimSuffix(text, `\`) + strings.TrimSpace(d.lines[i].text)
			}
			add(text)
		case l.kind == prose || l.kind == table:
			for _, m := range span.FindAllStringSubmatch(l.text, -1) {
				if commandSpan.MatchString(m[1]) {
					add(m[1])
				}
			}
		}
	}
	return all
}

func TestEveryCommandIsRun(t *testing.T) {
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, d := range documents(t) {
		for _, command := range d.commands() {
			i := slices.IndexFunc(commandsRun, func(r ran) bool { return strings.HasPrefix(command, r.words) })
			if i < 0 {
				t.Errorf("%s: nothing runs %q", d.path, command)
				continue
			}
			row := commandsRun[i]
			used[row.words] = true
			switch {
			case row.where == byCI && row.words != ".ci/run" && row.words != "go test ./..." && !strings.Contains(string(ci), row.words):
				t.Errorf("%s: .ci/run does not run %q", d.path, row.words)
			case row.where == byName:
				checkPattern(t, command)
			case strings.Contains(row.where, "Test") && !exists(t, row.where):
				t.Errorf("%s: %q is said to be run by %s, which does not exist", d.path, command, row.where)
			}
		}
	}
	for _, r := range commandsRun {
		if !used[r.words] {
			t.Errorf("no document has %q any more", r.words)
		}
	}
}

// exists tells whether there is a test, here or in the folder that is named before it.
func exists(t *testing.T, test string) bool {
	t.Helper()
	folder, name := "functions/documents", test
	if before, after, ok := strings.Cut(test, " "); ok {
		folder, name = before, after
	}
	return strings.Contains(source(t, filepath.Join(root, folder)), "func "+name+"(")
}

// source is all Go code of a folder's tests.
func source(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	return text.String()
}

// checkPattern wants tests or benchmarks of the name that a command asks for, in
// its package, and the flags that it gives.
func checkPattern(t *testing.T, command string) {
	t.Helper()
	folder := regexp.MustCompile(`\./\S*`).FindString(command)
	if strings.HasSuffix(folder, "...") {
		return // all of them
	}
	text := source(t, filepath.Join(root, folder))
	if text == "" {
		t.Errorf("%q: no tests in %s", command, folder)
		return
	}
	for _, m := range regexp.MustCompile(`-(run|bench|fuzz) (?:'([^']*)'|(\S+))`).FindAllStringSubmatch(command, -1) {
		pattern := m[2] + m[3]
		if pattern == "^$" {
			continue
		}
		for _, part := range strings.Split(pattern, "|") { // each part of it is there
			kind := map[string]string{"run": "Test", "bench": "Benchmark", "fuzz": "Fuzz"}[m[1]]
			part, _, _ = strings.Cut(strings.TrimPrefix(strings.Trim(part, "^$"), kind), "/")
			if !regexp.MustCompile(`(?m)^func ` + kind + `\w*` + part + `\w*\(`).MatchString(text) {
				t.Errorf("%q: %s has no %s of that name", command, folder, kind)
			}
		}
	}
	for _, m := range regexp.MustCompile(` -([a-z]+)`).FindAllStringSubmatch(command, -1) {
		known := []string{"run", "bench", "benchtime", "benchmem", "fuzz", "fuzztime", "v", "race", "count", "tags", "timeout"}
		if !slices.Contains(known, m[1]) && !strings.Contains(text, `"`+m[1]+`"`) {
			t.Errorf("%q: %s has no flag -%s", command, folder, m[1])
		}
	}
}
