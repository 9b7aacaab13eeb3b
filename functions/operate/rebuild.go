package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

func rebuildCommand() command {
	return command{
		name:     "rebuild",
		synopsis: "After a restore from a backup: take up what WeChat Pay knows and the ledger has forgotten",
		more: "Reads the daily bills since -since (three months at most; see operate bill), then asks about the refunds in the\n" +
			"ledger, about its orders where the channel can list their refunds (cloudpay, global), and about the numbers in\n" +
			"a file. What the ledger has forgotten counts on its order again, so that it is not refunded twice. Nothing is\n" +
			"submitted. Run it before the functions are switched on again. It may be interrupted, and goes on from there\n" +
			"when it is run again.\n\n" +
			"The file has a refund number a line, or is CSV with a column out_refund_no (operate list -csv) or 商户退款单号\n" +
			"(an export or bill of the merchant platform, in UTF-8 or GBK). It is for what no bill has: today's refunds, and\n" +
			"all where bills cannot be fetched (no permission, cloudbase without APIv3 keys, RECONCILE_BILL=off).\n",
		example: "rebuild -since 30d -numbers today.csv",
		setup: func(f *flag.FlagSet) action {
			r := &rebuilding{}
			f.StringVar(&r.since, "since", "", "when the backup was made: read bills from this `time` on, and ask about refunds that have ended only if they changed since; by default all")
			f.StringVar(&r.numbers, "numbers", "", "`file` with refund numbers; - is standard input")
			f.BoolVar(&r.again, "again", false, "from the beginning, wherever an earlier run was interrupted")
			return r.run
		},
		limit: -1,
	}
}

// A rebuilding is one run of rebuild.
type rebuilding struct {
	since, numbers string
	again          bool
}

// A rebuilt is what rebuild prints. What is not as it was is bounded, the counts are not.
type rebuilt struct {
	refund.RebuildSummary
	Refunds []refund.Rebuilt `json:"refunds"`
	Seconds float64          `json:"seconds"`
}

func (r *rebuilding) run(ctx context.Context, p *program, _ []string) error {
	in := refund.RebuildInput{Caller: refund.Caller{Kind: refund.Operator, Name: p.as}, Restart: r.again}
	var err error
	if in.Since, err = p.moment("-since", r.since); err != nil {
		return err
	}
	if in.Numbers, err = p.readNumbers(r.numbers); err != nil {
		return err
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	if in.Ledger, err = ledger.Name(p.getenv("LEDGER_URL")); err != nil {
		return err
	}
	if ctx, err = p.confirm(fmt.Sprintf("read WeChat Pay's daily bills, ask it about the ledger's refunds and %s, and change the ledger to what it says", counted(len(in.Numbers), "number", "numbers")), "rebuild"); err != nil {
		return err
	}
	start, last := time.Now(), time.Now()
	out := rebuilt{Refunds: []refund.Rebuilt{}}
	in.Found = func(f refund.Rebuilt) {
		if !p.json { // as they come
			fmt.Fprintf(p.stdout, "%s\n", foundText(f))
		} else if len(out.Refunds) < maxFound {
			out.Refunds = append(out.Refunds, f)
		}
	}
	in.Progress = func(sum refund.RebuildSummary) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			fmt.Fprintf(p.stderr, "operate: %s read, %s asked about, %d moved, %d taken up\n", counted(sum.Days, "bill", "bills"), counted(sum.Asked, "refund", "refunds"), sum.Moved, sum.TakenUp)
		}
	}
	out.RebuildSummary, err = refunds.Rebuild(ctx, in)
	if err != nil {
		if refund.IsCode(err, refund.CodeConflict) || refund.IsCode(err, refund.CodeDenied) {
			return err
		}
		return fmt.Errorf("the ledger is not rebuilt yet; run the same command again, and it goes on: %w", err)
	}
	out.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	p.print(out, func(w io.Writer) {
		for _, row := range []struct {
			n    int64
			what string
		}{
			{out.Days, "days whose bill was read"}, {out.Asked, "asked about by number"}, {out.Orders, "orders listed"}, {out.Unchanged, "unchanged"}, {out.Moved, "moved"},
			{out.TakenUp, "taken up"}, {out.Unknown, "unknown to WeChat Pay"}, {out.Failed, "without an answer, or a day's bill"},
		} {
			fmt.Fprintf(w, "%d\t%s\n", row.n, row.what)
		}
	})
	if n := out.Failed + out.Unknown; n > 0 {
		return finding("%d are without an answer and %d unknown to WeChat Pay: look at them before the functions go on; rebuild -again asks anew", out.Failed, out.Unknown)
	}
	return nil
}

// foundText is what rebuild says of something that is not as it was.
func foundText(f refund.Rebuilt) string {
	about := []string{f.What}
	for _, text := range []string{f.OutRefundNo + f.Order, string(f.State), dayText(f.Day), f.Why} {
		if text != "" {
			about = append(about, cell(text))
		}
	}
	return strings.Join(about, "  ")
}

func dayText(day refund.Day) string {
	if day == "" {
		return ""
	}
	return "bill of " + string(day)
}

// maxNumbers bounds a file of numbers, in bytes: some millions of them.
const maxNumbers = 256 << 20

// readNumbers reads the file of -numbers; none if it is "".
func (p *program) readNumbers(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	r := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("-numbers: there is no file %s", name)
		} else if err != nil {
			return nil, usage("-numbers: %v", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxNumbers+1))
	if err != nil {
		return nil, usage("-numbers: %v", err)
	}
	if len(b) > maxNumbers {
		return nil, usage("-numbers: %s has more than %d bytes", name, maxNumbers)
	}
	numbers, err := refundNumbers(b)
	if err != nil {
		return nil, usage("-numbers: %s: %v", name, err)
	}
	return numbers, nil
}
