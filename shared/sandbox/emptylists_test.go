package sandbox_test

import (
	"strings"
	"testing"

	"wxrefund/shared/sandbox"
)

// Some accounts' queries count refunds and list nothing of them, by whichever
// number; applications are answered as ever, and other systems have no lists.
func TestEmptyLists(t *testing.T) {
	everywhere(t, func(t *testing.T, name string, u upstream, world func(...func(*sandbox.Config)) *world) {
		w := world()
		w.control("POST", "/_sandbox/faults", `{"upstream":"empty_lists"}`, 200)
		if got := u.refund(w, by("ORDER-A"), "refund-1", 100); got.code != "" || got.fen != "100" {
			t.Errorf("refund: got %+v", got)
		}
		got := u.query(w, "refund-1")
		if name != "cloudpay" {
			if got.code != "" || !strings.HasPrefix(got.fen, "100") {
				t.Errorf("query: got %+v", got)
			}
			return
		}
		if got = u.query(w, "refund-9"); got.code != "REFUNDNOTEXIST" {
			t.Errorf("of a refund that does not exist: got %+v", got)
		}
		for _, ask := range []string{`"out_refund_no":"refund-1"`, `"out_trade_no":"ORDER-A"`} {
			a := w.cloudPay("queryRefund", `{"sub_mch_id":"1900000109","nonce_str":"n",`+ask+`}`)
			if a.field("result_code") != "SUCCESS" || a.field("refund_count") != 1.0 || a.field("out_trade_no") != "ORDER-A" || a.field("total_fee") != 10000.0 {
				t.Errorf("by %s: %s", ask, a.body)
			}
			for _, list := range []string{"out_refund_no_list", "refund_status_list", "refund_channel", "refund_success_time_list"} {
				if items, ok := a.field(list).([]any); !ok || len(items) != 0 {
					t.Errorf("by %s: %s = %v, want an empty list", ask, list, a.field(list))
				}
			}
			if strings.Contains(string(a.body), "_0") {
				t.Errorf("by %s, something of the refund: %s", ask, a.body)
			}
		}
		w.control("DELETE", "/_sandbox/faults", "", 200)
		if got = u.query(w, "refund-1"); got.fen != "100" {
			t.Errorf("without the fault: got %+v", got)
		}
	})
}
