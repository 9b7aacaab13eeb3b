package main

import (
	"context"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

// noSettings is an environment without any.
func noSettings(string) string { return "" }

// runBare runs the program without settings.
func runBare(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(t.Context(), args, noSettings, strings.NewReader(""), &stdout, &stderr)
	return result{t, code, stdout.String(), stderr.String()}
}

// What is not understood ends with 2, and says what was probably meant.
func TestWrongUse(t *testing.T) {
	for args, want := range map[string]string{
		"":                             "a command is missing",
		"-json":                        "a command is missing",
		"shwo NO":                      "did you mean show?",
		"frobnicate":                   `there is no command "frobnicate"; operate -h lists them`,
		"show -upstraem NO":            "show has no flag -upstraem: did you mean -upstream?",
		"show -frobnicate NO":          "show has no flag -frobnicate; operate show -h",
		"show -17 -as me":              "a number that begins with - stands behind --",
		"show":                         "the number of a refund is missing",
		"show A B":                     `unexpected argument "B": it is operate show [flags] NO`,
		"refund A":                     `unexpected argument "A"`,
		"query":                        "query wants one of NO, -refund-id, -out-trade-no and -transaction-id",
		"query A -refund-id B":         "query wants one of",
		"refund -amount 1.23":          "invalid value",
		"show A -env /nowhere/.env":    "-env: there is no file /nowhere/.env",
		"show A -as two\nlines":        "-as must be your name",
		"show A -as":                   "flag needs an argument: -as",
		"show A":                       "LEDGER_URL is missing",
		"refund -f /nowhere.json":      "-f: there is no file /nowhere.json",
		"refund -f x -amount 1 -total": "flag needs an argument",
		"refund -f x -amount 1":        "-amount does not go with -f",
	} {
		fields := strings.Split(args, " ")
		if args == "" {
			fields = nil
		}
		got := runBare(t, fields...).want(codeUsage, want)
		if !strings.HasPrefix(got.stderr, "operate: ") && args != "" {
			t.Errorf("%q: %s", args, got.stderr)
		}
	}
}

// With -json an error is JSON too.
func TestErrorsAreJSONWithJSON(t *testing.T) {
	for _, args := range [][]string{{"show", "A", "-json"}, {"-json", "show"}, {"reconcile", "-json", "A"}, {"-json", "nope"}, {"nope", "--json"}, {"-json"}, {"show", "-nope", "-json"}} {
		if got := runBare(t, args...).want(codeUsage).object()["error"]; got == "" || got == nil {
			t.Errorf("%q: no error in what was printed", args)
		}
	}
}

// Flags stand where people type them: before the command, behind it, behind its operands.
func TestFlagsStandAnywhere(t *testing.T) {
	for _, c := range []struct {
		args, name, operands string
		json, upstream       bool
		as                   string
	}{
		{"show NO", "show", "NO", false, false, ""},
		{"show NO -upstream -json", "show", "NO", true, true, ""},
		{"-json show -upstream NO", "show", "NO", true, true, ""},
		{"-upstream -as show show NO", "show", "NO", false, true, "show"},
		{"--json -as=bob --upstream=false show NO", "show", "NO", true, false, "bob"},
		{"show -as bob -- -NO", "show", "-NO", false, false, "bob"},
		{"-out-refund-no show query", "query", "", false, false, ""},
		{"reconcile", "reconcile", "", false, false, ""},
		{"show - x", "show", "- x", false, false, ""},
	} {
		p := &program{stdout: io.Discard, stderr: io.Discard}
		args := strings.Fields(c.args)
		cmd, _, operands, err := p.parse(args)
		if c.name == "query" { // which has no such flag
			if err == nil || !strings.Contains(err.Error(), "query has no flag -out-refund-no") {
				t.Errorf("%q: got %v", c.args, err)
			}
			continue
		}
		if err != nil || cmd.name != c.name || strings.Join(operands, " ") != c.operands || p.json != c.json || p.as != c.as {
			t.Errorf("%q: got %s %q json %v as %q, %v", c.args, cmd.name, operands, p.json, p.as, err)
		}
	}
}

// A flag takes a value in all commands or in none: else nobody could find the command
// behind it.
func TestFlagsAreOfOneKind(t *testing.T) {
	kinds := map[string]string{}
	for _, c := range commands() {
		f, _ := new(program).flags(c)
		f.VisitAll(func(g *flag.Flag) {
			b, ok := g.Value.(interface{ IsBoolFlag() bool })
			kind := map[bool]string{true: "no value", false: "a value"}[ok && b.IsBoolFlag()]
			if other := kinds[g.Name]; other != "" && other != kind {
				t.Errorf("-%s of %s takes %s, elsewhere %s", g.Name, c.name, kind, other)
			}
			kinds[g.Name] = kind
		})
	}
}

// Every command says on standard output how it is used, with an example that it
// understands, on lines that fit.
func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	overview := runBare(t, "-h").want(codeDone).stdout
	for _, c := range commands() {
		for _, args := range [][]string{{c.name, "-h"}, {"--help", c.name}, {"help", c.name}} {
			got := runBare(t, args...).want(codeDone, "Usage: operate "+c.name, c.synopsis, "go run ./functions/operate "+c.example, "-json", "-as name")
			if got.stderr != "" {
				t.Errorf("%q: %s", args, got.stderr)
			}
			for line := range strings.Lines(got.stdout) {
				if len(line) > 160 {
					t.Errorf("%s: a line of %d letters: %s", c.name, len(line), line)
				}
			}
		}
		p := &program{stdout: io.Discard, stderr: io.Discard}
		if cmd, act, operands, err := p.parse(strings.Fields(c.example)); err != nil || act == nil || cmd.name != c.name || len(operands) > len(strings.Fields(c.operands)) {
			t.Errorf("%s: its example is not understood: %v, operands %q", c.name, err, operands)
		}
		if !strings.Contains(overview, "  "+c.name+" ") {
			t.Errorf("operate -h does not name %s", c.name)
		}
	}
	if got := runBare(t, "help").stdout; got != overview {
		t.Errorf("help differs from -h:\n%s", got)
	}
}

