package refund_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A refund that was accepted, and of which the upstream reports nothing but that it
// counts it, is an alarm too after a day: nobody will ever say how it ended.
func TestAcceptedRefundWithoutAnyOutcomeIsAnAlarm(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty", CountedOnly: true}
	f.wait(t, 24*time.Hour)
	f.wantAlarms(t, "", 0, "within a day")
	f.wait(t, 12*time.Hour)
	f.wantAlarms(t, "refund_untold", 1, "")
	f.up.queryErr = nil
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, 4*time.Hour)
	if !strings.Contains(f.log.String(), `msg="alarm closed"`) || len(f.inspect(t, "R1").Causes) > 0 {
		t.Error("the alarm is not closed")
	}
}

// A process that dies between the alarm and the commit has logged the alarm before.
func TestAlarmComesBeforeTheCommit(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	store := f.Ledger
	f.Service.Ledger = &hindered{Ledger: store, before: func() error { return errors.New("no store") }}
	if _, err := f.Settle(t.Context(), notification("R1", 61, refund.StatusSuccess)); err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(f.log.String(), "amount.refund differs from what is on record") {
		t.Errorf("no alarm:\n%s", f.log)
	}
}

// One alarm per cause, however often the upstream repeats what contradicts the record.
func TestOneAlarmPerCause(t *testing.T) {
	for name, change := range map[string]func(r *refund.Refund){
		"another amount":   func(r *refund.Refund) { r.Amount.Refund = 70 },
		"another order":    func(r *refund.Refund) { r.OutTradeNo, r.TransactionID = "O2", "T-O2" },
		"another total":    func(r *refund.Refund) { r.Amount.Total = 200 },
		"another currency": func(r *refund.Refund) { r.Amount.Currency = "USD" },
	} {
		t.Run(name, func(t *testing.T) {
			f := clocked(t)
			f.must(t, request("R1", 60))
			r := f.up.refunds["R1"]
			change(&r)
			f.up.refunds["R1"] = r
			f.wait(t, 20*time.Hour)
			if n := f.alarms(""); n > 2 {
				t.Errorf("%d alarms in 20 hours, want one", n)
			}
		})
	}
}

// The same of an item that cannot be read.
func TestUnreadableItemIsOneAlarm(t *testing.T) {
	f := clocked(t)
	f.write(t, refund.Item{Key: "refund/BAD", Body: []byte(`{"state":5}`), Due: f.Now()})
	f.wait(t, 5*time.Hour)
	if n := f.alarms(""); n > 1 {
		t.Errorf("%d alarms in five hours, want one", n)
	}
}

// E11: a panic about one refund is that refund's alarm, which is closed once the defect is
// mended; the others of the run go on.
func TestPanicAboutOneRefundLeavesTheOthersAlone(t *testing.T) {
	f := clocked(t)
	for i := range 5 {
		f.must(t, request(number(i), 2))
		f.up.set(number(i), refund.StatusSuccess)
	}
	f.up.onQuery = func(l refund.Lookup) {
		if l.OutRefundNo == "R2" {
			panic("defect")
		}
	}
	f.advance(time.Minute)
	summary := f.reconcile(t)
	if summary.Settled != 4 {
		t.Errorf("%+v, want the four others settled", summary)
	}
	f.wantAlarms(t, "panic", 1, "")
	f.up.onQuery = nil
	f.later(t, time.Hour)
	if d := f.inspect(t, "R2"); d.State != refund.Success || len(d.Causes) > 0 {
		t.Errorf("R2 is %s once the defect is mended, and of its alarms go on: %+v", d.State, d.Causes)
	}
}
