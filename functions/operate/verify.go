package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"wxrefund/shared/refund"
)

func verifyCommand() command {
	return command{
		name:     "verify",
		synopsis: "Hold the whole ledger against what must be true of it",
		more: "Every order account equals its refunds, every number leads home, nothing is reserved above an order's total,\n" +
			"nothing is due too late or never, every item can be read and is listed where it belongs. It changes nothing,\n" +
			"asks nobody, and may run while the ledger is in use, or on a copy of it.\n",
		example: "verify",
		setup:   plain(verify),
		limit:   -1,
	}
}

// A verified is what verify prints. The findings are bounded, the counts are not.
type verified struct {
	refund.Verification
	Found   []refund.Finding `json:"found"`
	Seconds float64          `json:"seconds"`
}

// maxFound bounds how many findings are kept in memory for one JSON object.
const maxFound = 10_000

func verify(ctx context.Context, p *program, _ []string) error {
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	start, last := time.Now(), time.Now()
	out := verified{Found: []refund.Finding{}}
	out.Verification, err = refunds.Verify(ctx, refund.VerifyInput{
		Found: func(f refund.Finding) {
			if !p.json { // as they come
				fmt.Fprintf(p.stdout, "%s  %s  %s\n", f.Code, cell(string(f.Item)), cell(f.Says))
			} else if len(out.Found) < maxFound {
				out.Found = append(out.Found, f)
			}
		},
		Progress: func(done int64) {
			if time.Since(last) >= progressEvery {
				last = time.Now()
				fmt.Fprintf(p.stderr, "operate: %s verified\n", counted(done, "item", "items"))
			}
		},
	})
	if err != nil {
		return err
	}
	out.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	p.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s on %s, in %.1f s. Looked at twice: %d.\n", counted(out.Items, "item", "items"), counted(out.Refunds, "refund", "refunds"), counted(out.Orders, "order", "orders"), out.Seconds, out.Suspicions)
		if out.Unlisted > 0 {
			fmt.Fprintf(w, "Not listed yet: %s of an earlier version. reconcile does that.\n", counted(out.Unlisted, "refund", "refunds"))
		}
		if out.Findings == 0 {
			fmt.Fprintln(w, "Nothing is wrong.")
		}
	})
	if o, err := refund.ReadOwnership(ctx, refunds.Ledger); err == nil && o.Closed != nil && o.Closed.Why == refund.ClosedAsCopy && o.Closed.Whole.IsZero() {
		return finding("%s: this ledger is a copy that is not complete yet; run operate copy again, which goes on, and then this", counted(out.Findings, "finding", "findings"))
	}
	if out.Findings > 0 {
		return finding("%s: the handbook says what each code means", counted(out.Findings, "finding", "findings"))
	}
	return nil
}
