package refund

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// A Day is a day by Beijing's calendar, as bills have it: 2006-01-02.
type Day string

// DayOf is the day on which a moment lies.
func DayOf(t time.Time) Day { return Day(t.In(china()).Format(time.DateOnly)) }

// ParseDay reads a day that a person or an upstream wrote; the error has [CodeInvalid].
func ParseDay(s string) (Day, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, china())
	if err != nil || t.Year() < 2000 || t.Year() > 9999 {
		return "", invalidf("a date is written 2006-01-02: %s", printable(s, 32))
	}
	return DayOf(t), nil
}

// Start is the day's first moment, and [Day.Add] of one the first of the next.
func (d Day) Start() time.Time {
	t, err := time.ParseInLocation(time.DateOnly, string(d), china())
	if err != nil {
		panic(fmt.Sprintf("refund: %q is no day", string(d))) // it was made by DayOf or ParseDay
	}
	return t.UTC()
}

// Add is the day so many days later.
func (d Day) Add(days int) Day { return DayOf(d.Start().AddDate(0, 0, days)) }

// A BillKind is one of the bills that an upstream issues of each day.
type BillKind string

const (
	TradeBill BillKind = "trade" // the refunds that were accepted on the day
	FundsBill BillKind = "funds" // what moved in one of the merchant's accounts on the day
)

// A BillQuery names one bill.
type BillQuery struct {
	Day     Day
	Kind    BillKind
	Account string // of a FundsBill: one of [Spec.BillAccounts]
}

// ErrNoBill reports that a channel has no such bill. [Spec.Bills] says so before.
var ErrNoBill = errors.New("refund: the channel has no such bill")

// ErrBillUnreadable is within the error about a bill that came and cannot be used as it
// is: a row that cannot be read, a hash or sums that are not the file's. The message says
// which, and names the line.
var ErrBillUnreadable = errors.New("refund: the bill cannot be read")

// A Bill is one bill, as it was issued. Whoever returns one has read it once to its end:
// every row can be read, its hash is the one that was told, and its own sums are those of
// its rows. Close it.
type Bill struct {
	Query BillQuery
	Empty bool   // the upstream has issued none, since nothing happened on that day
	Hash  string // of the file as it was issued, unpacked: "sha1:" and hexadecimal; "" if Empty
	Rows  int64  // all of them, those about no refund too

	// Refunds are a TradeBill's rows about refunds, Movements a FundsBill's about refunds
	// and their closures. Both may be gone through again, from the beginning.
	Refunds   iter.Seq2[BillRow, error]
	Movements iter.Seq2[Movement, error]

	Close func() error // nil: there is nothing to close
}

// A BillRow is a refund as the bill of its day of acceptance shows it: that it exists, and
// its amount. Its status is one of the moment at which the bill was issued, and is never
// updated. Of the order's total it says nothing.
type BillRow struct {
	Line          int64 // of the file, from 1
	MchID         string
	SubMchID      string // "": none, or not said
	AppID         string
	TransactionID string
	OutTradeNo    string
	RefundID      string
	OutRefundNo   string
	AcceptedAt    time.Time // zero: not said
	Amount        int64     // that was asked for, minor units
	Refunded      int64     // of it, what left the merchant: less what coupons bore, minor units
	Currency      string
	Status        Status // "": a word that nobody has documented
}

// A Movement is money that a refund moved in one of the merchant's accounts.
type Movement struct {
	Line     int64 // of the file, from 1
	At       time.Time
	RefundID string
	FlowID   string // of the movement itself
	Closure  bool   // money that came back, since the refund was closed
	Amount   int64  // minor units, never negative
	By       string // who asked for it: "system" by the API, else a login of the merchant platform
	Reason   string
}
