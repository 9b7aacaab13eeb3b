package world_test

import (
	"fmt"
	"sync"
	"testing"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// TestParallelRefundsNeverExceedTheOrder does everything at once, for the race detector, and counts the
// money afterwards.
func TestParallelRefundsNeverExceedTheOrder(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Hostile, c.Speed = true, 1000 })
	w.Run()
	w.Order("T1")
	w.Control("POST", "/_sandbox/faults", `{"upstream":"500_after","notify":"tamper","rate":0.2}`, 200)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 8 {
				w.Apply("T1", fmt.Sprintf("R%d-%d", i, j/2), 400) // each number twice
				w.Call("GET", sandboxtest.RefundsPath+"/R0-0", "")
			}
			switch i {
			case 0:
				sandboxtest.Serve(w.Sandbox.Control(), sandboxtest.ControlRequest("POST", "/_sandbox/keys/rotate", ""))
			case 1, 2:
				w.Advance("20m")
			default:
				for _, d := range w.Deliveries() {
					sandboxtest.Serve(w.Sandbox.Control(), sandboxtest.ControlRequest("POST", "/_sandbox/deliveries/"+d.ID+"/resend", ""))
				}
			}
		})
	}
	all.Wait()
	w.Advance("25h")
	var list struct {
		Refunds []struct {
			OutRefundNo string `json:"out_refund_no"`
			Status      string `json:"status"`
		}
	}
	w.Control("GET", "/_sandbox/refunds", "", 200).Decode(t, &list)
	if len(list.Refunds) != 25 {
		t.Errorf("%d refunds of 4 yuan from an order of 100", len(list.Refunds))
	}
	for _, r := range list.Refunds {
		if r.Status != "SUCCESS" {
			t.Errorf("refund %+v", r)
		}
	}
	delivered := 0
	for _, d := range w.Deliveries() {
		if d.State == "delivered" && len(d.Attempts) >= 2 {
			delivered++
		}
	}
	if delivered != 25 {
		t.Errorf("%d notifications delivered twice, want 25", delivered)
	}
}
