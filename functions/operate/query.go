package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"wxrefund/shared/explain"
	"wxrefund/shared/refund"
)

func queryCommand() command {
	return command{
		name: "query", operands: "NO",
		synopsis: "Ask WeChat Pay about a refund, and settle what it says",
		more: "Shows both sides, and marks what differs (exit code 1). With -out-trade-no or -transaction-id instead of a\n" +
			"number: the refunds of an order, ten a page. As a query of the mini-program does, and the timer, it writes\n" +
			"into the ledger what it learns, so nothing is asked before.\n",
		example: "query refund-1",
		setup: func(f *flag.FlagSet) action {
			var l refund.Lookup
			f.StringVar(&l.OutTradeNo, "out-trade-no", "", "the order's refunds, by the shop's `number`")
			f.StringVar(&l.TransactionID, "transaction-id", "", "the order's refunds, by WeChat Pay's `number`")
			f.StringVar(&l.RefundID, "refund-id", "", "the refund with this `number` of WeChat Pay's")
			f.Var((*count)(&l.Offset), "offset", "of an order's refunds, the first that is wanted, counted from `0`")
			return func(ctx context.Context, p *program, operands []string) error { return p.query(ctx, l, operands) }
		},
	}
}

func (p *program) query(ctx context.Context, l refund.Lookup, operands []string) error {
	if len(operands) > 0 {
		l.OutRefundNo = operands[0]
	}
	given := 0
	for _, v := range []string{l.OutRefundNo, l.RefundID, l.OutTradeNo + l.TransactionID} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		return usage("query wants one of NO, -refund-id, -out-trade-no and -transaction-id")
	}
	if l.Offset != 0 && !l.ByOrder() {
		return usage("-offset goes with -out-trade-no or -transaction-id: a number has one refund")
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	if l.ByOrder() {
		return p.queryOrder(ctx, refunds, l)
	}
	got, err := refunds.QueryRefund(ctx, p.caller(), l)
	no := l.OutRefundNo
	if no == "" {
		if no = got.OutRefundNo; err != nil {
			return err
		}
	}
	all, inspectErr := refunds.Inspect(ctx, no)
	switch {
	case inspectErr != nil:
		return inspectErr
	case refund.IsCode(err, refund.CodeNotFound) && all[0].State == "":
		return unrecorded(ctx, refunds, all[0], phrasesIn(explain.English), "WeChat Pay holds no refund of this number, and neither does the ledger: %s", says(err))
	case err != nil && all[0].State == "":
		return err
	}
	d := detailOf(all[0])
	if err == nil || !refund.IsCode(err, refund.CodeInvalid) && !refund.IsCode(err, refund.CodeDenied) {
		d.Upstream = askUpstream(ctx, refunds, all[0])
	}
	p.printDetail(d, p.clock())
	if err != nil && (d.Upstream == nil || d.Upstream.releasable.IsZero()) {
		return err
	}
	return p.differs(d.Upstream, no)
}

func (p *program) queryOrder(ctx context.Context, refunds *refund.Service, l refund.Lookup) error {
	page, err := refunds.QueryOrder(ctx, p.caller(), l)
	if err != nil {
		return err
	}
	p.print(page, func(w io.Writer) {
		fmt.Fprintf(w, "OUT_REFUND_NO\tSTATUS\tAMOUNT\tREFUND_ID\n")
		for _, r := range page.Refunds {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cell(r.OutRefundNo), cell(string(r.Status)), cell(money(r.Amount.Refund, r.Amount.Currency)), cell(r.RefundID))
		}
		fmt.Fprintf(w, "\n%d of %d, from %d on\n", page.RefundCount, page.TotalRefundCount, page.Offset)
	})
	return nil
}

// An upstream is what WeChat Pay says of a refund, beside the ledger.
type upstream struct {
	Known   bool           `json:"known"`            // whether it has said anything
	Refund  *refund.Refund `json:"refund,omitempty"` // what it has
	Says    string         `json:"says,omitempty"`   // if it has not
	Differs []difference   `json:"differs"`

	silent     bool      // it has not answered
	releasable time.Time // it lacks what is in doubt here, which may be released from then on
}

// A difference is one field in which the two sides do not agree.
type difference struct {
	Field    string `json:"field"`
	Ledger   string `json:"ledger"`
	Upstream string `json:"upstream"`
}

