package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

const (
	// samples is how often a call is made to see how long it takes.
	samples = 11
	// slow is from when on the time of a call is worth a word: a refund makes three calls, a
	// notification two, which must be answered within five seconds, a start included.
	slow = 200 * time.Millisecond

	ledgerName = "ledger"
)

// ledger looks at the ledger and, if it opens, at what it says of the deployment.
func (c *checker) ledger(ctx context.Context, url string) []Result {
	const name = ledgerName
	scheme, _, _ := strings.Cut(url, ":")
	if r, missing := Missing(url); missing {
		all := notAsked([]Result{r}, "ledger schema", "ledger speed", "ledger merchant")
		if r.Status == Problem {
			return notAsked(all, timerName)
		}
		return append(all, neverRan())
	}
	began := time.Now()
	store, err := ledger.Open(ctx, url, ledger.WithCredentials(config.Credentials(c.Getenv)))
	if err != nil {
		return unopened(name, err)
	}
	defer store.Close() //nolint:errcheck // nothing is buffered
	// The first call brings the schema up to date. On a large table that takes longer than a
	// function has, so that it is better done here, without a limit of ours.
	if c.Migrate {
		if err := store.AddIndexes(ctx); err != nil {
			return unopened(name, err)
		}
	}
	have, want, err := store.Schema(ctx)
	if err != nil {
		return unopened(name, err)
	}
	all := []Result{ok(name, "%s opens, in %s", scheme, ms(time.Since(began))), schema(have, want)}
	c.sys.Refunds.Ledger = store
	return append(all, c.speed(ctx, store, scheme), c.bound(ctx), c.timer(ctx))
}

// Missing says what keeps a SQLite ledger from being looked at, if it is not there. Opening
// one makes its file, as the functions' first call has to; whoever only looks, and made it,
// would take a misspelt path for a ledger in which all is well.
func Missing(url string) (r Result, missing bool) {
	const name, do = ledgerName, "correct the path in LEDGER_URL"
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok || path == "" {
		return Result{}, false
	}
	if path == ":memory:" {
		return problem(name, "sqlite::memory: is empty and nobody else's", "name the ledger that the functions use in LEDGER_URL"), true
	}
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	switch info, err := os.Stat(full); {
	case err == nil && !info.Mode().IsRegular():
		return problem(name, full+" is no file", do), true
	case !errors.Is(err, fs.ErrNotExist):
		return Result{}, false
	}
	folder := filepath.Dir(full)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return problem(name, fmt.Sprintf("there is no folder %s, in which the functions could make the ledger", folder), "make the folder, or "+do), true
	}
	return note(name, "there is no "+full+" yet: the functions' first call makes it", "if they have been called, "+do), true
}

// unopened has a line for each thing that keeps the ledger from being used.
func unopened(name string, err error) (all []Result) {
	for _, each := range findings(err) {
		do := LedgerRemedy(each, ledgerURL)
		all = append(all, problem(name, strings.TrimSuffix(line(each), "; "+do), do)) // some say that themselves
	}
	return all
}

func schema(have, want int) Result {
	const name = "ledger schema"
	switch {
	case have < want:
		return problem(name, fmt.Sprintf("the ledger has schema %d, and listing refunds needs %d", have, want), "operate check -migrate: refunds go on meanwhile")
	case have > want:
		return warning(name, fmt.Sprintf("the ledger has schema %d, of a newer version; this program knows %d and can still work with it", have, want), "deploy all functions, and run this, from that version")
	}
	return ok(name, "%d, as this program wants it", have)
}

