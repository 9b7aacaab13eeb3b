package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

func copyCommand() command {
	return command{
		name:     "copy",
		synopsis: "Copy a ledger to another database, and move to it with -close",
		more: "From any of SQLite, PostgreSQL, MySQL, DynamoDB and CloudBase to any other. It may be interrupted, and goes on from there\n" +
			"when it is run again. Both sides are counted and compared by a checksum. Nothing in the source is deleted.\n\n" +
			"Without -close the source stays in use, and the copy is closed: functions refuse it. With -close the source is\n" +
			"closed for good, whoever is at it is waited for (a minute and a half), what has changed is copied, and the copy\n" +
			"is opened. Between the two no refund can be made, and none is lost. Then set LEDGER_URL to the new one.\n\n" +
			"Other users of a machine see what stands on a command line: -to env:NAME takes the URL from a variable.\n" +
			"Between two environments of CloudBase, -to-key env:NAME names the variable with the key of the second.\n",
		example: "copy -from sqlite:refunds.db -to env:NEW_LEDGER_URL",
		setup: func(f *flag.FlagSet) action {
			c := &copying{}
			f.StringVar(&c.from, "from", "", "`URL` of the ledger to copy, or env:NAME; by default LEDGER_URL")
			f.StringVar(&c.to, "to", "", "`URL` of an empty database, or of a copy that is to go on, or env:NAME")
			f.StringVar(&c.fromKey, "from-key", "", "`env:NAME`, the variable with the CloudBase key for -from; by default CLOUDBASE_APIKEY")
			f.StringVar(&c.toKey, "to-key", "", "`env:NAME`, the same for -to")
			f.BoolVar(&c.close, "close", false, "close the source for good, and open the copy in its place")
			return c.run
		},
		limit: -1,
	}
}

// A copying is one run of copy.
type copying struct {
	from, to       string
	fromKey, toKey string
	close          bool
}

// A copied is what copy prints. A side is named by its kind alone: URLs hold passwords.
type copied struct {
	From     side         `json:"from"`
	To       side         `json:"to"`
	Passes   int          `json:"passes"`
	Written  int64        `json:"written"`
	Equal    bool         `json:"equal"`
	Changing bool         `json:"changing"`
	Moved    bool         `json:"moved"`
	Earlier  bool         `json:"earlier,omitempty"` // moved by an earlier run: nothing was compared
	Differs  []refund.Key `json:"differs,omitempty"`
	Seconds  float64      `json:"seconds"`
}

type side struct {
	Kind  string `json:"kind"`
	Items int64  `json:"items"`
	Bytes int64  `json:"bytes"`
	Sum   string `json:"checksum"`
}

func sideOf(url string, sum ledger.Sum) side {
	kind, _, _ := strings.Cut(url, ":")
	return side{kind, sum.Items, sum.Bytes, sum.String()}
}

func (c *copying) run(ctx context.Context, p *program, _ []string) error {
	from, source, err := p.openLedger(ctx, "-from", cmp.Or(c.from, "env:LEDGER_URL"), c.fromKey)
	if err != nil {
		return err
	}
	to, target, err := p.openLedger(ctx, "-to", c.to, c.toKey)
	if err != nil {
		return err
	}
	name, err := ledger.Name(from)
	if err != nil {
		return usage("-from: %v", err)
	}
	if here, err := ledger.Name(to); err == nil && here == name {
		return usage("-from and -to name the same database")
	}
	if c.close {
		if ctx, err = p.confirm("close the ledger that is copied, for good: functions that use it refuse everything until LEDGER_URL names the copy", "close"); err != nil {
			return err
		}
	}
	start := time.Now()
	result, err := ledger.Copy(ctx, source, target, ledger.CopyOptions{Source: name, By: p.by(), Close: c.close, Progress: p.copyProgress()})
	if err != nil {
		if errors.Is(err, ledger.ErrRefused) {
			return finding("%v", err)
		}
		return fmt.Errorf("the copy is not complete; run the same command again, and it goes on: %w", err)
	}
	out := copied{
		From: sideOf(from, result.Source), To: sideOf(to, result.Target), Passes: result.Passes, Written: result.Written,
		Equal: result.Equal(), Changing: result.Changing, Moved: result.Moved, Earlier: result.Earlier, Differs: result.Differs,
		Seconds: time.Since(start).Round(time.Millisecond).Seconds(),
	}
	p.print(out, func(w io.Writer) { out.table(w) })
	switch {
	case result.Earlier:
		return nil
	case result.Changing:
		return finding("the ledger was in use: the copy is of a while ago; run it again, with -close to move to it")
	case !out.Equal:
		return finding("the two differ; run it again, and if they still do somebody else writes to the copy")
	}
	return nil
}

