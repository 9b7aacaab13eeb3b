package channel

import (
	"crypto/sha1" // #nosec G505 -- WeChat Pay's own hash of a bill
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// maxBillFile bounds, in bytes, what is kept of a bill as it came.
const maxBillFile = 1 << 30

// A spool keeps a bill in a temporary file, as it came, packed or not.
type spool struct {
	file *os.File
	size int64
}

// newSpool begins a file. Where the system lets a file be deleted while it is open, it is
// at once: nothing is left behind by a process that dies.
func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "bill-*")
	if err != nil {
		return nil, &refund.Error{Code: refund.CodeInternal, Next: refund.Later, Message: "there is no room for the bill: no temporary file can be made", Err: err}
	}
	_ = os.Remove(f.Name())
	return &spool{file: f}, nil
}

func (s *spool) Write(b []byte) (int, error) {
	if s.size+int64(len(b)) > maxBillFile {
		return 0, wxpay.ErrTooLarge
	}
	n, err := s.file.Write(b)
	s.size += int64(n)
	return n, err
}

func (s *spool) Close() error {
	err := s.file.Close()
	_ = os.Remove(s.file.Name()) // it is gone already, unless the system would not
	return err
}

func (s *spool) reader() *io.SectionReader { return io.NewSectionReader(s.file, 0, s.size) }

// BillFile makes a bill of a file that somebody has downloaded by hand, packed with gzip or
// not, for the merchant m. What is no bill of this kind, day and merchant is
// [refund.CodeInvalid] and wraps [refund.ErrBillUnreadable]. It keeps a copy of its own
// until the bill is closed.
func BillFile(r io.Reader, q refund.BillQuery, m refund.Merchant) (*refund.Bill, error) {
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(s, r); err != nil {
		_ = s.Close()
		if errors.Is(err, wxpay.ErrTooLarge) {
			return nil, fileFault(unreadable("it is larger than a bill can be", err))
		}
		return nil, &refund.Error{Code: refund.CodeInternal, Next: refund.Later, Message: "the file cannot be read, or no copy of it be kept", Err: err}
	}
	b, err := s.bill(q, m, wxpay.BillTicket{})
	return b, fileFault(err)
}

// fileFault: what is wrong with a file is its bringer's affair.
func fileFault(err error) error {
	if e, ok := errors.AsType[*refund.Error](err); ok && errors.Is(err, refund.ErrBillUnreadable) {
		e.Code, e.Next = refund.CodeInvalid, refund.AfterFix
	}
	return err
}

// unreadable is a bill that came and cannot be used. What bill the upstream has may be
// another one later.
func unreadable(why string, cause error) *refund.Error {
	if cause != nil {
		cause = fmt.Errorf("%w: %w", refund.ErrBillUnreadable, cause)
	} else {
		cause = refund.ErrBillUnreadable
	}
	return &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Message: "the bill cannot be used: " + why, Err: cause}
}

// unread is a bill that has not come.
func unread(message string, cause error) *refund.Error {
	e := &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Message: message, Err: cause}
	e.Unsent = errors.Is(cause, wxpay.ErrUnsent)
	return e
}

// noBill is a day on which nothing has happened.
func noBill(q refund.BillQuery) *refund.Bill {
	return &refund.Bill{
		Query: q, Empty: true,
		Refunds:   func(func(refund.BillRow, error) bool) {},
		Movements: func(func(refund.Movement, error) bool) {},
	}
}

// bill reads the file once to its end, and closes it unless it hands it out. ticket is what
// the upstream said of the file; the zero value if it said nothing.
func (s *spool) bill(q refund.BillQuery, m refund.Merchant, ticket wxpay.BillTicket) (*refund.Bill, error) {
	b, err := s.check(q, m, ticket)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return b, nil
}

func (s *spool) check(q refund.BillQuery, m refund.Merchant, ticket wxpay.BillTicket) (*refund.Bill, error) {
	sum, told := sha1.New(), hash.Hash(nil) // #nosec G401 -- the same
	w := io.Writer(sum)
	switch ticket.HashType {
	case "SHA1":
		told = sum
	case "SHA256":
		told = sha256.New()
		w = io.MultiWriter(sum, told)
	}
	in, err := wxpay.OpenBill(s.reader(), w)
	if err != nil {
		return nil, notRead(err)
	}
	switch {
	case in.Funds() && q.Kind != refund.FundsBill:
		return nil, unreadable("it is the bill of an account, and not of trade", nil)
	case !in.Funds() && q.Kind != refund.TradeBill:
		return nil, unreadable("it is the bill of trade, and not of an account", nil)
	case !in.Funds() && !in.Has("微信退款单号"):
		return nil, unreadable("it has no columns of refunds: it is of type SUCCESS, where ALL or REFUND is wanted", nil)
	}
	in.Day = string(q.Day)
	b := noBill(q)
	b.Empty, b.Close = false, s.Close
	if in.Funds() {
		for _, err := range in.Movements() {
			if err != nil {
				return nil, notRead(err)
			}
		}
		b.Movements = s.movements()
	} else {
		for row, err := range in.Refunds() {
			if err != nil {
				return nil, notRead(err)
			}
			if billRow(row, m).Elsewhere(m) {
				return nil, unreadable(fmt.Sprintf("line %d: 商户号: it is another merchant's, %s", row.Line, printable(row.MchID, 32)), nil)
			}
		}
		b.Refunds = s.refunds(m)
	}
	if told != nil && hex.EncodeToString(told.Sum(nil)) != ticket.HashValue {
		return nil, unreadable("its hash is not the one that WeChat Pay told of it", nil)
	}
	// One date of one row is enough: a refund is accepted, made and settled on different
	// days, and layouts tell different ones of these.
	if in.Rows() > 0 && !in.OfDay {
		return nil, unreadable(fmt.Sprintf("it is of another day: nothing in it is of %s", q.Day), nil)
	}
	b.Hash, b.Rows = "sha1:"+hex.EncodeToString(sum.Sum(nil)), in.Rows()
	return b, nil
}

