// Package check finds out whether a deployment works, before its first refund.
//
// It makes real calls that move no money, and says of each thing that has to be right that
// it is, or what to do. What cannot be proved from here is said, too. Nothing is bound,
// settled, delivered or notified; the ledger's schema is brought up to date, as the first
// call of any function would do, and one item of the ledger is this package's own.
package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/wxpay"
)

// A Status is what was found.
type Status string

// From good to bad. Only a problem means that the deployment does not work.
const (
	OK      Status = "ok"
	Note    Status = "note"    // good to know, or not to be proved from here
	Warning Status = "warning" // it works now
	Problem Status = "problem"
)

// A Result is what was found out about one thing, on one line.
type Result struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"` // what to do about it; "": nothing
}

// An Input is what to look at.
type Input struct {
	Getenv func(string) string // the settings of the functions; required
	Names  []string            // of variables that Getenv knows and the process has not

	// Migrate adds to the ledger's schema what a program does not add by itself, which may
	// take long: the indexes of a table of DynamoDB's.
	Migrate bool

	Now func() time.Time // the clock of the functions; nil: the machine's
}

// probeTime bounds one call to somebody else. A migration of the ledger is not bounded.
const probeTime = 10 * time.Second

// Run looks at everything, and returns what it found in an order to mend it in. Settings
// that are wrong end it: with them nothing else can be asked.
func Run(ctx context.Context, in Input) []Result {
	sys, ledgerURL, err := config.Prepare(ctx, in.Getenv, slog.New(slog.DiscardHandler), in.Names...)
	if err != nil {
		return settings(err)
	}
	sys.Refunds.Now = in.Now
	c := &checker{Input: in, sys: sys, http: wxpay.NewHTTPClient(nil)}
	c.watchUpstream()
	all := []Result{ok("settings", "nothing is missing, malformed or misspelt for channel %s", sys.Refunds.Channel.Spec().Name)}
	if unread := config.Unread(in.Getenv, in.Names...); len(unread) > 0 {
		all[0] = ok("settings", "nothing is missing or malformed for channel %s", sys.Refunds.Channel.Spec().Name)
		for _, says := range unread {
			all = append(all, warning("settings", says, "take it out, unless it is another program's; if you meant it, give its value to the right name"))
		}
	}
	all = append(all, c.access()...)

	// What is asked stands in different places, and none waits for another's time limit.
	groups := []func() []Result{
		func() []Result { return c.ledger(ctx, ledgerURL) },
		func() []Result {
			all := append(c.bill(ctx, c.upstream(ctx)), c.notifyURL(ctx)...) // the latter wants to know the keys
			return append(all, c.toldThrough(ctx)...)                        // and this one the clock
		},
		func() []Result { return c.receivers(ctx) },
	}
	found := make([][]Result, len(groups))
	var wg sync.WaitGroup
	for i, group := range groups {
		wg.Go(func() { found[i] = group() })
	}
	wg.Wait()
	for _, results := range found {
		all = append(all, results...)
	}
	return all
}

// Problems counts what does not work.
func Problems(results []Result) (n int) {
	for _, r := range results {
		if r.Status == Problem {
			n++
		}
	}
	return n
}

// Write prints a line for each, in columns that are separated by tabs.
func Write(w io.Writer, results []Result) {
	for _, r := range results {
		status, text := string(r.Status), r.Text
		if r.Status == Problem {
			status = "PROBLEM" // to be seen among many
		}
		if r.Do != "" {
			if !strings.HasSuffix(text, "?") {
				text += "."
			}
			text += " Do: " + r.Do
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", status, r.Name, text) // to a terminal, whose failure cannot be told anybody
	}
}

// A checker is one run.
type checker struct {
	Input
	sys   *config.System
	http  *http.Client // for what is not the upstream
	watch *watch
	cert  *x509.Certificate // that the channel shows in TLS; nil: none
	key   string            // the serial of a key of WeChat Pay's that notifications can be signed with; "": none known
}

func ok(name, format string, args ...any) Result {
	return Result{Name: name, Status: OK, Text: fmt.Sprintf(format, args...)}
}

func note(name, text, do string) Result { return Result{name, Note, text, do} }

func warning(name, text, do string) Result { return Result{name, Warning, text, do} }

func problem(name, text, do string) Result { return Result{name, Problem, text, do} }

// settings has a line for each that is wrong.
func settings(err error) (all []Result) {
	each := []error{err}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		each = joined.Unwrap()
	}
	for _, e := range each {
		all = append(all, problem("settings", line(e), "set it right where the functions are deployed from, and here"))
	}
	return append(all, note("the rest", "nothing else was looked at", "settings first, then again"))
}

// line is an error on one line.
func line(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// access says who may refund.
func (c *checker) access() (all []Result) {
	policy, token := c.sys.Refunds.Policy, c.Getenv("REFUND_SERVER_TOKEN") != ""
	switch {
	case len(policy.Operators) > 0:
		who, upTo := "1 openid", "any amount"
		if n := len(policy.Operators); n > 1 {
			who = fmt.Sprintf("%d openids", n)
		}
		if policy.MaxFen > 0 {
			upTo = fmt.Sprintf("up to %d fen a refund", policy.MaxFen)
		}
		text := fmt.Sprintf("%s may refund from the mini-program, %s", who, upTo)
		if policy.ApprovalFen > 0 {
			text += fmt.Sprintf(", above %d fen of one order a day with another's approval", policy.ApprovalFen)
		}
		all = append(all, ok("access", "%s", text))
	case token:
		all = append(all, note("access", "no user of the mini-program may refund: REFUND_OPERATORS is empty; servers with REFUND_SERVER_TOKEN may", ""))
	default:
		all = append(all, note("access", "no user of the mini-program may refund: REFUND_OPERATORS is empty; your own functions may, and over plain HTTP nobody: REFUND_SERVER_TOKEN is empty",
			"set one of them if that is not meant"))
	}
	if strings.TrimSpace(c.Getenv("TRUST_WX_HEADERS")) == "true" {
		all = append(all, warning("access", "TRUST_WX_HEADERS is true: over plain HTTP whoever sends x-wx-openid is that user",
			"see that nothing reaches the function but through a gateway that sets these headers itself"))
	}
	return all
}
