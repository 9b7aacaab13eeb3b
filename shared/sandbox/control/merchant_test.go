package control_test

import (
	"context"
	"sync"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A merchant has records that a sandbox reads.
type merchant struct {
	mu      sync.Mutex
	records map[string]sandbox.MerchantRefund
	failure error
	hangs   bool     // and answers only whoever gives up
	asked   []string // the numbers that were read
}

// writes takes refunds into the records and says so.
func (m *merchant) writes(w *sandboxtest.World, refunds ...sandbox.MerchantRefund) {
	var numbers []string
	m.mu.Lock()
	for _, r := range refunds {
		if m.records == nil {
			m.records = map[string]sandbox.MerchantRefund{}
		}
		m.records[r.OutRefundNo] = r
		numbers = append(numbers, r.OutRefundNo)
	}
	m.mu.Unlock()
	w.Sandbox.MerchantChanged(numbers...)
}

func (m *merchant) read(ctx context.Context, outRefundNos ...string) (out []sandbox.MerchantRefund, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	m.asked = append(m.asked, outRefundNos...)
	for _, no := range outRefundNos {
		if r, ok := m.records[no]; ok {
			out = append(out, r)
		}
	}
	return out, m.failure
}