// askUpstream asks about one refund and compares. Nothing is written.
func askUpstream(ctx context.Context, refunds *refund.Service, in refund.Inspection) *upstream {
	u := &upstream{Differs: []difference{}}
	page, err := refunds.Channel.Query(ctx, refund.Lookup{OutRefundNo: in.OutRefundNo})
	switch {
	case err == nil && len(page.Refunds) == 1:
		u.Known, u.Refund = true, &page.Refunds[0]
		u.Differs = append(u.Differs, differences(in, page.Refunds[0])...)
	case err == nil:
		u.Says = fmt.Sprintf("an answer about %d refunds", len(page.Refunds))
	default:
		u.Says, u.silent = says(refund.AsError(err)), !refund.IsCode(err, refund.CodeNotFound)
		if refund.IsCode(err, refund.CodeNotFound) {
			u.Says = "it holds no refund of this number (" + u.Says + ")"
			u.absent(in)
		}
	}
	return u
}

// absent marks that WeChat Pay lacks what the ledger counts on, and says of a claim in doubt
// what may be done.
func (u *upstream) absent(in refund.Inspection) {
	ours := string(in.State)
	switch {
	case in.State == refund.Claimed && in.InDoubt:
		ours, u.releasable = "claimed, in doubt", in.ReleasableAt
	case in.State != refund.Processing && in.State != refund.Abnormal && !in.State.Final():
		return
	}
	u.Differs = append(u.Differs, difference{"status", ours, "no such refund"})
}

// differences are the fields in which what WeChat Pay says is not what the ledger has.
// What either side leaves out is not compared.
func differences(in refund.Inspection, theirs refund.Refund) (all []difference) {
	ours := in.Refund
	compare := func(field, ledger, upstream string) {
		if ledger != upstream && ledger != "" && upstream != "" {
			all = append(all, difference{field, ledger, upstream})
		}
	}
	compare("status", statusOf(in), string(theirs.Status))
	compare("refund_id", ours.RefundID, theirs.RefundID)
	compare("out_trade_no", ours.OutTradeNo, theirs.OutTradeNo)
	compare("transaction_id", ours.TransactionID, theirs.TransactionID)
	compare("amount.refund", minor(ours.Amount.Refund), minor(theirs.Amount.Refund))
	compare("amount.total", minor(ours.Amount.Total), minor(theirs.Amount.Total))
	compare("amount.currency", ours.Amount.Currency, theirs.Amount.Currency)
	return all
}

// statusOf is the ledger's state in WeChat Pay's words; a claim and a refusal are its own.
func statusOf(in refund.Inspection) string {
	if in.NumberTaken {
		return string(in.Refund.Status)
	}
	return strings.ToUpper(string(in.State))
}

// minor is an amount that is never zero where it is said.
func minor(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// differs is the error with which a command ends that has found a difference, or has not
// found out.
func (p *program) differs(u *upstream, no string) error {
	switch {
	case u == nil:
		return nil
	case u.silent:
		return finding("%s: what WeChat Pay has is not known: %s", no, u.Says)
	case len(u.Differs) == 0:
		return nil
	}
	var fields []string
	for _, d := range u.Differs {
		fields = append(fields, fmt.Sprintf("%s is %s here and %s at WeChat Pay", d.Field, d.Ledger, d.Upstream))
	}
	if !u.releasable.IsZero() {
		return finding("WeChat Pay holds no refund of this number: %s is in doubt here alone; operate release %s ends it, %s", no, no, p.from(u.releasable))
	}
	return finding("%s: %s", no, strings.Join(fields, "; "))
}

// upstreamTable prints WeChat Pay's side, and marks what differs.
func (p *program) upstreamTable(w io.Writer, u *upstream) {
	if u == nil {
		return
	}
	fmt.Fprintf(w, "\nWeChat Pay\t%s\n", cell(u.text()))
	if !u.releasable.IsZero() {
		fmt.Fprintf(w, "what to do\twait, or end it by operate release, %s\n", p.from(u.releasable))
	}
	for _, d := range u.Differs {
		fmt.Fprintf(w, "! %s\t%s here, %s there\n", d.Field, cell(d.Ledger), cell(d.Upstream))
	}
}

func (u *upstream) text() string {
	if !u.Known {
		return u.Says
	}
	r := u.Refund
	text := fmt.Sprintf("%s, %s", r.Status, money(r.Amount.Refund, r.Amount.Currency))
	for _, part := range []struct{ name, value string }{{"refund_id", r.RefundID}, {"success_time", r.SuccessTime}} {
		if part.value != "" {
			text += ", " + part.name + " " + part.value
		}
	}
	return text
}