func (c copied) table(w io.Writer) {
	if c.Earlier {
		fmt.Fprintln(w, "The ledger has moved there already, and lives on: nothing was done.")
		return
	}
	fmt.Fprintln(w, "\titems\tbytes\tchecksum")
	for _, s := range []struct {
		what string
		side
	}{{"from " + c.From.Kind, c.From}, {"to " + c.To.Kind, c.To}} {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", s.what, s.Items, s.Bytes, s.Sum)
	}
	fmt.Fprintf(w, "\n%s written in %s and %.1f s.\n", counted(c.Written, "item", "items"), counted(c.Passes, "pass", "passes"), c.Seconds)
	switch {
	case c.Moved:
		fmt.Fprintln(w, "Both are equal. The ledger has moved: set LEDGER_URL to the new one.")
	case c.Equal:
		fmt.Fprintln(w, "Both are equal. The copy is closed: copy -close moves to it.")
	}
	for _, k := range c.Differs {
		fmt.Fprintf(w, "differs:\t%s\n", k)
	}
}

// copyProgress writes a line now and then.
func (p *program) copyProgress() func(ledger.CopyProgress) {
	var last time.Time
	doing := ""
	return func(at ledger.CopyProgress) {
		if at.Doing == doing && time.Since(last) < progressEvery {
			return
		}
		last, doing = time.Now(), at.Doing
		if at.Seen == 0 {
			fmt.Fprintf(p.stderr, "operate: %s\n", at.Doing)
			return
		}
		fmt.Fprintf(p.stderr, "operate: %s, pass %d: %s, %d of them written\n", at.Doing, at.Pass, counted(at.Seen, "item", "items"), at.Written)
	}
}

// progressEvery is how often a long command says how far it is.
const progressEvery = 2 * time.Second

// openLedger opens the ledger that a flag names, by its URL or by a variable that holds it.
// key names the variable with the key of a ledger at CloudBase; "": the settings' own.
func (p *program) openLedger(ctx context.Context, flag, url, key string) (string, *ledger.Store, error) {
	getenv := p.getenv
	if key != "" {
		name, ok := strings.CutPrefix(key, "env:")
		switch {
		case !ok:
			return "", nil, usage("%s-key must be env:NAME: others on this machine see a command line", flag)
		case p.getenv(name) == "":
			return "", nil, usage("%s-key: %s is not set", flag, name)
		}
		getenv = func(of string) string {
			if of == "CLOUDBASE_APIKEY" {
				of = name
			}
			return p.getenv(of)
		}
	}
	if name, ok := strings.CutPrefix(url, "env:"); ok {
		if url = p.getenv(name); url == "" {
			return "", nil, usage("%s: %s is not set", flag, name)
		}
	}
	if url == "" {
		return "", nil, usage("%s is missing: the URL of a ledger, or env:NAME for one in a variable", flag)
	}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok && flag == "-from" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // it would be made
			return "", nil, usage("%s: there is no file %s", flag, path)
		}
	}
	store, err := ledger.Open(ctx, url, ledger.WithCredentials(config.Credentials(getenv)))
	if err != nil {
		return "", nil, usage("%s: %v", flag, err)
	}
	p.closers = append(p.closers, func() { _ = store.Close() }) // what was committed is durable
	if _, err := store.Get(ctx, refund.OwnershipKey); err != nil {
		return "", nil, finding("%s: %s", flag, unanswered(err, flag))
	}
	return url, store, nil
}
