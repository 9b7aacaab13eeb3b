package refund_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"wxrefund/shared/refund"
)

// A refund that was accepted, and of which the upstream tells nothing but that it
// counts it, is an alarm too after a day: nobody will ever say how it ended.
func TestAcceptedRefundWithoutAnyOutcomeIsAnAlarm(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.must(t, request("R1", 60))
	f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty", Exists: true}
	f.wait(t, advance, 24*time.Hour)
	if n := strings.Count(f.log.String(), "msg=alarm"); n != 0 {
		t.Errorf("%d alarms within a day", n)
	}
	f.wait(t, advance, 12*time.Hour)
	if n := strings.Count(f.log.String(), "alarm=refund_untold"); n != 1 {
		t.Errorf("%d alarms, want one", n)
	}
	f.up.queryErr = nil
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, advance, 4*time.Hour)
	if !strings.Contains(f.log.String(), `msg="alarm closed"`) || len(f.look(t, "R1").Causes) > 0 {
		t.Error("the alarm is not closed")
	}
}

// Whoever falls between the alarm and the commit has told of it before.
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
	for name, tell := range map[string]func(r *refund.Refund){
		"another amount":   func(r *refund.Refund) { r.Amount.Refund = 70 },
		"another order":    func(r *refund.Refund) { r.OutTradeNo, r.TransactionID = "O2", "T-O2" },
		"another total":    func(r *refund.Refund) { r.Amount.Total = 200 },
		"another currency": func(r *refund.Refund) { r.Amount.Currency = "USD" },
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			advance := f.clocked()
			f.must(t, request("R1", 60))
			r := f.up.refunds["R1"]
			tell(&r)
			f.up.refunds["R1"] = r
			f.wait(t, advance, 20*time.Hour)
			if n := strings.Count(f.log.String(), "msg=alarm "); n > 2 {
				t.Errorf("%d alarms in 20 hours, want one", n)
			}
		})
	}
}

// The same of an item that cannot be read.
func TestUnreadableItemIsOneAlarm(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	if err := f.Ledger.Commit(t.Context(), refund.Item{Key: "refund/BAD", Body: []byte(`{"state":5}`), Due: f.Now()}); err != nil {
		t.Fatal(err)
	}
	f.wait(t, advance, 5*time.Hour)
	if n := strings.Count(f.log.String(), "msg=alarm "); n > 1 {
		t.Errorf("%d alarms in five hours, want one", n)
	}
}

// An alarm is closed by a line when its cause ends: a panic's as well.
func TestPanicAlarmIsClosed(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.must(t, request("R1", 60))
	broken := true
	f.Channel = panicking{f.up, &broken}
	f.wait(t, advance, time.Hour)
	if !strings.Contains(f.log.String(), "alarm=panic") {
		t.Fatal("no alarm")
	}
	broken = false
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, advance, 4*time.Hour)
	d := f.look(t, "R1")
	if d.State != refund.Success || len(d.Causes) > 0 {
		t.Errorf("%s, and the alarm goes on: %+v", d.State, d.Causes)
	}
}

type panicking struct {
	*upstream
	broken *bool
}

func (p panicking) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	if *p.broken {
		panic("defect")
	}
	return p.upstream.Query(ctx, l)
}

// E11: a panic about one refund is that refund's alarm; the others of the run go on.
func TestPanicAboutOneRefundLeavesTheOthersAlone(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	for i := range 5 {
		f.must(t, request(number(i), 2))
		f.up.set(number(i), refund.StatusSuccess)
	}
	f.Channel = bursting{f.up, "R2"}
	advance(time.Minute)
	summary := f.reconcile(t)
	if summary.Settled != 4 {
		t.Errorf("%+v, want the four others settled", summary)
	}
	if n := strings.Count(f.log.String(), "alarm=panic"); n != 1 {
		t.Errorf("%d alarms", n)
	}
	f.Channel = f.up
	advance(time.Hour)
	f.reconcile(t)
	if got := f.status(t, "R2"); got != "SUCCESS" {
		t.Errorf("R2 is %s once the defect is mended", got)
	}
}

type bursting struct {
	*upstream
	no string
}

func (b bursting) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	if l.OutRefundNo == b.no {
		panic("index out of range")
	}
	return b.upstream.Query(ctx, l)
}
