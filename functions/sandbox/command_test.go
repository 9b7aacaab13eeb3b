package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A command finds a sandbox of its own by its variables, has the standard output to itself,
// and its exit code is that of the program.
func TestACommandFindsASandboxOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := `set -e
test "$WXPAY_CHANNEL" = global && test "$REFUND_OPERATORS" = oOperator && test -n "$HOME"
printf %s "$WXPAY_CLIENT_KEY" > key.pem
curl -sS --cacert "$WXREFUND_CA_FILE" --proxy $WXREFUND_WECHAT -A try -H 'Accept: */*' https://api.mch.weixin.qq.com/v3/certificates > proxied
curl -sS --cacert "$WXREFUND_CA_FILE" -A try -H 'Accept: */*' $WXREFUND_WECHAT_TLS/v3/certificates > direct
printf %s "$WXREFUND_CA_FILE" > ca
curl -fsS --json '{"out_trade_no":"order-1","total":100}' $WXREFUND_SANDBOX/_sandbox/orders > order
curl -fsS --json '{"type":"wxpay_refund","out_trade_no":"order-1","out_refund_no":"refund-1","amount":{"refund":60,"total":100,"currency":"CNY"}}' $WXREFUND_SANDBOX/functions/wxpayFunctions
echo said to standard error >&2
exit 7`
	var stdout, stderr buffer
	code := run(t.Context(), []string{"-channel", "global", "-operators", "oOperator", "--", "sh", "-c", "cd " + dir + "\n" + script}, noVariables, &stdout, &stderr)
	if code != 7 || !strings.HasPrefix(stdout.String(), `{"errMsg":"cloud.callFunction:ok"`) || !strings.Contains(stdout.String(), `"result":{"code":0,`) {
		t.Errorf("got %d, %q\n%s", code, &stdout, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	var r ready
	if len(lines) != 3 || json.Unmarshal([]byte(lines[1]), &r) != nil || !r.Ready || r.Listen == "http://127.0.0.1:8700" || lines[2] != "said to standard error" {
		t.Errorf("standard error: %q, want the warning, the ready line on another port and the command's own", lines)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "key.pem")); err != nil || strings.Count(string(b), "\n") < 5 {
		t.Errorf("the key came as %q, %v; want PEM with its line feeds", b, err)
	}
	for _, name := range []string{"proxied", "direct"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), `"code":"SIGN_ERROR"`) {
			t.Errorf("WeChat's side with TLS, %s: %s, %v", name, b, err)
		}
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca"))
	if _, left := os.Stat(string(ca)); err != nil || len(ca) == 0 || !errors.Is(left, fs.ErrNotExist) {
		t.Errorf("the authority's file %q is still there, or never was: %v, %v", ca, err, left)
	}
}

// A command that cannot be run is one clear line, with the exit code that a shell has for it;
// how a command ends is told in the same way.
func TestTheExitCodeIsTheCommands(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args  []string
		code  int
		says  string
		lines int
	}{
		{[]string{"--", "true"}, 0, `"ready":true`, 2},
		{[]string{"--", "sh", "-c", "kill -9 $$"}, 137, `"ready":true`, 2},
		{[]string{"--", "nosuchprogram", "x"}, 127, "nosuchprogram", 1},
		{[]string{"--", "./nosuchprogram"}, 127, "./nosuchprogram", 1},
		{[]string{"--", plain}, 126, plain, 1},
		{[]string{"-channel", "nope", "--", "true"}, 2, `"nope"`, 1},
		{[]string{"--"}, 2, "a command is missing behind --", 1},
		{[]string{"npm", "test"}, 2, "a command stands behind --", 1},
	} {
		var stdout, stderr buffer
		if code := run(t.Context(), tt.args, noVariables, &stdout, &stderr); code != tt.code || stdout.String() != "" {
			t.Errorf("%q: got %d, %q; want %d and nothing", tt.args, code, &stdout, tt.code)
		}
		if got := stderr.String(); !strings.Contains(got, tt.says) || strings.Count(got, "\n") != tt.lines {
			t.Errorf("%q: got %q, want %d lines with %s", tt.args, got, tt.lines, tt.says)
		}
	}
}

// Whoever ends the sandbox ends the command and what that has started, within two seconds
// even if they will not.
func TestTheCommandEndsWithTheSandbox(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{ // told by SIGTERM, but for the first
		"trap 'exit 4' INT; echo up; sleep 60 & wait":                 4,
		"echo up; exec sleep 60":                                      143,
		"echo up; sleep 60; true":                                     143,
		"trap 'exit 3' TERM; echo up; sleep 60 & wait":                3,
		"trap '' TERM; echo up; sleep 60 & echo $! > $PIDS; sleep 60": 137,
	} {
		pids := filepath.Join(t.TempDir(), "pids")
		ctx, cancel := context.WithCancelCause(t.Context())
		var stdout, stderr buffer
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, []string{"--", "sh", "-c", "PIDS=" + pids + "\n" + script}, noVariables, &stdout, &stderr)
		}()
		await(t, "the command", func() bool { return stdout.String() == "up\n" })
		begin := time.Now()
		if strings.Contains(script, "INT") {
			cancel(errors.New("interrupt signal received")) // as package signal has it
		} else {
			cancel(nil)
		}
		if got := <-code; got != want {
			t.Errorf("%q: got %d, want %d\n%s", script, got, want, &stderr)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%q: it took %v", script, took)
		}
		if pid, err := os.ReadFile(pids); err == nil {
			await(t, "the end of what the command had started", func() bool {
				status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
				return err != nil || strings.Contains(string(status), ") Z ")
			})
		}
	}
}
