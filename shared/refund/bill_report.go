package refund

import (
	"context"
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
	By     string    `json:"by,omitempty"` // who had it read, in full; "": the reconciler

	Findings    []BillFinding    `json:"findings,omitempty"`    // what is not equal, the first of them
	Corrections []BillCorrection `json:"corrections,omitempty"` // what was reported before, oldest first
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

// BillInput says which day's bill is read at once, whatever the hour. Caller is required.
type BillInput struct {
	Caller Caller
	Day    Day
	File   *Bill  // what a person has downloaded; nil: the upstream is asked
	Why    string // why a day is read anew, for its report
}

// ReadBill holds one day's bill against the ledger now, takes over what the ledger lacks,
// and keeps the report. A report that was there becomes a correction of the new one.
func (s *Service) ReadBill(ctx context.Context, in BillInput) (BillReport, error) {
	return BillReport{}, unavailable("bills are not read yet", nil)
}

// BillReports are the reports of the days from since on, the newest first, one for each
// day: those that nobody has read are [BillUnread].
func (s *Service) BillReports(ctx context.Context, since, until Day) ([]BillReport, error) {
	return nil, unavailable("bills are not read yet", nil)
}