// speed measures a read and a commit, of the one item that is a check's own. It has neither
// class nor due time, so that nobody lists it but who lists everything. A ledger that the
// functions would refuse is read alone.
func (c *checker) speed(ctx context.Context, store refund.Ledger, scheme string) Result {
	const name = "ledger speed"
	ctx, cancel := context.WithTimeout(ctx, samples*probeTime)
	defer cancel()
	_, err := c.sys.Refunds.Bound(ctx)
	refused := errors.Is(err, refund.ErrNotOurs) && !errors.Is(err, refund.ErrOtherChannel)
	var reads, commits []time.Duration
	for range samples {
		began := time.Now()
		items, err := store.Get(ctx, refund.CheckKey)
		if err != nil {
			return problem(name, "it does not read: "+line(err), LedgerRemedy(err, ledgerURL))
		}
		reads = append(reads, time.Since(began))
		if refused {
			continue
		}
		item := items[0]
		item.Body = []byte(`{}`)
		began = time.Now()
		if err := store.Commit(ctx, item); err != nil && !errors.Is(err, refund.ErrStale) { // another check is at work
			return problem(name, "it does not write: "+line(err), LedgerRemedy(err, ledgerURL))
		}
		commits = append(commits, time.Since(began))
	}
	if refused {
		why := "is another merchant's"
		if errors.Is(err, refund.ErrClosed) {
			why = "is closed"
		}
		return note(name, fmt.Sprintf("a read takes %s, from here (median of %d); nothing was written, since the ledger %s", ms(median(reads)), samples, why), "")
	}
	text := fmt.Sprintf("a read takes %s, a commit %s, from here (median of %d)", ms(median(reads)), ms(median(commits)), samples)
	if max(median(reads), median(commits)) > slow {
		near := "the same region and VPC for both, and a database that does not go to sleep"
		if scheme == "cloudbase" {
			near = "functions in the environment LEDGER_URL names, or in its region, and a database that does not go to sleep"
		}
		return warning(name, text, "if it is as slow from the functions: "+near)
	}
	return ok(name, "%s", text)
}

func median(all []time.Duration) time.Duration {
	slices.SortFunc(all, cmp.Compare)
	return all[len(all)/2]
}

// ms writes a duration as people compare them.
func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// bound says whose refunds the ledger holds.
func (c *checker) bound(ctx context.Context) Result {
	const name = "ledger merchant"
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	ours := c.sys.Refunds.Merchant.MchID
	if sub := c.sys.Refunds.Merchant.SubMchID; sub != "" {
		ours = strings.TrimSpace(ours + " with sub-merchant " + sub)
	}
	switch bound, err := c.sys.Refunds.Bound(ctx); {
	case errors.Is(err, refund.ErrOtherChannel):
		return warning(name, refund.AsError(err).Message, "nothing if the channel was changed on purpose; else correct WXPAY_CHANNEL")
	case errors.Is(err, refund.ErrClosed):
		return problem(name, refund.AsError(err).Message, "set LEDGER_URL to the ledger that is open")
	case errors.Is(err, refund.ErrNotOurs):
		return problem(name, refund.AsError(err).Message, "correct LEDGER_URL, or WXPAY_MCHID and WXPAY_SUB_MCHID; a ledger is one merchant's for ever")
	case err != nil:
		return problem(name, line(err), LedgerRemedy(err, ledgerURL))
	case !bound:
		return note(name, "the ledger is nobody's yet: the first refund makes it merchant "+ours+"'s", "")
	}
	return ok(name, "%s, as in the settings", ours)
}

// What is said of the timer.
const (
	timerName   = "timer"
	deployTimer = "deploy the function reconcile with its timer, once a minute; its log says what keeps it from running"
)

// neverRan is the line of a timer that has left no trace.
func neverRan() Result {
	return problem(timerName, "the timer has never run on this ledger, and a run by hand does not count: what no notification closes stays open", deployTimer)
}

// timer says when the timer last ran reconcile.
func (c *checker) timer(ctx context.Context) Result {
	const name = timerName
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	at, err := c.sys.Refunds.LastRun(ctx)
	now := time.Now()
	if c.Now != nil {
		now = c.Now()
	}
	age := now.Sub(at)
	switch text := fmt.Sprintf("reconcile last ran %s ago", age.Round(time.Second)); {
	case err != nil:
		return problem(name, line(err), LedgerRemedy(err, ledgerURL))
	case at.IsZero():
		return neverRan()
	case age < -refund.LateRun:
		return warning(name, fmt.Sprintf("reconcile last ran %s from now: some clock is wrong", (-age).Round(time.Second)), "set the clock of this machine, or of the one that runs reconcile")
	case age > refund.MissingRun:
		return problem(name, text, deployTimer)
	case age > refund.LateRun:
		return warning(name, text+"; it should run every minute (functions of a version before this one say so once an hour)", "look again in a while, and into its log")
	default:
		return ok(name, "reconcile ran within the last %s", max(age, time.Second).Round(time.Second))
	}
}
