// Package bill writes WeChat Pay's daily bills as it issues them: of trade, and of what
// moved in an account. What is in them the world's books say; here is how it is written,
// for every system that issues bills, and who is refused one.
//
// A file is written row by row each time that it is wanted, once for its hash and once for
// whoever downloads it: the books of a day do not change any more.
package bill

import (
	"compress/gzip"
	"crypto/sha1" // #nosec G505 -- the documents' hash
	"encoding/hex"
	"io"
	"regexp"
	"slices"
	"time"

	"wxrefund/shared/sandbox/world"
)

// Types of a trade bill. The third is one that nobody here has anything in.
const (
	All      = "ALL"
	Success  = "SUCCESS"
	Refund   = "REFUND"
	Recharge = "RECHARGE_REFUND"
)

// Layouts of a trade bill.
const (
	Domestic = iota
	Abroad   // of WeChat Pay Global, with currencies
)

// A Query says which bill is wanted.
type Query struct {
	Day      time.Time // its first moment, by [Day]
	Account  string    // of a bill of an account: which; empty: the bill is of trade
	Type     string    // of a trade bill; empty: ALL
	SubMchID string    // whose rows; empty: all that the merchant has, for itself and for others
	Layout   int       // of a trade bill
	Flaw     string    // the fault that it suffers, see [world.BillFaults]
}

// A File is a bill that has been issued.
type File struct {
	query Query
	books *world.Books
	size  int64
	hash  string
}

// formDate is that of dates with and without dashes.
var formDate = regexp.MustCompile(`^\d{4}-?\d{2}-?\d{2}$`)

// Day reads a date in one of the two ways in which systems write them.
func Day(s, layout string) (time.Time, bool) {
	t, err := time.ParseInLocation(layout, s, world.China)
	return t, err == nil && formDate.MatchString(s)
}

// Check refuses a day of which there is no bill, or none yet.
func Check(w *world.World, day time.Time) *world.Refusal {
	now := w.Now()
	today := world.Midnight(now)
	switch {
	case !day.Before(today):
		return world.Refuse(world.CodeInvalid).Say("账单日期不能为当天或未来日期")
	case day.Before(today.AddDate(0, -3, 0)):
		return world.Refuse(world.CodeInvalid).Say("仅支持下载三个月以内的账单")
	case now.Before(day.AddDate(0, 0, 1).Add(world.IssueHour)):
		return world.Refuse(world.CodeBillLater)
	}
	return nil
}

// Issue returns the bill that is wanted, or why there is none.
func Issue(w *world.World, q Query) (*File, *world.Refusal) {
	if q.Type == "" {
		q.Type = All
	}
	switch q.Flaw {
	case "no_auth":
		return nil, world.Refuse(world.CodeNoAuth).Say("商户号没有账单权限")
	case "creating":
		return nil, world.Refuse(world.CodeBillLater)
	}
	if no := Check(w, q.Day); no != nil {
		return nil, no
	}
	f := &File{query: q, books: w.Books(q.Day)}
	sum := sha1.New() //nolint:gosec // the protocol's
	var size counter
	rows, err := f.rows(io.MultiWriter(sum, &size))
	switch {
	case err != nil: // neither of the two fails
		return nil, world.Refuse(world.CodeSystem)
	case rows == 0, q.Flaw == "empty_day":
		return nil, world.Refuse(world.CodeNoBill)
	}
	f.size, f.hash = int64(size), hex.EncodeToString(sum.Sum(nil))
	return f, nil
}

// Hash is the SHA-1 of the file, unpacked, as WeChat Pay tells it.
func (f *File) Hash() string {
	if f.query.Flaw == "wrong_hash" {
		sum := sha1.Sum([]byte(f.hash)) //nolint:gosec // the protocol's
		return hex.EncodeToString(sum[:])
	}
	return f.hash
}

// Write writes the file, packed with gzip or not.
func (f *File) Write(out io.Writer, packed bool) error {
	if f.query.Flaw == "cut_off" {
		size := counter(f.size)
		if packed {
			size = 0
			if err := f.write(&size, true); err != nil {
				return err
			}
		}
		out = &cut{out, int64(size) / 2}
	}
	return f.write(out, packed)
}

func (f *File) write(out io.Writer, packed bool) error {
	if !packed {
		_, err := f.rows(out)
		return err
	}
	z := gzip.NewWriter(out)
	if _, err := f.rows(z); err != nil {
		return err
	}
	return z.Close()
}

// A counter counts bytes.
type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// A cut lets so many bytes through and swallows the others.
type cut struct {
	out  io.Writer
	left int64
}

func (c *cut) Write(b []byte) (int, error) {
	n := min(int64(len(b)), c.left)
	c.left -= n
	if n > 0 {
		if _, err := c.out.Write(b[:n]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// rows writes the file and returns how many rows it has.
func (f *File) rows(out io.Writer) (int, error) {
	if f.query.Account != "" {
		return writeMovements(out, f.books.Movements(f.query.Account), f.query.Flaw)
	}
	return writeTrades(out, f.trades(), f.layout(), f.query.Flaw)
}

// trades are the rows that are wanted.
func (f *File) trades() func(func(world.Trade) bool) {
	q := f.query
	return func(yield func(world.Trade) bool) {
		for t := range f.books.Trades() {
			payment := t.Refund == nil
			if q.SubMchID != "" && t.SubMchID != q.SubMchID || q.Type == Recharge ||
				q.Type == Success && !payment || q.Type == Refund && payment {
				continue
			}
			if !yield(t) {
				return
			}
		}
	}
}

// layout is the table of columns that the file has.
func (f *File) layout() layout {
	l := all()
	switch {
	case f.query.Layout == Abroad:
		l = abroad()
	case f.query.Flaw == "old_layout":
		l = old()
	}
	switch f.query.Type {
	case Refund:
		l.columns = slices.Insert(l.columns, slices.IndexFunc(l.columns, func(c column) bool { return c.heading == hRefundID }), refundTimes()...)
		l.refund = true
	case Success:
		l.columns = slices.DeleteFunc(l.columns, func(c column) bool { return c.refund })
		l.sums = slices.DeleteFunc(l.sums, func(s total) bool { return s.refund })
	}
	return l
}
