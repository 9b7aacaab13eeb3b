package simulation_test

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A rule is how a published back end keeps its rows, where it differs from ours. The rules
// are run here, not the products: each has much beside it that is not, and what is not
// transcribed is as ours, as far as rows without a ledger can be.
type rule struct {
	name, source string

	rowLast  bool                       // the row is written when the call has succeeded
	locks    bool                       // one refund of an order at a time
	unheard  string                     // what a row becomes when the call fails in a way that is no refusal
	reserves func(status string) bool   // of which rows the fen count against the order
	becomes  func(status string) string // what WeChat Pay's status is called
	believes func(recorded string) bool // of which rows a notification is taken
	asks     bool                       // the timer asks about what is pending
	expires  time.Duration              // after which what is pending is as good as failed; 0: never
	closes   bool                       // people close what has failed, before they try another number
}

// What a row can be, beside the statuses of WeChat Pay.
const (
	rowPending = "PROCESSING"
	rowFailed  = "FAILED" // nothing was refunded, as the row's owner thinks
)

// rules are what open back ends do, by file and line of what was read.
func rules() []rule {
	taken := func(status string) bool { return status != rowFailed && status != "CLOSED" }
	any := func(string) bool { return true }
	pending := func(recorded string) bool { return recorded == rowPending }
	unsettled := func(recorded string) bool { return recorded == rowPending || recorded == "ABNORMAL" }
	same := func(status string) string { return status }
	abnormalFails := func(status string) string {
		if status == "ABNORMAL" {
			return rowFailed
		}
		return status
	}
	succeeded := func(status string) bool { return status == "SUCCESS" || status == rowPending }
	return []rule{
		{
			name:    "the row after the call",
			source:  "CloudBase template, wxpayFunctions/wxpay_refund/index.js (awesome-cloudbase-examples@ffef3f48): the answer is passed on, and nobody keeps or asks",
			rowLast: true, reserves: taken, becomes: same, believes: any,
		},
		{
			name: "an exception is a failure",
			source: "jeepay@ba37111 WxpayRefundService.java:128-132, RefundOrderMapper.xml:36-39, RefundOrderService.java:83; " +
				"yudao ruoyi-vue-pro@e4e460d AbstractWxPayClient.java:279-283, PayRefundServiceImpl.java:226-227, 260-261",
			unheard: rowFailed, reserves: succeeded, becomes: abnormalFails, believes: pending, asks: true,
		},
		{
			name:    "an exception is a failure, which is closed by hand",
			source:  "dax-pay@5b4b067 RefundService.java:95-117, 136, RefundAssistService.java:101-103, 128",
			unheard: rowFailed, locks: true, reserves: func(status string) bool { return status != "CLOSED" }, becomes: same, believes: any, asks: true, closes: true,
		},
		{
			name:    "what is pending for 2 hours is closed",
			source:  "jeepay@ba37111 RefundOrderService.java:130-139, task/RefundOrderExpiredTask.java:41",
			unheard: rowPending, reserves: taken, becomes: same, believes: unsettled, asks: true, expires: 2 * time.Hour,
		},
		{
			name:    "what is pending for 24 hours has failed, unasked",
			source:  "OwnPay@e452270 RefundReconciliationJob.php:34, 84-112",
			unheard: rowPending, reserves: taken, becomes: same, believes: unsettled, expires: 24 * time.Hour,
		},
	}
}

// Rows are the store of a back end that keeps such a rule.
type rows struct {
	rule    rule
	mu      sync.Mutex
	all     map[string]row  // by refund number
	locked  map[string]bool // orders
	effects map[string]int  // how often a refund's state had an effect on the business
}

type row struct {
	order, status string
	fen           int64
	since         time.Time
}

func newRows(r rule) *rows {
	return &rows{rule: r, all: map[string]row{}, locked: map[string]bool{}, effects: map[string]int{}}
}

