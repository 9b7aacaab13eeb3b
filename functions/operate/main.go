// Operate is the operator's program: what is stuck, what became of a refund, who made
// it, and what a person may do about it, on the real ledger and upstream. It reads the
// settings that the functions read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	codeDone    = 0
	codeFinding = 1 // something was found or refused
	codeUsage   = 2 // the command was not understood, or the settings
)

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{root: ctx, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, zone: time.Local}
	return p.main(args)
}

func (p *program) main(args []string) int {
	defer p.close()
	p.file, p.stdout, p.stderr = p.stdout, textOnly{p.stdout}, textOnly{p.stderr}
	p.json = isJSON(args) // also where the command is not understood
	err := p.command(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return codeDone
	}
	return p.report(err)
}

// command finds the command among the arguments, and runs it.
func (p *program) command(args []string) error {
	if len(args) == 0 {
		p.overview(p.stderr)
		return usage("a command is missing")
	}
	c, act, operands, err := p.parse(args)
	switch {
	case err != nil:
		return err
	case act == nil: // help was asked for
		return nil
	}
	if err := p.settle(); err != nil {
		return err
	}
	if most := len(strings.Fields(c.operands)); len(operands) > most {
		return usage("unexpected argument %q: it is operate %s", operands[most], c.form())
	}
	ctx := p.begin(c.limit)
	return act(ctx, p, operands)
}

// overview lists the commands.
func (p *program) overview(w io.Writer) {
	fmt.Fprintln(w, "Usage: operate [flags] COMMAND [flags] [arguments]\n\n"+
		"The settings are the functions' own, from the environment and from -env FILE.")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", c.name, c.synopsis)
	}
	fmt.Fprintln(w, "\noperate COMMAND -h shows its flags and an example.\n"+
		"Handbook: functions/operate/README.md, 中文 functions/operate/README.zh.md\n"+
		"Exit code: 0 done, 1 something was found or refused, 2 wrong use.")
}

// An outcome is an error that has an exit code.
type outcome struct {
	code int
	text string
}

func (o *outcome) Error() string { return o.text }

// finding is an error that ends the program with 1: what was looked for was found, or what
// was asked for is refused.
func finding(format string, args ...any) error {
	return &outcome{codeFinding, fmt.Sprintf(format, args...)}
}

// usage is an error that ends the program with 2: the command was not understood, or the
// settings are wrong.
func usage(format string, args ...any) error {
	return &outcome{codeUsage, fmt.Sprintf(format, args...)}
}
