package world

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// IssueHour is when on the next day a day's bill is issued.
const IssueHour = 10 * time.Hour

// Midnight is the first moment of a time's day in China.
func Midnight(t time.Time) time.Time {
	y, m, d := t.In(China).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, China)
}

// Books are what WeChat Pay has written down of one day, as it stood when the day's bill
// was issued. Whoever opens them later finds the same, whatever has happened since: nothing
// of it is kept but what happened, and when.
type Books struct {
	world               *World
	from, until, issued time.Time
}

// Books opens those of the day that begins at midnight. They are final from the hour on at
// which the bill is issued.
func (w *World) Books(midnight time.Time) *Books {
	next := midnight.AddDate(0, 0, 1)
	return &Books{w, midnight, next, next.Add(IssueHour)}
}

// A Trade is a row of a day's books: a payment, or a refund on the day of its acceptance.
type Trade struct {
	At       time.Time
	Order    Order
	Refund   *Refund // as it stood when the bill was issued; nil: the row is about the payment
	SubMchID string  // on whose behalf
}

// A tradeEntry is where a row comes from.
type tradeEntry struct {
	at     time.Time
	order  *order
	refund *refund
	other  *Trade // of a merchant that is not in this world
}

// Trades yields the rows of the day by their time. A payment counts on the day on which it
// is said to have been made; one that is told of after the bill was issued is in none.
func (b *Books) Trades() iter.Seq[Trade] {
	return func(yield func(Trade) bool) {
		for _, e := range b.tradeEntries() {
			if !yield(b.trade(e)) {
				return
			}
		}
	}
}

func (b *Books) tradeEntries() (out []tradeEntry) {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.orders[index(w.orders, func(o *order) time.Time { return o.paid }, b.from):] {
		if !o.paid.Before(b.issued) {
			break
		}
		if b.holds(o.success) && o.state == TradeSuccess {
			out = append(out, tradeEntry{at: o.success, order: o})
		}
	}
	for _, r := range w.accepted[index(w.accepted, func(r *refund) time.Time { return r.created }, b.from):] {
		if !r.created.Before(b.until) {
			break
		}
		out = append(out, tradeEntry{at: r.created, order: r.order, refund: r})
	}
	if slices.ContainsFunc(out, func(e tradeEntry) bool { return b.sub(e.order, e.refund) != "" }) {
		out = append(out, b.others()...)
	}
	slices.SortStableFunc(out, func(x, y tradeEntry) int { return x.at.Compare(y.at) })
	return out
}

// index is the first of things that are in the order of their times that is not before one.
func index[T any](things []T, at func(T) time.Time, t time.Time) int {
	i, _ := slices.BinarySearchFunc(things, t, func(x T, t time.Time) int {
		return cmp.Or(at(x).Compare(t), 1) // of several at that time, the first
	})
	return i
}

func (b *Books) holds(t time.Time) bool { return !t.Before(b.from) && t.Before(b.until) }

func (b *Books) trade(e tradeEntry) Trade {
	if e.other != nil {
		return *e.other
	}
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	out := Trade{At: e.at, Order: e.order.snapshot(), SubMchID: b.sub(e.order, e.refund)}
	if e.refund != nil {
		r := e.refund.at(b.issued)
		out.Refund = &r
	}
	return out
}

// sub is on whose behalf an order was paid or refunded, as far as was known when the bill
// was issued. w.mu is held.
func (b *Books) sub(o *order, r *refund) string {
	switch {
	case o == nil:
		return ""
	case r != nil && (r.subMchID != "" || !r.byHand):
		return r.subMchID
	case o.owned && o.seen.Before(b.issued):
		return o.subMchID
	}
	return ""
}

// at is the refund as it stood at a time. w.mu is held.
func (r *refund) at(t time.Time) Refund {
	out := r.snapshot()
	out.Status, out.Succeeded, out.SuccessTime = StatusProcessing, time.Time{}, ""
	for _, c := range r.past {
		if !c.At.Before(t) {
			break
		}
		if out.Status = c.Status; c.Status == StatusSuccess {
			out.Succeeded, out.SuccessTime = c.At, Stamp(c.At)
		}
	}
	return out
}

// others are merchants that the service provider serves beside the one that is played here.
var others = []string{"1900000110", "1900000111"}

// others are rows of theirs, which a provider's bill of all its merchants has. The seed
// makes them up; nothing else here knows of them.
func (b *Books) others() (out []tradeEntry) {
	day := b.from.Format("20060102")
	for _, mchID := range others {
		draw := b.world.rand.draw("other merchant", mchID, day)
		total := 100 + draw.Int64N(100000)
		paid := b.from.Add(time.Duration(draw.IntN(20*3600)) * time.Second)
		number := b.world.rand.digits(8, "other number", mchID, day)
		o := Order{
			OutTradeNo: "X" + day + number, TransactionID: "42000" + number[:5] + day + "9" + mchID[1:],
			SubMchID: mchID, Owned: true, Total: total, Settlement: total, Cash: total, Currency: "CNY",
			OpenID: "o" + b.world.rand.text(27, alphanumeric, "other openid", mchID, day), SuccessTime: Stamp(paid),
		}
		out = append(out, tradeEntry{at: paid, other: &Trade{At: paid, Order: o, SubMchID: mchID}})
		for i := range 1 + draw.IntN(2) {
			part := max(1, total/3)
			created := paid.Add(time.Duration(i+1) * time.Hour)
			r := Refund{
				RefundID: "503" + number + day + "9" + mchID[2:] + string(rune('0'+i)), OutRefundNo: "XR" + day + number + string(rune('0'+i)),
				TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo, Channel: "ORIGINAL", Status: StatusSuccess,
				Amount: RefundAmount{Total: total, Refund: part, PayerRefund: part, SettlementRefund: part, Currency: "CNY"},
				Order:  o, SubMchID: mchID, Cash: part, Created: created, Succeeded: created.Add(time.Minute),
			}
			out = append(out, tradeEntry{at: created, other: &Trade{At: created, Order: o, Refund: &r, SubMchID: mchID}})
		}
	}
	return out
}

// oneLine writes a text as bills have those that people wrote: line breaks are escaped.
func oneLine(s string) string { return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s) }
