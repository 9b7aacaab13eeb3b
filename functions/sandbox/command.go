package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"wxrefund/shared/sandbox"
)

// farewell is how long a command may go on, in real time, once it has been told to end.
const farewell = 1200 * time.Millisecond

// The exit codes of a program that is told what cannot be, and those that shells have for a
// command that cannot be run, and for one that was ended by a signal.
const (
	codeUsage         = 2
	codeNotExecutable = 126
	codeNotFound      = 127
	codeSignal        = 128 // and the signal's number
)

// findCommand tells whether a command can be run: its exit code if not.
func findCommand(command []string) (code int, err error) {
	if _, err = exec.LookPath(command[0]); err == nil {
		return 0, nil
	}
	code = codeNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = codeNotFound
	}
	return code, fmt.Errorf("the command cannot be run: %w", err)
}

// runCommand runs the command that was given, and returns its exit code once it has ended.
// If ctx ends it is told so by the signal that ended us. Its standard output is its own: the
// ready line goes to standard error.
func runCommand(ctx context.Context, o options, wechat *sandbox.Sandbox, r ready, stdout, stderr io.Writer) (code int, err error) {
	variables, err := wechat.Settings(o.channel)
	if err != nil {
		return 0, err
	}
	ca, err := caFile(wechat)
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(ca) }() // a certificate that is good for nothing any more
	maps.Copy(variables, map[string]string{
		"WXREFUND_SANDBOX": r.Listen, "WXREFUND_WECHAT": r.WeChat, "WXREFUND_WECHAT_TLS": r.WeChatTLS, "WXREFUND_CA_FILE": ca,
	})
	if err := json.NewEncoder(stderr).Encode(r); err != nil {
		return 0, err
	}
	c := exec.CommandContext(ctx, o.command[0], o.command[1:]...) //nolint:gosec // it is what the developer has typed
	c.Env = os.Environ()
	for name, value := range variables {
		c.Env = append(c.Env, name+"="+value) // the last of a name counts
	}
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, stdout, stderr
	apart := !terminal()
	if apart {
		lead(c)
	}
	c.Cancel = func() error {
		s := cause(ctx)
		if s == syscall.SIGINT && !apart {
			return nil // Ctrl-C at a terminal reaches all that runs there
		}
		return tell(c, s)
	}
	c.WaitDelay = farewell
	if err := c.Start(); err != nil {
		return codeNotExecutable, err
	}
	_ = c.Wait() // how it has ended its state tells
	if ctx.Err() != nil {
		_ = tell(c, syscall.SIGKILL) // what it has left behind, if anything
	}
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return codeSignal + int(status.Signal()), nil
	}
	return c.ProcessState.ExitCode(), nil
}

// caFile writes the authority of WeChat's side with TLS to a file: many programs take one
// before they start, and in no other form.
func caFile(wechat *sandbox.Sandbox) (path string, err error) {
	settings, err := wechat.Settings("global")
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "wxrefund-ca-*.pem")
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(settings["WXPAY_CA_CERT"])
	return file.Name(), errors.Join(err, file.Close())
}

// cause is the signal that has ended ctx, or else one that asks for the end.
func cause(ctx context.Context) syscall.Signal {
	if err := context.Cause(ctx); err != nil && strings.HasPrefix(err.Error(), os.Interrupt.String()) {
		return syscall.SIGINT
	}
	return syscall.SIGTERM
}

// terminal tells whether somebody sits at the standard input.
func terminal() bool {
	in, err := os.Stdin.Stat()
	if err != nil || in.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(in, null)
}