var (
	errFailed  = errors.New("the refund has failed")
	errPending = errors.New("the refund is pending")
	errExceeds = errors.New("the refund exceeds the order")
	errBusy    = errors.New("a refund of this order is under way")
)

// wish is whose wish a number was made for: a client that tries another number puts it behind.
func wishOf(no string) string { before, _, _ := strings.Cut(no, "-"); return before }

// refund looks at the rows, calls WeChat Pay and writes a row, in the order that the rule
// has. access carries each use of the store.
func (t *rows) refund(req refund.Request, submit func() (refund.Refund, error), access func(verb string, do func()) error) (status string, err error) {
	order := cmp.Or(req.OutTradeNo, req.TransactionID)
	if t.rule.locks {
		if !t.lock(order) {
			return "", errBusy
		}
		defer t.unlock(order)
	}
	put := func(status string) error {
		return access("write", func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.all[req.OutRefundNo] = row{order, status, req.Amount.Refund, time.Now()}
		})
	}
	var known row
	exceeds := false
	err = access("read", func() { known, exceeds = t.look(req, order) })
	switch {
	case err != nil:
		return "", err
	case known.status == rowFailed && !t.rule.closes:
		return "", errFailed // and the number is used up
	case known.status != "" && known.status != rowFailed:
		return known.status, nil // "has been applied for already"
	case exceeds:
		return "", errExceeds
	}
	if !t.rule.rowLast {
		if err := put(rowPending); err != nil {
			return "", err
		}
	}
	got, err := submit()
	if t.rule.rowLast {
		if err != nil {
			return "", err
		}
		return string(got.Status), put(string(got.Status))
	}
	status = t.rule.becomes(string(got.Status))
	if err != nil {
		if status = rowFailed; refund.AsError(err).Code == refund.CodeUnavailable {
			status = t.rule.unheard
		}
	}
	if bad := put(status); bad != nil {
		return "", bad
	}
	switch {
	case status == rowFailed:
		return "", err
	case err != nil:
		return "", errPending
	}
	return status, nil
}

// look finds the number's row, and whether the refund exceeds what is left of the order.
func (t *rows) look(req refund.Request, order string) (known row, exceeds bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum int64
	for no, r := range t.all {
		if t.rule.closes && r.status == rowFailed && no != req.OutRefundNo && wishOf(no) == wishOf(req.OutRefundNo) {
			r.status = "CLOSED"
			t.all[no] = r
		}
		if r.order == order && no != req.OutRefundNo && t.rule.reserves(r.status) {
			sum += r.fen
		}
	}
	return t.all[req.OutRefundNo], sum+req.Amount.Refund > req.Amount.Total
}

func (t *rows) lock(order string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.locked[order] {
		return false
	}
	t.locked[order] = true
	return true
}

func (t *rows) unlock(order string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.locked, order)
}

// notified writes what a notification says, if the rule believes it of such a row, which
// has its effect on the business.
func (t *rows) notified(l wxpay.RefundNotification) {
	t.heard(l.OutRefundNo, l.OutTradeNo, l.RefundStatus, l.Amount.Refund)
}

func (t *rows) heard(no, order, status string, fen int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, known := t.all[no]
	if known && !t.rule.believes(r.status) {
		return
	}
	r.order, r.status, r.fen = cmp.Or(r.order, order), t.rule.becomes(status), fen
	t.all[no] = r
	if status != rowPending {
		t.effects[no+" "+status]++
	}
}

// pending are the numbers whose refunds are not over, of which the rule gives up those that
// are too old.
func (t *rows) pending() (numbers []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for no, r := range t.all {
		switch {
		case r.status == "ABNORMAL":
			numbers = append(numbers, no)
		case r.status != rowPending:
		case t.rule.expires > 0 && time.Since(r.since) > t.rule.expires:
			r.status = rowFailed
			t.all[no] = r
		default:
			numbers = append(numbers, no)
		}
	}
	return numbers
}
