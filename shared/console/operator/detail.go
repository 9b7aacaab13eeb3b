package operator

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// maxNumber is the greatest length of a refund's number, in bytes.
const maxNumber = 64

// errNoRefund is for a number that no refund on record has.
func errNoRefund() error {
	return &console.Refusal{Status: http.StatusNotFound, Text: "no refund of this number is on record"}
}

// A detail is one refund with all that the ledger has of it. Personal data is masked.
type detail struct {
	row
	Reason      string      `json:"reason"`
	Application string      `json:"application_id"` // that decided it; "": none did
	Account     string      `json:"user_received_account"`
	SuccessTime string      `json:"success_time"`
	Refusal     string      `json:"refusal"`
	NumberTaken bool        `json:"number_taken"`
	Silent      bool        `json:"silent"`      // subscribers are not told of it
	Waits       string      `json:"waits_until"` // for the merchant's balance; "": it does not
	Alarms      []openAlarm `json:"alarms"`
	Pending     []delivery  `json:"pending"`
	Timeline    []line      `json:"timeline"` // the oldest first
	Order       *order      `json:"order"`
	Siblings    []row       `json:"siblings"`
	Subscribers []string    `json:"subscribers"`
	Can         []string    `json:"can"` // what an operator may do about it
}

// A delivery is an event that a subscriber has not acknowledged.
type delivery struct {
	To       string `json:"to"`
	Since    string `json:"since"`
	Attempts int    `json:"attempts"`
	Next     string `json:"next"` // "": at once
	GivenUp  bool   `json:"given_up"`
	Why      string `json:"why"`
}

// A line is one of a refund's history.
type line struct {
	At     string `json:"at"`
	What   string `json:"what"`
	Detail string `json:"detail"`
	By     string `json:"by,omitempty"` // masked
	at     time.Time
}

// inspect reads one refund. Nothing that leaves here is personal.
func (c *Console) inspect(ctx context.Context, no string) (refund.Inspection, error) {
	if no == "" || len(no) > maxNumber {
		return refund.Inspection{}, errNoRefund()
	}
	all, err := c.cfg.Refunds.Inspect(ctx, no)
	if err != nil {
		return refund.Inspection{}, err
	}
	if all[0].State == "" {
		return refund.Inspection{}, errNoRefund()
	}
	return all[0].Masked(), nil
}

func (c *Console) getRefund(r *http.Request, _ []byte) (any, error) {
	in, err := c.inspect(r.Context(), r.PathValue("no"))
	if err != nil {
		return nil, err
	}
	d := detail{
		row: rowOf(in), Reason: in.Request.Reason, Application: in.Application, Account: in.Refund.UserReceivedAccount, SuccessTime: in.Refund.SuccessTime,
		NumberTaken: in.NumberTaken, Silent: in.Silent, Waits: stamp(in.WaitingUntil), Alarms: []openAlarm{}, Pending: []delivery{},
		Timeline: timeline(in), Siblings: []row{}, Subscribers: []string{},
	}
	if e := in.Refusal; e != nil {
		d.Refusal = strings.TrimPrefix(e.Upstream+": "+e.Message, ": ")
	}
	for _, cause := range in.Causes {
		d.Alarms = append(d.Alarms, alarmOf(in, cause))
	}
	for _, o := range in.Pending {
		d.Pending = append(d.Pending, delivery{o.To, stamp(o.Since), o.Attempts, stamp(o.Next), o.GivenUp, o.Why})
	}
	for _, s := range c.cfg.Refunds.Subscribers {
		d.Subscribers = append(d.Subscribers, s.Name)
	}
	d.Can = c.can(in)
	o, err := c.orderOf(r.Context(), cmp.Or(in.Refund.TransactionID, in.Refund.OutTradeNo))
	if err != nil {
		return nil, err
	}
	if len(o.Refunds) > 0 {
		d.Siblings = append(d.Siblings, o.siblings(in.OutRefundNo)...)
		o.Refunds = nil
		d.Order = &o
	}
	return d, nil
}

// can is what an operator may do about a refund, in the order in which it is offered.
func (c *Console) can(in refund.Inspection) []string {
	can := []string{}
	if !c.cfg.Act {
		return can
	}
	if !in.State.Final() {
		can = append(can, "query")
	}
	if in.State == refund.Claimed && (in.InDoubt && !in.Withdrawn || in.WaitingFunds) {
		can = append(can, "cancel")
	}
	if in.InDoubt {
		can = append(can, "release")
	}
	told := in.State.Final() || in.State == refund.Abnormal
	if len(c.cfg.Refunds.Subscribers) > 0 && (told || len(in.Pending) > 0) {
		can = append(can, "redeliver")
	}
	return can
}

// timeline is the history of a refund, with what its subscribers have not acknowledged
// where that came: it goes when it is delivered, and the history has a line for that.
func timeline(in refund.Inspection) []line {
	lines := []line{}
	for _, e := range in.History {
		lines = append(lines, line{What: e.What, Detail: cmp.Or(e.Note, string(e.Source)), By: e.By, at: e.At})
	}
	for _, o := range in.Pending {
		what, detail := "owed", o.To
		if o.Attempts > 0 && o.Why != "" {
			what, detail = "undelivered", o.To+": "+o.Why
		}
		if o.GivenUp {
			what = "given_up"
		}
		lines = append(lines, line{What: what, Detail: detail, at: o.Since})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	for i := range lines {
		lines[i].At = stamp(lines[i].at)
	}
	return lines
}

// A record is what one side has of a refund, in minor units.
type record struct {
	State   string `json:"state"`
	Held    int64  `json:"held"`
	Arrived int64  `json:"arrived"`
}

// A both is the two sides of a refund, and how far they are apart.
type both struct {
	Ours    record  `json:"ours"`
	WeChat  *record `json:"wechat"` // null: WeChat Pay does not know it
	Held    int64   `json:"difference_held"`
	Arrived int64   `json:"difference_arrived"`
}

// getUpstream asks WeChat Pay about a refund and lays its word beside the ledger's. Nothing
// is written.
func (c *Console) getUpstream(r *http.Request, _ []byte) (any, error) {
	in, err := c.inspect(r.Context(), r.PathValue("no"))
	if err != nil {
		return nil, err
	}
	ours := rowOf(in)
	out := both{Ours: record{ours.State, ours.Held, ours.Arrived}}
	page, err := c.cfg.Refunds.Channel.Query(r.Context(), refund.Lookup{OutRefundNo: in.OutRefundNo})
	switch {
	case refund.IsCode(err, refund.CodeNotFound):
	case err != nil:
		return nil, refund.AsError(err)
	case len(page.Refunds) != 1:
		return nil, &console.Refusal{Status: http.StatusServiceUnavailable, Text: "WeChat Pay's answer is not about this refund"}
	default:
		out.WeChat = recordOf(page.Refunds[0])
	}
	var theirs record
	if out.WeChat != nil {
		theirs = *out.WeChat
	}
	out.Held, out.Arrived = out.Ours.Held-theirs.Held, out.Ours.Arrived-theirs.Arrived
	return out, nil
}

// recordOf is what WeChat Pay has of a refund.
func recordOf(r refund.Refund) *record {
	out := &record{State: string(r.Status), Held: r.Amount.Refund}
	switch r.Status {
	case refund.StatusClosed:
		out.Held = 0
	case refund.StatusSuccess:
		out.Arrived = r.Amount.Refund
	}
	return out
}