// notRead is an error of package wxpay about a bill.
func notRead(err error) *refund.Error {
	if errors.Is(err, wxpay.ErrFormat) || errors.Is(err, wxpay.ErrTooLarge) {
		why := strings.TrimPrefix(strings.TrimPrefix(err.Error(), wxpay.ErrFormat.Error()+" bill: "), "wxpay: ")
		return unreadable(printable(why, 300), err)
	}
	return unread("the bill that came cannot be read again", err)
}

// refunds goes through the rows about refunds, from the beginning.
func (s *spool) refunds(m refund.Merchant) iter.Seq2[refund.BillRow, error] {
	return again(s, (*wxpay.Bill).Refunds, func(r wxpay.TradeRow) refund.BillRow { return billRow(r, m) })
}

// billRow is a row of a bill of m's.
func billRow(r wxpay.TradeRow, m refund.Merchant) refund.BillRow {
	row := refund.BillRow{
		Line: r.Line, MchID: r.MchID, SubMchID: r.SubMchID, AppID: r.AppID, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo,
		RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, AcceptedAt: r.AppliedAt, Amount: r.Asked, Refunded: r.Refunded,
		Currency: r.Currency, Status: billStatus()[r.Status],
	}
	if m.SubMchID != "" && r.MchID == m.SubMchID && r.SubMchID == "" {
		row.SubMchID = m.SubMchID
	}
	return row
}

// billStatus is how a refund stood, by the bills' words. FAIL is not among them: whether it
// was closed, or waits for somebody, only the upstream can say.
func billStatus() map[string]refund.Status {
	return map[string]refund.Status{
		"SUCCESS": refund.StatusSuccess, "PROCESSING": refund.StatusProcessing,
		"CLOSED": refund.StatusClosed, "REFUNDCLOSE": refund.StatusClosed,
		"ABNORMAL": refund.StatusAbnormal, "CHANGE": refund.StatusAbnormal,
	}
}

// movements goes through the rows about refunds' money, from the beginning.
func (s *spool) movements() iter.Seq2[refund.Movement, error] {
	withFee := feeRemark()
	return again(s, (*wxpay.Bill).Movements, func(r wxpay.FundsRow) refund.Movement {
		move := refund.Movement{Line: r.Line, At: r.At, RefundID: r.RefundID, FlowID: r.FlowID, Closure: r.Closure, Amount: r.Amount, By: applicant(r.By), Reason: r.Remark}
		if !r.Closure {
			move.Amount = withFee(r.Remark, r.Amount)
		}
		return move
	})
}

// applicant is who asked for a movement. Bills write of the API either "system" or the
// merchant number with API behind it.
func applicant(by string) string {
	if number, ok := strings.CutSuffix(by, "API"); ok && number != "" && strings.Trim(number, "0123456789") == "" {
		return "system"
	}
	return by
}

// feeRemark returns a function that says what was refunded where a movement is less, since
// the fee came back with it: the remark 退款总金额10.00元;含手续费0.06元 of a movement of
// 9.94. A remark that does not agree with its row says nothing.
func feeRemark() func(remark string, amount int64) int64 {
	of := regexp.MustCompile(`^退款总金额 ?(\d{1,12})\.(\d\d) ?元;含手续费 ?(\d{1,12})\.(\d\d) ?元$`)
	return func(remark string, amount int64) int64 {
		part := of.FindStringSubmatch(remark)
		if part == nil {
			return amount
		}
		total, err1 := strconv.ParseInt(part[1]+part[2], 10, 64)
		fee, err2 := strconv.ParseInt(part[3]+part[4], 10, 64)
		if err1 != nil || err2 != nil || total-fee != amount || fee > total/10 {
			return amount
		}
		return total
	}
}

// again goes through a bill's rows anew.
func again[R, T any](s *spool, rows func(*wxpay.Bill) iter.Seq2[R, error], as func(R) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		in, err := wxpay.OpenBill(s.reader(), nil)
		if err != nil {
			yield(zero, notRead(err))
			return
		}
		for row, err := range rows(in) {
			if err != nil {
				yield(zero, notRead(err))
				return
			}
			if !yield(as(row), nil) {
				return
			}
		}
	}
}

// billSoon is how long to wait for a bill that is being made.
const billSoon = 30 * time.Minute
