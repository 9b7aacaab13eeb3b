package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxrefund/shared/config"
)

// checked deploys for a channel: the timer has run, and a receiver refuses as notify does.
func checkedWorld(t *testing.T, channel string) *world {
	t.Helper()
	w := newWorld(t, channel)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"code":"FAIL","message":"the signature is missing, stale or wrong"}`)
	}))
	t.Cleanup(receiver.Close)
	w.settings["WXPAY_NOTIFY_URL"] = receiver.URL
	w.timer()
	return w
}

// On every channel: exit code 0 and a line each if all is right, 1 if anything is wrong,
// and the same as JSON. Nothing of it is done: the ledger holds what it held.
func TestCheckEndsWithOneIfThereIsAProblem(t *testing.T) {
	for _, channel := range config.Channels() {
		t.Run(channel, func(t *testing.T) {
			w := checkedWorld(t, channel)
			if channel == "global" {
				secure := httptest.NewUnstartedServer(w.Sandbox.WeChat())
				secure.TLS = w.Sandbox.TLSConfig()
				secure.StartTLS()
				t.Cleanup(secure.Close)
				w.settings["WXPAY_BASE_URL"] = secure.URL
			}
			w.operate("check").want(codeDone, "refund query", "ok", "No problem was found.")
			o := w.operate("check", "-json").want(codeDone).object()
			if checks, _ := o["checks"].([]any); o["ok"] != true || o["problems"] != 0.0 || len(checks) < 8 {
				t.Errorf("got %v", o)
			}

			w.settings["LEDGER_URL"] = "postgres://root:canary@127.0.0.1:1/test"
			w.settings["LEDGER_ALLOW_SQLITE"] = ""
			w.operate("check").want(codeFinding, "PROBLEM", "connection refused", "nothing listens there", "there is 1 problem")
			r := w.operate("check", "-json").want(codeFinding)
			if o := r.object(); o["ok"] != false || o["problems"] != 1.0 || strings.Contains(r.stdout+r.stderr, "canary") {
				t.Errorf("got %v", o)
			}
			w.settings["LEDGER_URL"] = ""
			w.operate("check").want(codeFinding, "LEDGER_URL is missing", "nothing else was looked at")
		})
	}
}

// A SQLite ledger that is not there has its line, and everything else is looked at all the
// same; nothing is made. That the functions make it is a note, and that the timer has never
// run there is a problem: a misspelt path is no ledger in which all is well.
func TestCheckLooksAtTheRestWhereTheLedgerIsNotMadeYet(t *testing.T) {
	w := checkedWorld(t, "apiv3")
	folder := t.TempDir()
	t.Chdir(folder)
	for url, want := range map[string]struct{ status, says, do, timer string }{
		"sqlite:new.db":    {"note", "there is no " + filepath.Join(folder, "new.db") + " yet: the functions' first call makes it", "correct the path", "problem"},
		"sqlite:a/new.db":  {"problem", "there is no folder " + filepath.Join(folder, "a"), "make the folder", "note"},
		"sqlite:" + folder: {"problem", folder + " is no file", "correct the path", "note"},
		"sqlite::memory:":  {"problem", "empty and nobody else's", "name the ledger that the functions use", "note"},
	} {
		w.settings["LEDGER_URL"] = url
		r := w.operate("check", "-json").want(codeFinding)
		lines := map[string]map[string]any{}
		for _, each := range r.object()["checks"].([]any) {
			line := each.(map[string]any)
			lines[line["name"].(string)] = line
		}
		ledger := lines["ledger"]
		if do, _ := ledger["do"].(string); ledger["status"] != want.status || !strings.Contains(ledger["text"].(string), want.says) || !strings.Contains(do, want.do) {
			t.Errorf("%s: got %v", url, ledger)
		}
		for line, status := range map[string]string{
			"settings": "ok", "ledger schema": "note", "ledger speed": "note", "ledger merchant": "note", "timer": want.timer,
			"clock": "ok", "merchant key": "ok", "APIv3 key": "ok", "refund query": "ok", "notify URL": "ok",
		} {
			if lines[line]["status"] != status {
				t.Errorf("%s: %s is %v, want %s", url, line, lines[line], status)
			}
		}
		if n := r.object()["problems"]; n != 1.0 {
			t.Errorf("%s: %v problems, want 1\n%s", url, n, r.stdout)
		}
	}
	if made, err := os.ReadDir(folder); err != nil || len(made) > 0 {
		t.Errorf("there is now %v, %v", made, err)
	}
}

// A run of the timer that a person has done by hand proves no timer.
func TestCheckTakesARunByHandForNoTimer(t *testing.T) {
	w := newWorld(t, "apiv3")
	w.operate("reconcile").want(codeDone)
	w.operate("check").want(codeFinding, "the timer has never run on this ledger, and a run by hand does not count")
	w.timer()
	w.operate("check").lacks("has never run")
	w.Advance("3h")
	w.operate("reconcile").want(codeDone)
	w.operate("check").want(codeFinding, "reconcile last ran 3h0m")
}

// What check leaves in a ledger stands in nobody's way: verify finds nothing wrong, a
// database that it alone has touched takes a copy, and a copy that it has looked at goes on
// and is closed in the same way. A closed ledger is not written to.
func TestCheckStandsInNoCopysWay(t *testing.T) {
	w := checkedWorld(t, "wecom")
	source, target := w.settings["LEDGER_URL"], newLedger(t)
	on := func(url string) { w.settings["LEDGER_URL"] = url }
	on(target)
	w.operate("check").want(codeFinding, "ledger speed", "a commit", "has never run")
	on(newLedger(t))
	w.operate("check").want(codeFinding, "a commit")
	w.operate("verify").want(codeDone, "0 refunds on 0 orders", "Nothing is wrong.")

	on(source)
	w.operate("check").want(codeDone, "a commit", "No problem was found.")
	w.operate("verify").want(codeDone, "Nothing is wrong.")
	w.operate("copy", "-to", target).want(codeDone, "Both are equal.")

	on(target)
	w.operate("check").want(codeFinding, "nothing was written, since the ledger is closed", "set LEDGER_URL to the ledger that is open", "there is 1 problem")
	w.operate("verify").want(codeDone, "Nothing is wrong.")

	on(source)
	got := w.operate("copy", "-to", target, "-json").want(codeDone).object()
	if from, to := got["from"].(map[string]any), got["to"].(map[string]any); got["equal"] != true || from["checksum"] != to["checksum"] || from["items"] != to["items"] {
		t.Errorf("got %v, want equal sums", got)
	}
	w.moved(source, target)
	on(target)
	w.operate("check").want(codeDone, "a commit", "No problem was found.")
	w.operate("verify").want(codeDone, "Nothing is wrong.")
	on(source)
	w.operate("check").want(codeFinding, "nothing was written, since the ledger is closed", "was moved to another database")
}

// The example in the handbook is what the program prints, but for numbers.
func TestTheHandbookShowsWhatCheckPrints(t *testing.T) {
	w := checkedWorld(t, "apiv3")
	right := w.operate("check").want(codeDone).stdout
	w.settings["LEDGER_URL"] = "postgres://root:canary@127.0.0.1:1/test"
	w.settings["WXPAY_APIV3_KEY"] = strings.Repeat("k", 32)
	wrong := w.operate("check").want(codeFinding).stdout
	got := normal(right) + "\n" + normal(wrong)
	t.Logf("\n%s\n%s", right, wrong)
	path := filepath.Join("testdata", "check.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s as it is (UPDATE=1 rewrites it):\n%s", got, path, want)
	}
	for _, handbook := range []string{"README.md", "README.zh.md"} {
		text, err := os.ReadFile(handbook)
		if err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile(`(?m)^ {4}((?:ok|note|PROBLEM) .*)$`).FindAllStringSubmatch(string(text), -1)
		if len(lines) < 6 {
			t.Errorf("%s shows %d lines of check", handbook, len(lines))
		}
		for _, m := range lines {
			if !shown(m[1], got) {
				t.Errorf("%s shows a line that check does not print: %s", handbook, m[1])
			}
		}
	}
}

// shown reports whether the program prints a line of the handbook, which may break off
// with an ellipsis.
func shown(line, printed string) bool {
	start := strings.TrimSuffix(line, " …")
	for got := range strings.Lines(printed) {
		if got = strings.TrimSpace(got); got == line || start != line && strings.HasPrefix(got, start) {
			return true
		}
	}
	return false
}

// normal replaces what differs from run to run.
func normal(s string) string {
	for _, r := range []struct{ is, as string }{
		{`[0-9.]+ ms`, "1.0 ms"}, {`serial \S+ `, "serial 4A5B…0C1D2E3F "}, {`under PUB_\S+`, "under PUB_…00000001"}, {`until [0-9-]+`, "until 2031-11-26"}, {`last [0-9ms]+`, "last 10s"}, {`answers: [0-9-]+ has`, "answers: 2026-11-25 has"},
		{`[ \t]+`, " "},
	} {
		s = regexp.MustCompile(r.is).ReplaceAllString(s, r.as)
	}
	return s
}
