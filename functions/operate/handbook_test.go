package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// handbookCommands are the arguments of each command of the program in a handbook, on
// lines of their own and in the text, without what a shell takes of it.
func handbookCommands(t *testing.T, file string) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)(?:^ {4,}|`)(?:go run \\./functions/operate|operate) ([^`\n]+)").FindAllStringSubmatch(string(text), -1) {
		line, _, _ := strings.Cut(m[1], " > ")
		var args []string
		for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
			args = append(args, strings.Trim(word, "'"))
		}
		all = append(all, args)
	}
	return all
}

// executed are the commands that the handbook's test runs to their end.
var executed = []string{"list", "show", "query", "refund", "reconcile", "release", "cancel", "redeliver", "alarms", "forget",
	"applications", "application", "approve", "reject", "withdraw", "abnormal"}

// Every command in the handbook is understood as it stands there, and does something in a
// world where there is something to do; both languages have the same.
func TestHandbookCommandsRun(t *testing.T) {
	commands := handbookCommands(t, "README.md")
	if inChinese := handbookCommands(t, "README.zh.md"); !slices.EqualFunc(commands, inChinese, slices.Equal) {
		t.Errorf("the languages have other commands:\n%q\n%q", commands, inChinese)
	}
	w := newWorld(t, "apiv3", "order-1")
	w.webhook()
	w.stuck("order-1", "refund-1")
	w.Advance("16m")
	refund := filepath.Join(t.TempDir(), "refund.json")
	if err := os.WriteFile(refund, []byte(`{"out_refund_no":"refund-4","out_trade_no":"order-1","amount":{"refund":60,"total":10000,"currency":"CNY"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	card := filepath.Join(t.TempDir(), "card.json")
	if err := os.WriteFile(card, []byte(`{"bank_account":"6222020000001234","real_name":"张三"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, args := range commands {
		args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "-env" || a == ".env" || a == "practice.env" }) // the environment has it all
		if len(args) == 0 || args[0] == "-h" {
			continue
		}
		p := &program{stdout: new(strings.Builder), stderr: new(strings.Builder)}
		cmd, _, _, err := p.parse(args)
		if err != nil {
			t.Errorf("operate %q: %v", args, err)
			continue
		}
		if !slices.Contains(executed, cmd.name) {
			continue // another test runs it
		}
		ran[cmd.name] = true
		for i, a := range args {
			switch a {
			case "refund.json":
				args[i] = refund
			case "card.json":
				args[i] = card
			case "100": // the handbook's orders are smaller than this world's
				args[i] = "10000"
			}
		}
		if got := w.operate(append(args, "-yes")...); got.code == codeUsage {
			t.Errorf("operate %q: %s", args, got.stderr)
		}
	}
	for _, name := range executed {
		if !ran[name] {
			t.Errorf("the handbook has no example of %s", name)
		}
	}
	w.operate("list", "-find", "refund-").want(codeDone, "refund-1", "refund-3", "refund-4")
}
