package sandbox_test

import (
	"fmt"
	"sync"
	"testing"

	"wxrefund/shared/sandbox"
)

// TestConcurrent does everything at once, for the race detector, and counts the
// money afterwards.
func TestConcurrent(t *testing.T) {
	w := newWorld(t, func(c *sandbox.Config) { c.Hostile, c.Speed = true, 1000 })
	w.run()
	w.order("T1")
	w.control("POST", "/_sandbox/faults", `{"upstream":"500_after","notify":"tamper","rate":0.2}`, 200)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 8 {
				w.apply("T1", fmt.Sprintf("R%d-%d", i, j/2), 400) // each number twice
				w.call("GET", refundsPath+"/R0-0", "")
			}
			switch i {
			case 0:
				serve(w.sandbox.Control(), controlRequest("POST", "/_sandbox/keys/rotate", ""))
			case 1, 2:
				w.advance("20m")
			default:
				for _, d := range w.deliveries() {
					serve(w.sandbox.Control(), controlRequest("POST", "/_sandbox/deliveries/"+d.ID+"/resend", ""))
				}
			}
		})
	}
	all.Wait()
	w.advance("25h")
	var list struct {
		Refunds []struct {
			OutRefundNo string `json:"out_refund_no"`
			Status      string `json:"status"`
		}
	}
	w.control("GET", "/_sandbox/refunds", "", 200).decode(t, &list)
	if len(list.Refunds) != 25 {
		t.Errorf("%d refunds of 4 yuan from an order of 100", len(list.Refunds))
	}
	for _, r := range list.Refunds {
		if r.Status != "SUCCESS" {
			t.Errorf("refund %+v", r)
		}
	}
	delivered := 0
	for _, d := range w.deliveries() {
		if d.State == "delivered" && len(d.Attempts) >= 2 {
			delivered++
		}
	}
	if delivered != 25 {
		t.Errorf("%d notifications delivered twice, want 25", delivered)
	}
}
