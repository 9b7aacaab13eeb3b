package functions_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every command in README is run by a test or by .ci/run, or cannot be run
// without an account, which the list says.

// A ran says where a command of README is run. The first row whose words the
// command begins with counts.
type ran struct{ words, where string }

const (
	byQuickStart = "TestREADMEQuickStart"
	byOwnProcess = "TestREADMEOwnProcess"
	byCI         = ".ci/run"
	byName       = "its tests exist" // go test with a pattern: .ci/run runs them all
	inAnAccount  = "needs an account"
)

var readmeCommands = []ran{
	{"go run ./functions/sandbox", byQuickStart},
	{"go run ./functions/notify", byOwnProcess},
	{"go run ./functions/package", byCI},
	{"go test ./...", byCI},
	{"go test -race ./...", byCI},
	{"go test ", byName},
	{".ci/run", byCI},
	{"curl -s 'http://127.0.0.1:8700/_sandbox/env", byOwnProcess},
	{"set -a; . ./sandbox.env", byOwnProcess},
	{`curl -d '{}' "$WXPAY_NOTIFY_URL"`, inAnAccount},
	{"curl ", byQuickStart},
	{"aws ", inAnAccount}, {"jq ", inAnAccount}, {"sam ", inAnAccount}, {"tcb ", inAnAccount},
}

// readmeCommand is a line of README that is a command, or a command in its text.
var readmeCommand = regexp.MustCompile("(?m)^ {4,}((?:go|curl|set|aws|jq|sam|tcb|scf|npm|cp|\\.ci/run)\\b[^\\n]*)|`((?:go (?:test|run)|curl|sam|tcb|scf|aws) [^`]*)`")

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestREADMECommands(t *testing.T) {
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range readmeCommand.FindAllStringSubmatch(readme(t), -1) {
		command := strings.Join(strings.Fields(m[1]+m[2]), " ")
		row := ran{}
		for _, r := range readmeCommands {
			if strings.HasPrefix(command, r.words) {
				row = r
				break
			}
		}
		used[row.words] = true
		switch row.where {
		case "":
			t.Errorf("nothing runs %q", command)
		case byCI:
			if row.words != ".ci/run" && row.words != "go test ./..." && !bytes.Contains(ci, []byte(row.words)) {
				t.Errorf(".ci/run does not run %q", row.words)
			}
		case byName:
			checkPattern(t, command)
		}
	}
	for _, r := range readmeCommands {
		if !used[r.words] {
			t.Errorf("README has no %q any more", r.words)
		}
	}
}

// checkPattern wants tests or benchmarks of the name that a command asks for, in
// its package, and the flags that it gives.
func checkPattern(t *testing.T, command string) {
	t.Helper()
	folder := regexp.MustCompile(`\./\S+`).FindString(command)
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("%q: no tests in %s", command, folder)
		return
	}
	var source strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	for _, m := range regexp.MustCompile(`-(run|bench) (?:'([^']*)'|(\S+))`).FindAllStringSubmatch(command, -1) {
		pattern := m[2] + m[3]
		if pattern == "^$" {
			continue
		}
		for _, part := range strings.Split(pattern, "|") { // each part of it is there
			kind := map[string]string{"run": "Test", "bench": "Benchmark"}[m[1]]
			part = strings.TrimPrefix(strings.Trim(part, "^$"), kind)
			if !regexp.MustCompile(`(?m)^func ` + kind + `\w*` + part + `\w*\(`).MatchString(source.String()) {
				t.Errorf("%q: %s has no %s of that name", command, folder, kind)
			}
		}
	}
	for _, m := range regexp.MustCompile(` -([a-z]+)`).FindAllStringSubmatch(command, -1) {
		known := []string{"run", "bench", "benchtime", "benchmem", "v", "race", "count"}
		if !strings.Contains(strings.Join(known, " ")+" ", m[1]+" ") && !strings.Contains(source.String(), `"`+m[1]+`"`) {
			t.Errorf("%q: %s has no flag -%s", command, folder, m[1])
		}
	}
}

// quickStart is a block of README that begins with a curl for an order: what goes
// before the query, and the query.
var quickStart = regexp.MustCompile(`(?m)((?:^ {4}curl -d '\{"out_trade_no[^\n]*\n)(?:(?: {4}[^\n]*)?\n)*?)( {4}curl -d '\{"type":"wxpay_refund_query"[^\n]*\n)`)

// The quick start, in both languages, does what README says, word for word.
func TestREADMEQuickStart(t *testing.T) {
	t.Parallel()
	blocks := quickStart.FindAllStringSubmatch(readme(t), -1)
	if len(blocks) != 2 {
		t.Fatalf("README has %d quick starts, want one in each language", len(blocks))
	}
	for _, block := range blocks {
		w := startSandbox(t)
		sh := func(script string) string { return shell(t, w, t.TempDir(), script) }
		if got := sh(block[1]); !strings.Contains(got, `"status":"PROCESSING"`) {
			t.Fatalf("the refund: %s", got)
		}
		await(t, "the money's arrival", func() bool { return strings.Contains(sh(block[2]), `"status":"SUCCESS"`) })
		await(t, "the notification", func() bool {
			return strings.Contains(sh("curl http://127.0.0.1:8700/_sandbox/deliveries"), `"state":"delivered"`)
		})
	}
}

// A function in a process of its own, as README starts it, answers the sandbox's notifications.
func TestREADMEOwnProcess(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile(`(?m)^ {4}curl -s '[^\n]*_sandbox/env[^\n]*\n {4}set -a;[^\n]*\n {4}go run ./functions/notify\n`).FindString(readme(t))
	if block == "" {
		t.Fatal("README does not say how to start a function of its own")
	}
	w := startSandbox(t)
	port := freePort(t)
	// The binary that the tests have built stands for go run, which is not to be killed by halves.
	script := strings.NewReplacer("PORT=9000", "PORT="+port, "go run ./functions/notify", "env").Replace(block)
	var env []string
	for _, line := range strings.Split(shell(t, w, t.TempDir(), script), "\n") {
		if name, _, ok := strings.Cut(line, "="); ok && regexp.MustCompile(`^(WXPAY|LEDGER|PORT)`).MatchString(name) {
			env = append(env, line)
		}
	}
	f := awaitPlain(t, start(t, notify, append(env, "LEDGER_URL=sqlite:"+w.ledger)))
	if status, body := f.post("{}"); status != 401 {
		t.Errorf("a notification without a signature: got %d %s, want 401", status, body)
	}
}

// shell runs a script of README's against a sandbox that listens elsewhere.
func shell(t *testing.T, w *world, dir, script string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(script, "http://127.0.0.1:8700", w.control))
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return string(out)
}
