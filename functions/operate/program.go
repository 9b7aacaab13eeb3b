package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"wxrefund/shared/check"
	"wxrefund/shared/config"
	"wxrefund/shared/dotenv"
	"wxrefund/shared/host"
	"wxrefund/shared/refund"
)

// A program is one run of the operator's program, by one person.
type program struct {
	root           context.Context // ends when the person has had enough
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer        // to a terminal: of what is written, text alone gets there
	file           io.Writer        // standard output, as it is
	zone           *time.Location   // of the times that people read
	now            func() time.Time // the service's clock; nil: the machine's

	json, yes bool
	as, env   string

	logLevel string
	names    []string // of the variables in the file of -env
	limit    time.Duration
	loaded   *config.System
	printed  bool
	closers  []func()
}

// close releases what the program has opened.
func (p *program) close() {
	for _, c := range p.closers {
		c()
	}
}

// settle makes of the flags that every command has what they mean.
func (p *program) settle() error {
	if p.as == "" {
		p.as = login(p.getenv)
	}
	if strings.TrimSpace(p.as) != p.as || p.as == "" || len(p.as) > maxName || strings.ContainsFunc(p.as, unicode.IsControl) {
		return usage("-as must be your name, of at most %d bytes on one line: it goes into the history", maxName)
	}
	p.logLevel = p.getenv("LOG_LEVEL") // a function's level in a file is not meant for a terminal
	if p.env == "" {
		return nil
	}
	return p.readEnv()
}

// maxName is the greatest length of an operator's name in bytes.
const maxName = 64

