package operator

import (
	"context"
	"iter"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// stateOpen stands for the states in which the money is neither with the user nor free again.
const stateOpen = "open"

// filterOf reads which refunds are asked for.
func filterOf(p *console.Params) refund.Filter {
	f := refund.Filter{
		Query: p.Text("q"), Order: p.Text("order"), Since: p.Moment("since", false),
		MinFen: p.Number("min", 0, math.MaxInt64, 0), MaxFen: p.Number("max", 0, math.MaxInt64, 0),
		InDoubt: p.True("doubt"), Undelivered: p.True("undelivered"), Attention: p.True("attention"),
	}
	if until := p.Moment("until", true); !until.IsZero() {
		f.Until = until.Add(1) // the filter's end is not within it
	}
	for _, name := range p.Among("state", stateOpen, "claimed", "processing", "abnormal", "success", "closed", "rejected") {
		if name == stateOpen {
			f.States = append(f.States, refund.Claimed, refund.Processing, refund.Abnormal)
		} else {
			f.States = append(f.States, refund.State(name))
		}
	}
	return f
}

// A row is one refund in a list. Amounts are in the currency's minor unit.
type row struct {
	OutRefundNo   string `json:"out_refund_no"`
	RefundID      string `json:"refund_id"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Refund        int64  `json:"refund"`
	Total         int64  `json:"total"` // of the order; 0: not known
	Currency      string `json:"currency"`
	At            string `json:"at"` // when it was claimed, or first known
	State         string `json:"state"`
	InDoubt       bool   `json:"in_doubt"`
	Attention     bool   `json:"attention"` // a person should look at it
	Waiting       bool   `json:"waiting"`   // for the merchant's balance
	Undelivered   bool   `json:"undelivered"`
	External      bool   `json:"external"` // not made here
	Held          int64  `json:"held"`     // takes up that much of the order
	Arrived       int64  `json:"arrived"`  // of which that much has gone back to the user
}

func rowOf(in refund.Inspection) row {
	r := row{
		OutRefundNo: in.OutRefundNo, RefundID: in.Refund.RefundID, OutTradeNo: in.Refund.OutTradeNo, TransactionID: in.Refund.TransactionID,
		Refund: in.Refund.Amount.Refund, Total: in.Refund.Amount.Total, Currency: in.Refund.Amount.Currency, At: stamp(in.ClaimedAt),
		State: string(in.State), InDoubt: in.InDoubt, Attention: in.Attention, Waiting: in.WaitingFunds, Undelivered: len(in.Pending) > 0,
		External: in.External, Held: in.Held,
	}
	if in.State == refund.Success {
		r.Arrived = in.Held
	}
	return r
}

// stamp writes a time as WeChat Pay does, in China's zone; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(time.FixedZone("", 8*60*60)).Format("2006-01-02T15:04:05.000Z07:00")
}

// A listed is a page of a list of refunds.
type listed struct {
	Refunds    []row  `json:"refunds"`
	Next       string `json:"next"` // "": nothing follows
	Incomplete bool   `json:"incomplete"`
}

func (c *Console) getRefunds(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	filter, cursor, limit := filterOf(p), p.Token("cursor"), p.Limit()
	if err := p.Bad(); err != nil {
		return nil, err
	}
	page, err := c.cfg.Refunds.ListRefunds(r.Context(), filter, cursor, limit)
	if err != nil {
		return nil, err
	}
	out := listed{Refunds: []row{}, Next: page.Next, Incomplete: page.Incomplete}
	for _, in := range page.Refunds {
		out.Refunds = append(out.Refunds, rowOf(in))
	}
	return out, nil
}

// countTime bounds how long a count may take: it is shown beside the list, which does not
// wait for it.
const countTime = 10 * time.Second

// getCount counts the refunds that pass a filter; null if that takes too long.
func (c *Console) getCount(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	filter := filterOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), countTime)
	defer cancel()
	n, err := c.cfg.Refunds.CountRefunds(ctx, filter)
	if err != nil && ctx.Err() != nil {
		return map[string]any{"total": nil}, nil
	}
	return map[string]any{"total": n}, err
}

// atOnce is how many refunds are read at a time for a file, or to be counted.
const atOnce = 500

// all yields the refunds that pass a filter, page by page.
func (c *Console) all(ctx context.Context, filter refund.Filter) iter.Seq2[refund.Inspection, error] {
	return func(yield func(refund.Inspection, error) bool) {
		for cursor := ""; ; {
			page, err := c.cfg.Refunds.ListRefunds(ctx, filter, cursor, atOnce)
			if err != nil {
				yield(refund.Inspection{}, err)
				return
			}
			for _, in := range page.Refunds {
				if !yield(in, nil) {
					return
				}
			}
			if cursor = page.Next; cursor == "" {
				return
			}
		}
	}
}

// Columns are those of the file of refunds. Amounts are in the currency's major unit.
// Nothing of it is personal.
func columns() []console.Column[row] {
	truth := strconv.FormatBool
	return []console.Column[row]{
		{Name: "at", Of: func(r row) string { return r.At }},
		{Name: "out_refund_no", Of: func(r row) string { return console.Cell(r.OutRefundNo) }},
		{Name: "refund_id", Of: func(r row) string { return console.Cell(r.RefundID) }},
		{Name: "out_trade_no", Of: func(r row) string { return console.Cell(r.OutTradeNo) }},
		{Name: "transaction_id", Of: func(r row) string { return console.Cell(r.TransactionID) }},
		{Name: "currency", Of: func(r row) string { return console.Cell(r.Currency) }},
		{Name: "refund", Of: func(r row) string { return console.Decimal(r.Refund, r.Currency) }},
		{Name: "total", Of: func(r row) string { return console.Decimal(r.Total, r.Currency) }},
		{Name: "state", Of: func(r row) string { return console.Cell(r.State) }},
		{Name: "held", Of: func(r row) string { return console.Decimal(r.Held, r.Currency) }},
		{Name: "arrived", Of: func(r row) string { return console.Decimal(r.Arrived, r.Currency) }},
		{Name: "in_doubt", Of: func(r row) string { return truth(r.InDoubt) }},
		{Name: "attention", Of: func(r row) string { return truth(r.Attention) }},
		{Name: "waiting", Of: func(r row) string { return truth(r.Waiting) }},
		{Name: "undelivered", Of: func(r row) string { return truth(r.Undelivered) }},
		{Name: "external", Of: func(r row) string { return truth(r.External) }},
	}
}

func (c *Console) getRefundsCSV(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	filter := filterOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	rows := func(yield func(row, error) bool) {
		for in, err := range c.all(r.Context(), filter) {
			if !yield(rowOf(in), err) {
				return
			}
		}
	}
	return console.Table[row]{Name: "refunds.csv", Columns: columns(), Rows: rows}, nil
}

// An order is what is known of one by its refunds, the newest first. Refunded, Open and
// Remaining sum up to its total, as far as that is known.
type order struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Currency      string `json:"currency"`
	Total         int64  `json:"total"` // 0: not known
	Refunded      int64  `json:"refunded"`
	Open          int64  `json:"open"` // reserved, and not with the user yet
	Remaining     int64  `json:"remaining"`
	Refunds       []row  `json:"refunds"` // that count on it: those that were rejected do not
}

// orderOf reads an order by one of its numbers.
func (c *Console) orderOf(ctx context.Context, number string) (order, error) {
	var o order
	page, err := c.cfg.Refunds.ListRefunds(ctx, refund.Filter{Order: number}, "", atOnce)
	if err != nil || number == "" {
		return o, err
	}
	for _, in := range page.Refunds {
		r := rowOf(in)
		o.Refunds = append(o.Refunds, r)
		o.Refunded += r.Arrived
		o.Open += r.Held - r.Arrived
		o.OutTradeNo, o.TransactionID = either(o.OutTradeNo, r.OutTradeNo), either(o.TransactionID, r.TransactionID)
		o.Currency = either(o.Currency, r.Currency)
		o.Total = max(o.Total, r.Total)
	}
	o.Total = max(o.Total, o.Refunded+o.Open) // an alarm says so if it was less
	o.Remaining = o.Total - o.Refunded - o.Open
	return o, nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *Console) getOrder(r *http.Request, _ []byte) (any, error) {
	o, err := c.orderOf(r.Context(), r.PathValue("no"))
	if err == nil && len(o.Refunds) == 0 {
		return nil, &console.Refusal{Status: http.StatusNotFound, Text: "no refund of an order with this number is on record"}
	}
	return o, err
}

// siblings are the other refunds of an order.
func (o order) siblings(outRefundNo string) []row {
	return slices.DeleteFunc(slices.Clone(o.Refunds), func(r row) bool { return r.OutRefundNo == outRefundNo })
}
