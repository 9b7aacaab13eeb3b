package refund

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// BillState says how the books of one day stand.
type BillState string

const (
	BillUnread      BillState = "unread"      // nobody has read the day's bill
	BillReading     BillState = "reading"     // a run of the reconciler is at it
	BillAgrees      BillState = "agrees"      // every refund of either side is the other's too
	BillWaiting     BillState = "waiting"     // what is missing may be in the next day's bill
	BillDiffers     BillState = "differs"     // a person should look
	BillUnreadable  BillState = "unreadable"  // the bill cannot be used as it is; nothing of it was applied
	BillUnavailable BillState = "unavailable" // the upstream refuses it, or has not issued it
)

// A BillReport is the result of holding one day's bill against the ledger.
type BillReport struct {
	Date     Day       `json:"date"`
	State    BillState `json:"state"`
	Why      string    `json:"why,omitempty"` // of a state that is no result
	Currency string    `json:"currency,omitempty"`

	Equal      int64 `json:"equal"`
	Differs    int64 `json:"differs"`
	OursOnly   int64 `json:"ours_only"`
	TheirsOnly int64 `json:"theirs_only"` // taken over
	ToAsk      int64 `json:"to_ask"`      // of all of them, those whose state the upstream is asked about
	Silent     int64 `json:"silent"`      // of TheirsOnly, those that subscribers are not told of
	Skipped    int64 `json:"skipped"`     // another sub-merchant's

	Fen   BillFen      `json:"fen"` // minor units of Currency
	Funds *FundsReport `json:"funds,omitempty"`
	Other []BillReport `json:"other,omitempty"` // what else the day has in other currencies: counts and fen alone

	Hash   string    `json:"hash,omitempty"` // of the bill, as [Bill] has it
	Rows   int64     `json:"rows"`
	File   bool      `json:"file,omitempty"` // a person brought it
	ReadAt time.Time `json:"read_at,omitzero"`
	By     string    `json:"by,omitempty"` // who had it read, an openid masked; "": the reconciler

	Findings    []BillFinding    `json:"findings,omitempty"`    // what is not equal, the first of them
	Corrections []BillCorrection `json:"corrections,omitempty"` // what was reported before, oldest first

	taken int64 // refunds that the ledger did not know before this reading of the bill
}

// A BillFen is money of one day's report, in minor units.
type BillFen struct {
	Bill       int64 `json:"bill"`   // of all its rows that are the merchant's
	Ledger     int64 `json:"ledger"` // of what the ledger holds of that day, after the bill was read
	Equal      int64 `json:"equal"`
	Differs    int64 `json:"differs"` // as the bill has it
	OursOnly   int64 `json:"ours_only"`
	TheirsOnly int64 `json:"theirs_only"`
	ToAsk      int64 `json:"to_ask"`
	Skipped    int64 `json:"skipped"`
}

// A FundsReport says whether what left the merchant is what the day's refunds say.
type FundsReport struct {
	State   BillState `json:"state"`
	Why     string    `json:"why,omitempty"`
	Proved  int64     `json:"proved"`   // refunds whose money moved as their rows say
	Missing int64     `json:"missing"`  // those whose money has not moved, by the next day either
	Differs int64     `json:"differs"`  // those whose money was another amount
	Unknown int64     `json:"unknown"`  // movements of refunds that nobody knows
	Closed  int64     `json:"closed"`   // closures, whose money came back
	ByHand  int64     `json:"by_hand"`  // movements that somebody asked for on the merchant platform
	OutFen  int64     `json:"out_fen"`  // left, of the day's refunds
	BackFen int64     `json:"back_fen"` // came back on that day
}

// A BillFinding is one thing in a day's report that is not equal.
type BillFinding struct {
	What        string `json:"what"` // differs, ours_only, theirs_only, to_ask, or funds_ and what a FundsReport counts
	OutRefundNo string `json:"out_refund_no,omitempty"`
	RefundID    string `json:"refund_id,omitempty"`
	Order       string `json:"order,omitempty"`
	Line        int64  `json:"line,omitempty"`   // of the bill
	Bill        int64  `json:"bill,omitempty"`   // minor units
	Ledger      int64  `json:"ledger,omitempty"` // minor units
	Says        string `json:"says,omitempty"`
}

// A BillCorrection is a report that a later one has replaced.
type BillCorrection struct {
	At     time.Time  `json:"at"`
	Why    string     `json:"why"`
	By     string     `json:"by,omitempty"`
	Before BillReport `json:"before"`
}

const (
	// maxBillFindings bounds how many findings a report holds: its counts say how many
	// there are.
	maxBillFindings = 50
	// maxBillCorrections bounds the reports that are kept of what was reported before: the
	// first of all, and the newest.
	maxBillCorrections = 31
	// maxCorrectionsSize bounds them in bytes, where a day has many currencies.
	maxCorrectionsSize = 128 << 10
)

// find notes a thing that is not equal.
func (r *BillReport) find(f BillFinding) {
	if len(r.Findings) < maxBillFindings {
		r.Findings = append(r.Findings, f)
	}
}

