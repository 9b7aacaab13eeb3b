package simulation_test

import (
	"errors"
	"sync"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A table is the naive handler's store, with what the templates do to it.
type table struct {
	mu      sync.Mutex
	rows    map[string]row // by refund number
	effects map[string]int // how often a refund's state had an effect on the business
}

type row struct {
	order, status string
	fen           int64
}

func newTable() *table { return &table{rows: map[string]row{}, effects: map[string]int{}} }

var errExceeds = errors.New("the refund exceeds the order")

// refund looks at the rows, calls WeChat Pay and writes a row. access carries
// each use of the store.
func (t *table) refund(req refund.Request, submit func() (refund.Refund, error), access func(verb string, do func()) error) (status string, err error) {
	order := req.OutTradeNo
	if order == "" {
		order = req.TransactionID
	}
	var sum int64
	var known bool
	err = access("read", func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, r := range t.rows {
			if r.order == order && r.status != "CLOSED" {
				sum += r.fen
			}
		}
		_, known = t.rows[req.OutRefundNo]
	})
	switch {
	case err != nil:
		return "", err
	case known:
		return "PROCESSING", nil // "has been applied for already"
	case sum+req.Amount.Refund > req.Amount.Total:
		return "", errExceeds
	}
	got, err := submit()
	if err != nil {
		return "", err
	}
	err = access("write", func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.rows[req.OutRefundNo] = row{order, string(got.Status), req.Amount.Refund}
	})
	return string(got.Status), err
}

// notified writes what a notification says, which has its effect on the business.
func (t *table) notified(l wxpay.RefundNotification) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[l.OutRefundNo]
	if r.order == "" {
		r.order = l.OutTradeNo
	}
	r.status, r.fen = l.RefundStatus, l.Amount.Refund
	t.rows[l.OutRefundNo] = r
	t.effects[l.OutRefundNo+" "+l.RefundStatus]++
}