// login is the name of whoever is at this machine; "" if it does not say.
func login(getenv func(string) string) string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	name = cmp.Or(name, getenv("USER"), getenv("LOGNAME"), getenv("USERNAME"))
	return name[strings.LastIndex(name, `\`)+1:] // of Windows: without its domain
}

// readEnv takes settings from the file of -env, where the environment has none, as other
// readers of such files do: so that LEDGER_URL can be that of a tunnel for one command.
// Which ones the environment has otherwise is said, for whoever has forgotten that it has.
func (p *program) readEnv() error {
	file, err := dotenv.Read(p.env)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("-env: there is no file %s", p.env)
	} else if err != nil {
		return usage("-env: %v", err)
	}
	outer, folder := p.getenv, filepath.Dir(p.env)
	var other []string
	for _, s := range config.Settings() {
		if here := outer(s.Name); here != "" && file[s.Name] != "" && here != file[s.Name] {
			other = append(other, s.Name)
		}
	}
	if len(other) > 0 {
		fmt.Fprintf(p.stderr, "operate: the environment's %s counts, not that in %s\n", strings.Join(other, ", "), p.env)
	}
	for name := range file {
		p.names = append(p.names, name)
	}
	p.getenv = func(name string) string {
		if v := outer(name); v != "" {
			return v
		}
		v := file[name]
		if path, ok := strings.CutPrefix(v, "file:"); ok && !filepath.IsAbs(path) {
			return "file:" + filepath.Join(folder, path) // beside the file, as for go run ./functions/package
		}
		return v
	}
	return nil
}

// log is where the service logs: standard error, from warnings on unless LOG_LEVEL is
// set in the environment, since what it decides the commands say themselves. An alarm is
// logged once, by whoever meets it first: here, if that is us.
func (p *program) log() *slog.Logger {
	return host.NewLogger(p.stderr, func(string) string { return cmp.Or(p.logLevel, "warn") })
}

// system loads the settings and opens the ledger, once.
func (p *program) system(ctx context.Context) (*config.System, error) {
	if p.loaded != nil {
		return p.loaded, nil
	}
	if r, missing := check.Missing(p.getenv("LEDGER_URL")); missing {
		return nil, usage("LEDGER_URL: %s; %s", r.Text, r.Do)
	}
	sys, err := config.Load(ctx, p.getenv, p.log(), p.names...)
	if err != nil {
		if _, refused := errors.AsType[*refund.Error](err); refused || ctx.Err() != nil { // the ledger is another merchant's
			return nil, err
		}
		return nil, usage("the settings are wrong:\n%v", err)
	}
	p.closers = append(p.closers, func() { _ = sys.Close() }) // the process ends anyway
	// Whether there is code of the merchant's own only the functions know that deliver to
	// it, and its variables are set for them alone: what is for it waits for them.
	sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, refund.Subscriber{Name: refund.OwnCode})
	sys.Refunds.Now, sys.Refunds.ByHand = p.now, true
	p.loaded = sys
	return sys, nil
}

// refunds is the service of the system.
func (p *program) refunds(ctx context.Context) (*refund.Service, error) {
	sys, err := p.system(ctx)
	if err != nil {
		return nil, err
	}
	return sys.Refunds, nil
}

// changing is the service of the system for a command that changes something: not from a
// machine whose clock is behind the ledger's.
func (p *program) changing(ctx context.Context) (*refund.Service, error) {
	refunds, err := p.refunds(ctx)
	if err != nil {
		return nil, err
	}
	return refunds, refunds.CheckClock(ctx)
}

// begin returns a context for what the command does next, with its limit.
func (p *program) begin(limit time.Duration) context.Context {
	p.limit = cmp.Or(limit, time.Minute)
	return p.again()
}

// again returns a context with the command's limit, counted from now.
func (p *program) again() context.Context {
	if p.limit < 0 {
		return p.root
	}
	ctx, cancel := context.WithTimeout(p.root, p.limit)
	p.closers = append(p.closers, cancel)
	return ctx
}

// confirm lets a change go on: with -yes, or when the person has typed the word, having
// read what will happen. It returns a context for the change, since reading takes time.
func (p *program) confirm(what, word string) (context.Context, error) {
	if p.yes {
		return p.again(), nil
	}
	if !isTerminal(p.stdin) {
		return nil, finding("nothing was done: this would %s; that needs -yes where nobody can be asked (standard input is no terminal)", what)
	}
	fmt.Fprintf(p.stderr, "This will %s.\nType %s to go on: ", what, word)
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.stdin).ReadString('\n') // what was typed before its end counts
		typed <- strings.TrimSpace(line)
	}()
	select {
	case <-p.root.Done():
		fmt.Fprintln(p.stderr)
		return nil, finding("interrupted: nothing was done")
	case line := <-typed:
		if line != word {
			return nil, finding("nothing was done: that was not %s", word)
		}
	}
	return p.again(), nil
}

// isTerminal reports whether a person may be at the other end.
func isTerminal(r io.Reader) bool {
	f, ok := r.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a device too
	return err != nil || !os.SameFile(info, null)
}

// print prints a result: as JSON with -json, else as table writes it, in columns that are
// separated by tabs.
func (p *program) print(v any, table func(w io.Writer)) {
	p.printed = true
	if p.json {
		out := json.NewEncoder(p.stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		_ = out.Encode(v) // whoever reads has gone; that is their affair
		return
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	table(w)
	_ = w.Flush()
}

// report says what went wrong and returns the exit code.
func (p *program) report(err error) int {
	code, text := codeFinding, ""
	if o, ok := errors.AsType[*outcome](err); ok {
		code, text = o.code, o.text
	} else {
		text = says(err)
		if refund.IsCode(err, refund.CodeInvalid) { // what was written can be right at no time
			code = codeUsage
		}
	}
	if p.root.Err() != nil {
		text = "interrupted: " + strings.TrimPrefix(text, "interrupted: ")
	}
	if code != codeUsage { // whose lines are this program's own
		text = strings.ReplaceAll(text, "\n", "\n  ")
	}
	fmt.Fprintln(p.stderr, "operate:", text)
	if p.json && !p.printed {
		p.print(map[string]string{"error": text}, nil)
	}
	return code
}

// unanswered says that a ledger did not answer, and what to do about the setting or the flag
// that names it.
func unanswered(err error, setting string) string {
	return fmt.Sprintf("the ledger did not answer: %v: %s", err, check.LedgerRemedy(err, setting))
}

// says is the sentence of an error, with the upstream's code and the cause where there
// are any: the person may see what the log sees.
func says(err error) string {
	e, ok := errors.AsType[*refund.Error](err)
	if !ok {
		return err.Error()
	}
	if errors.Is(err, refund.ErrLedger) && !errors.Is(err, context.Canceled) {
		return unanswered(e.Err, "LEDGER_URL")
	}
	text := e.Message
	if e.Upstream != "" {
		text += " (" + e.Upstream + ")"
	}
	if e.Err != nil && !errors.Is(e.Err, refund.ErrNotOurs) { // that is a name for programs, and the message has said it
		text += ": " + e.Err.Error()
	}
	return text
}