// in is the part of the report about refunds in a currency. Where none is said, it is the
// report's own. It is good until the next call.
func (r *BillReport) in(currency string) *BillReport {
	if r.Currency == "" {
		r.Currency = currency
	}
	if currency == "" || r.Currency == currency {
		return r
	}
	i := slices.IndexFunc(r.Other, func(o BillReport) bool { return o.Currency == currency })
	if i < 0 {
		i = len(r.Other)
		r.Other = append(r.Other, BillReport{Date: r.Date, Currency: currency})
	}
	return &r.Other[i]
}

// refunds is how many refunds the report counts in its own currency.
func (r *BillReport) refunds() int64 { return r.Equal + r.Differs + r.OursOnly + r.TheirsOnly }

// Unequal is how many refunds of the report's own currency are not equal, and how many of
// them are among its findings.
func (r BillReport) Unequal() (all, found int64) {
	for _, f := range r.Findings {
		if f.What == rowDiffers || f.What == rowOursOnly || f.What == rowTheirsOnly {
			found++
		}
	}
	return r.Differs + r.OursOnly + r.TheirsOnly, found
}

// lead makes the currency in which there are most refunds the report's own.
func (r *BillReport) lead() {
	defer func() {
		slices.SortFunc(r.Other, func(a, b BillReport) int { return cmp.Compare(a.Currency, b.Currency) })
	}()
	most := -1
	for i := range r.Other {
		if o := &r.Other[i]; o.refunds() > r.refunds() && (most < 0 || o.refunds() > r.Other[most].refunds()) {
			most = i
		}
	}
	if most < 0 {
		return
	}
	o := &r.Other[most]
	r.Currency, o.Currency = o.Currency, r.Currency
	r.Fen, o.Fen = o.Fen, r.Fen
	for _, n := range []struct{ a, b *int64 }{
		{&r.Equal, &o.Equal}, {&r.Differs, &o.Differs}, {&r.OursOnly, &o.OursOnly}, {&r.TheirsOnly, &o.TheirsOnly},
		{&r.ToAsk, &o.ToAsk}, {&r.Silent, &o.Silent}, {&r.Skipped, &o.Skipped},
	} {
		*n.a, *n.b = *n.b, *n.a
	}
}

// sum counts over all currencies.
func (r *BillReport) sum(count func(*BillReport) int64) int64 {
	n := count(r)
	for i := range r.Other {
		n += count(&r.Other[i])
	}
	return n
}

// clone is a copy that shares nothing with r but corrections.
func (r *BillReport) clone() BillReport {
	c := *r
	c.Findings, c.Other = slices.Clone(r.Findings), slices.Clone(r.Other)
	if r.Funds != nil {
		funds := *r.Funds
		c.Funds = &funds
	}
	return c
}

// result reports whether the state is what came of reading a bill.
func (s BillState) result() bool {
	return s == BillAgrees || s == BillWaiting || s == BillDiffers
}

// correct puts a report in the place of an earlier one, and says why. An earlier one that
// was no result is no loss.
func (r *BillReport) correct(before BillReport, why string) {
	r.Corrections = slices.Clone(before.Corrections)
	before.Corrections, before.Findings = nil, nil // counts and fen are what was reported; findings would outgrow an item
	if !before.State.result() || r.By == "" && r.says(before) {
		return
	}
	r.Corrections = append(r.Corrections, BillCorrection{At: r.ReadAt, Why: why, By: r.By, Before: before})
	for n := len(r.Corrections); n > maxBillCorrections || n > 2 && size(r.Corrections) > maxCorrectionsSize; n-- {
		r.Corrections = slices.Delete(r.Corrections, 1, 2)
	}
}

// says reports whether another report, without what is beside its result, says the same.
func (r BillReport) says(other BillReport) bool {
	r.Findings, r.Corrections, r.ReadAt, other.ReadAt = nil, nil, time.Time{}, time.Time{}
	return bytes.Equal(encode(r), encode(other))
}

// incoherent says what in a report cannot be; "": nothing.
func (r *BillReport) incoherent(day Day) string {
	switch {
	case r.Date != day:
		return "it is of " + string(r.Date)
	case !slices.Contains([]BillState{BillUnread, BillReading, BillAgrees, BillWaiting, BillDiffers, BillUnreadable, BillUnavailable}, r.State):
		return "there is no state " + string(r.State)
	}
	for _, part := range append(slices.Clone(r.Other), *r) {
		f := part.Fen
		if min(part.Equal, part.Differs, part.OursOnly, part.TheirsOnly, part.ToAsk, part.Silent, part.Skipped, part.Rows,
			f.Bill, f.Ledger, f.Equal, f.Differs, f.OursOnly, f.TheirsOnly, f.ToAsk, f.Skipped) < 0 {
			return "it counts less than nothing"
		}
	}
	return ""
}

// Elsewhere reports whether the row is of another merchant's bill than m's. The bill that a
// sub-merchant has downloaded itself has its own number; where nobody has said the
// provider's, a row that names a sub-merchant is one of the provider's.
func (row BillRow) Elsewhere(m Merchant) bool {
	if row.MchID == "" || row.MchID == m.MchID || row.MchID == m.SubMchID {
		return false
	}
	return m.MchID != "" || row.SubMchID == ""
}

// anothers reports whether the row is about another sub-merchant of the provider's than m.
func (row BillRow) anothers(m Merchant) bool {
	return m.SubMchID != "" && row.SubMchID != "" && row.SubMchID != m.SubMchID
}
