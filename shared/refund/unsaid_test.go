package refund_test

import (
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// An answer that leaves the amount out says nothing of it: the refund is settled
// as it was claimed. The reduced query of the CloudBase template is such a one.
func TestUnsaidAmountIsAsClaimed(t *testing.T) {
	for _, status := range []refund.Status{refund.StatusProcessing, refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal} {
		t.Run(string(status), func(t *testing.T) {
			f := setUp(t)
			f.up.after = noAnswer
			if _, err := f.Refund(t.Context(), server, request("R1", 60)); !refund.IsCode(err, refund.CodeUnavailable) {
				t.Fatalf("error %v, want the outcome to be unknown", err)
			}
			f.up.after = nil
			f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: status}
			got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
			if err != nil || got.Status != status || got.Amount.Refund != 60 || got.Amount.Total != 100 || got.Amount.Currency != "CNY" || got.OutTradeNo != "O1" {
				t.Errorf("%+v, error %v", got, err)
			}
			if strings.Contains(f.log.String(), "alarm") {
				t.Errorf("what was not said is held against the record:\n%s", f.log)
			}
			// The 60 fen are not there a second time, unless the refund is closed.
			_, err = f.Refund(t.Context(), server, request("R2", 41))
			if free := status == refund.StatusClosed; free != (err == nil) || !free && !refund.IsCode(err, refund.CodeConflict) {
				t.Errorf("41 fen more: error %v, want them to be left: %t", err, free)
			}
		})
	}
}

// So may the reply to the application itself.
func TestUnsaidAmountInAReply(t *testing.T) {
	f := setUp(t)
	f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: refund.StatusProcessing}
	got := f.must(t, request("R1", 60))
	if got.Status != refund.StatusProcessing || got.Amount.Refund != 60 {
		t.Errorf("%+v", got)
	}
}

// What is said is compared, and nothing is guessed where nothing is on record.
func TestAmountIsComparedWhereItIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		told   refund.Amount
		status string // that the ledger says afterwards
		alarm  string
	}{
		"nothing":                  {refund.Amount{}, "SUCCESS", ""},
		"the same":                 {refund.Amount{Refund: 60, Total: 100, Currency: "CNY"}, "SUCCESS", ""},
		"the total alone":          {refund.Amount{Total: 100}, "SUCCESS", ""},
		"another total alone":      {refund.Amount{Total: 90}, "PROCESSING", "amount.total differs"},
		"another currency alone":   {refund.Amount{Currency: "USD"}, "PROCESSING", "amount.currency differs"},
		"another amount":           {refund.Amount{Refund: 59}, "PROCESSING", "amount.refund differs"},
		"less than nothing":        {refund.Amount{Refund: -60}, "PROCESSING", ""},
		"more than can be counted": {refund.Amount{Refund: 1 << 53}, "PROCESSING", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			f.must(t, request("R1", 60))
			f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: refund.StatusSuccess, Amount: c.told}
			out := refund.Outcome{Source: refund.Reply, OutRefundNo: "R1", Refund: f.up.refunds["R1"]}
			_, err := f.Settle(t.Context(), out)
			if got := f.status(t, "R1"); got != c.status {
				t.Errorf("status %s, error %v, want %s", got, err, c.status)
			}
			if c.alarm != "" && !strings.Contains(f.log.String(), c.alarm) {
				t.Errorf("no alarm %q:\n%s", c.alarm, f.log)
			}
			if _, err := f.Refund(t.Context(), server, request("R2", 41)); !refund.IsCode(err, refund.CodeConflict) {
				t.Errorf("another 41 fen of an order of 100: error %v", err)
			}
		})
	}
}

func TestUnsaidAmountOfNoRecord(t *testing.T) {
	f := setUp(t)
	f.up.refunds["BYHAND"] = refund.Refund{OutRefundNo: "BYHAND", OutTradeNo: "O1", Status: refund.StatusSuccess}
	_, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "BYHAND"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	if got := f.status(t, "BYHAND"); got != "-" {
		t.Errorf("recorded as %s", got)
	}
}

func TestUnsaidAmountInANotification(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	if _, err := f.Settle(t.Context(), notification("R1", 0, refund.StatusSuccess)); !refund.IsCode(err, refund.CodeUnavailable) {
		t.Errorf("error %v, want it not to be acknowledged", err)
	}
	if got := f.status(t, "R1"); got != "PROCESSING" {
		t.Errorf("status %s", got)
	}
}