// A silence is a terminal at which nobody types: whoever waits there ends it.
type silence struct{ end func() }

func (s silence) Read([]byte) (int, error) {
	s.end()
	select {}
}

// Whoever has had enough is out at once, and told so.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	ctx, cancel := context.WithCancel(t.Context())
	w.operateWith(ctx, terminal{silence{cancel}}, refundArgs("order-1", "refund-1")...).want(codeFinding, "operate: interrupted: nothing was done\n")
	w.operateWith(ctx, strings.NewReader(""), "show", "refund-1").want(codeFinding, "operate: interrupted: ")
	w.operate("show", "refund-1").want(codeFinding, "no refund refund-1 is on record here")
}

// A machine whose clock is behind the timer's changes nothing: it would rewrite the times
// of the history. It may look.
func TestNothingIsChangedWithAClockThatIsBehind(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.stuck("order-1", "stuck")
	w.Advance("1h")
	w.timer()
	before := w.operate("show", "stuck").want(codeDone).stdout
	history := before[strings.LastIndex(before, "\n\n"):]
	behind := func(by time.Duration, args ...string) result {
		var stdout, stderr strings.Builder
		now := func() time.Time { return w.Sandbox.Now().Add(-by) }
		p := &program{root: t.Context(), getenv: w.getenv, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, zone: time.UTC, now: now, as: "alice"}
		return result{t, p.main(args), stdout.String(), stderr.String()}
	}
	for _, args := range [][]string{
		{"reconcile"}, {"query", "stuck"}, {"release", "stuck", "-yes"}, {"cancel", "stuck", "-yes"}, {"redeliver", "stuck", "-yes"},
		{"forget", "-before", "2024-01-01", "-yes"}, {"rebuild", "-yes"}, refundArgs("order-1", "refund-2", "-yes"),
		{"alarms", "-ack", "stuck", "-note", "seen", "-yes"},
	} {
		behind(30*time.Minute, args...).want(codeFinding, "operate: this machine's clock is ", "s behind the ledger's (the timer ran at ", "nothing was done; set the clock")
	}
	behind(30*time.Minute, "list").want(codeDone, "stuck")
	after := behind(0, "show", "stuck").want(codeDone).stdout
	if !strings.HasSuffix(after, history) {
		t.Errorf("the history was\n%s\nand is\n%s", history, after)
	}
	behind(time.Minute, "query", "stuck").want(codeDone, "processing")
}
