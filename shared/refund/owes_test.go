package refund_test

import (
	"testing"

	"wxrefund/shared/refund"
)

// A settlement owes something only while a subscriber waits, however often it is repeated.
func TestASettlementOwesOnlyWhatSubscribersWaitFor(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	success := notification("R1", 60, refund.StatusSuccess)
	for range 2 {
		if st, err := f.Settle(t.Context(), success); err != nil || st.Owes {
			t.Errorf("without subscribers: got %+v, %v", st, err)
		}
	}
	f.subscribe("a")
	f.must(t, request("R2", 40))
	success = notification("R2", 40, refund.StatusSuccess)
	for range 2 { // the second finds what the first has left
		if st, err := f.Settle(t.Context(), success); err != nil || !st.Owes {
			t.Errorf("before delivery: got %+v, %v", st, err)
		}
	}
	f.Deliver(t.Context(), "R2")
	if st, err := f.Settle(t.Context(), success); err != nil || st.Owes {
		t.Errorf("after delivery: got %+v, %v", st, err)
	}
}
