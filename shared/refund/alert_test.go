package refund_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// open lists the open alarms in short: ABOUT CODE.
func (f *fixture) open(t *testing.T) (lines []string) {
	t.Helper()
	for cursor, more := "", true; more; more = cursor != "" {
		alarms, next, err := f.Alarms(t.Context(), cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range alarms {
			if a.Why == "" || a.Since.IsZero() || a.Count < 1 {
				t.Errorf("half an alarm: %+v", a)
			}
			lines = append(lines, a.About+" "+a.Code)
		}
		cursor = next
	}
	slices.Sort(lines)
	return lines
}

// wantOpen checks what [fixture.open] lists.
func (f *fixture) wantOpen(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := f.open(t); !slices.Equal(got, want) {
		t.Errorf("open alarms are %q, want %q %s", got, want, when)
	}
}

func (f *fixture) acknowledge(t *testing.T, about, code string) {
	t.Helper()
	if err := f.Acknowledge(t.Context(), about, code, "operator alice", "seen"); err != nil {
		t.Fatal(err)
	}
}

// What has happened once stays open until somebody has acknowledged it, and is logged each
// time that it happens.
func TestWhatHasHappenedStaysOpenUntilAcknowledged(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	f.later(t, time.Minute)
	f.up.set("R1", refund.StatusClosed) // taken back
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusClosed)); err != nil {
		t.Fatal(err)
	}
	f.wantOpen(t, "", "R1 refund_closed", "R1 reversed")
	f.wait(t, 30*time.Hour)
	f.wantOpen(t, "a day later", "R1 refund_closed", "R1 reversed")
	f.wantAlarms(t, "reversed", 1, "")
	if i := f.inspect(t, "R1"); !i.Attention {
		t.Error("R1 needs no attention")
	}
	f.acknowledge(t, "R1", "reversed")
	f.wantOpen(t, "", "R1 refund_closed")
	f.acknowledge(t, "R1", "refund_closed")
	f.wantOpen(t, "")
	i := f.inspect(t, "R1")
	if i.Attention || len(i.Causes) > 0 {
		t.Errorf("R1 still needs attention: %+v", i.Causes)
	}
	if e := i.History[len(i.History)-1]; e.What != "acknowledged" || e.By != "operator alice" || e.Note != "refund_closed: seen" {
		t.Errorf("the history ends with %+v", e)
	}
	err := f.Acknowledge(t.Context(), "R1", "refund_closed", "operator alice", "")
	wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix)
	err = f.Acknowledge(t.Context(), "R9", "refund_closed", "operator alice", "")
	wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix)
}

// What goes on and was acknowledged does not alarm again until it has ended and come anew.
func TestAcknowledgedCauseIsQuietUntilItComesAnew(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusAbnormal)
	f.later(t, time.Minute)
	f.wait(t, 26*time.Hour)
	f.wantAlarms(t, "refund_abnormal", 2, "in 26 hours")
	f.wantOpen(t, "", "R1 refund_abnormal")
	f.acknowledge(t, "R1", "refund_abnormal")
	f.wait(t, 48*time.Hour)
	f.wantOpen(t, "though it goes on")
	f.wantAlarms(t, "refund_abnormal", 2, "after it was acknowledged")
	if i := f.inspect(t, "R1"); len(i.Causes) != 1 || i.Causes[0].AcknowledgedBy != "operator alice" || i.Causes[0].Note != "seen" || i.Attention ||
		strings.Contains(fmt.Sprint(i.Masked()), "operator alice") {
		t.Errorf("%+v", i)
	}
	f.up.set("R1", refund.StatusProcessing)
	f.wait(t, 4*time.Hour)
	f.up.set("R1", refund.StatusAbnormal)
	f.wait(t, 4*time.Hour)
	f.wantOpen(t, "when it has come anew", "R1 refund_abnormal")
	f.wantAlarms(t, "refund_abnormal", 3, "when it has come anew")
}

// An alarm about no record is listed and acknowledged like any other.
func TestAlarmAboutNoRecordIsOpenUntilAcknowledged(t *testing.T) {
	f := clocked(t)
	f.write(t, refund.Item{Key: "refund/BAD", Body: []byte(`{"state":5}`), Due: f.Now()})
	f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "a verified notification cannot be read")
	f.wait(t, 26*time.Hour)
	f.wantOpen(t, "", "notify notification_unreadable", "refund/BAD item_unreadable")
	f.wantAlarms(t, "item_unreadable", 2, "in 26 hours")
	f.wantAlarms(t, "notification_unreadable", 0, "since its caller has logged it")
	f.acknowledge(t, "BAD", "item_unreadable")
	f.acknowledge(t, "notify", "notification_unreadable")
	f.wait(t, 72*time.Hour)
	f.wantOpen(t, "though the one goes on")
	f.wantAlarms(t, "item_unreadable", 2, "after it was acknowledged")
	f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "again")
	f.wantOpen(t, "when it has come anew", "notify notification_unreadable")
}

// What an earlier version keeps of an alarm about no record is its count and its time alone.
func TestAlarmOfAnEarlierVersionIsTakenUp(t *testing.T) {
	f := clocked(t)
	f.write(t,
		refund.Item{Key: "refund/BAD", Body: []byte(`{"state":5}`), Due: f.Now()},
		refund.Item{Key: "alarm/" + itemUnreadableBAD, Body: []byte(`{"told":"` + f.Now().Add(-time.Hour).Format(time.RFC3339) + `","count":3}`)},
		refund.Item{Key: "refund/R8", Body: []byte(`{"state":"success","request":{"out_refund_no":"R8"},"refund":{},"moves":1,"claimed_at":"2026-11-20T10:00:00Z","history":[],` +
			`"causes":[{"code":"contradiction","since":"2026-11-20T10:00:00Z","told":"2026-11-20T10:00:00Z","count":2}]}`), Class: "success!", At: f.Now()},
	)
	f.reconcile(t)
	f.wantAlarms(t, "item_unreadable", 0, "within a day of the last")
	f.later(t, 24*time.Hour)
	if !strings.Contains(f.log.String(), "count=4") {
		t.Errorf("the count is lost:\n%s", f.log)
	}
	alarms, _, err := f.Alarms(t.Context(), "", 10)
	if err != nil || len(alarms) != 2 {
		t.Fatalf("%+v, %v", alarms, err)
	}
	f.acknowledge(t, "R8", "contradiction")
}

// itemUnreadableBAD is the name of the alarm item_unreadable about refund/BAD.
const itemUnreadableBAD = "2569b33c20ed8ba8bfcdd803"

// A subscriber that is given up is an open alarm.
func TestSubscriberGivenUpIsAnOpenAlarm(t *testing.T) {
	f := clocked(t)
	s := f.subscribe("scf:shop")
	s.answer = failing
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, 80*time.Hour)
	f.wantOpen(t, "", "R1 subscriber_given_up")
	f.wantAlarms(t, "subscriber_given_up", 1, "")
	if alarms, _, _ := f.Alarms(t.Context(), "", 10); !strings.Contains(alarms[0].Why, "scf:shop") || alarms[0].Amount != 60 || alarms[0].State != refund.Success {
		t.Errorf("%+v", alarms[0])
	}
	// Who has acknowledged it has dealt with what was given up: nothing asks for a person any more.
	f.acknowledge(t, "R1", "subscriber_given_up")
	if i := f.inspect(t, "R1"); len(i.Pending) != 0 || len(i.Causes) != 0 || f.items(t, "refund/R1")[0].Class != "success" {
		t.Errorf("once it is acknowledged: %+v", i)
	}
	s.answer = nil
	if n, err := f.Redeliver(t.Context(), "R1", "", "operator alice"); n != 1 || err != nil {
		t.Errorf("told again: %d, %v", n, err)
	}
}

// What a wrong clock has set is an open alarm of the refund.
func TestTimeOfAWrongClockIsAnOpenAlarm(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	it := f.items(t, "refund/R1")[0]
	at := f.Now().Add(1000 * time.Hour)
	it.Body = []byte(strings.Replace(string(it.Body), `"ask_at":"2026-11-22T10:01:00Z"`, `"ask_at":"`+at.Format(time.RFC3339)+`"`, 1))
	it.Due = at
	f.write(t, it)
	f.later(t, 2*time.Hour)
	f.wantOpen(t, "", "R1 clock")
}

// What is kept of a cause is bounded, whatever has caused it and however often.
func TestCausesAreBounded(t *testing.T) {
	f := clocked(t)
	f.KeepAlarm(t.Context(), "notify", "notification_unreadable", strings.Repeat("很", 9000))
	alarms, _, err := f.Alarms(t.Context(), "", 1)
	if err != nil || len(alarms) != 1 || len(alarms[0].Why) > 512 || !strings.HasPrefix(alarms[0].Why, "很很") || strings.Contains(alarms[0].Why, "\uFFFD") {
		t.Errorf("%d alarms, %v", len(alarms), err)
	}
	f.must(t, request("R1", 60))
	for i := range 50 {
		n := notification("R1", 61, refund.StatusSuccess)
		n.EventID = fmt.Sprint("E", i)
		_, _ = f.Settle(t.Context(), n)
		f.advance(25 * time.Hour)
	}
	if n := len(f.inspect(t, "R1").Causes); n > 2 {
		t.Errorf("%d causes, want one of each code", n)
	}
}

// A refund that is processing on its fifth day is an alarm, which ends when it moves.
func TestProcessingOnTheFifthDayIsAnAlarm(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.wait(t, 95*time.Hour)
	f.wantOpen(t, "in four days")
	f.wait(t, 5*time.Hour)
	f.wantOpen(t, "on the fifth", "R1 processing_long")
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, 4*time.Hour)
	f.wantOpen(t, "when it has succeeded")
}

// An order that will be a year old within a week is an alarm while a refund of it is open.
func TestOrderThatIsAboutToBeAYearOldIsAnAlarm(t *testing.T) {
	for _, c := range []struct {
		name, transaction string
		after             time.Duration
		want              []string
	}{
		{"by its number, too young", "4200001234202512101234567890", 0, nil},
		{"by its number, a week before", "4200001234202511281234567890", 0, []string{"R1 order_expiring"}},
		{"by its number, older than a year", "4200001234202510011234567890", 0, []string{"R1 order_expiring"}},
		{"a number without a date", "4200001234999999991234567890", 0, nil},
		{"a number with a date to come", "4200001234202712281234567890", 0, nil},
		{"a short number", "20251128", 0, nil},
		{"by its first refund", "20251128", 358 * 24 * time.Hour, []string{"R1 order_expiring"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := clocked(t)
			f.up.named = func(r *refund.Refund) { r.TransactionID = c.transaction }
			f.must(t, request("R1", 60))
			f.up.set("R1", refund.StatusAbnormal)
			f.advance(c.after)
			f.later(t, time.Minute)
			f.later(t, time.Minute)
			got := slices.DeleteFunc(f.open(t), func(s string) bool { return s == "R1 refund_abnormal" })
			if !slices.Equal(got, c.want) {
				t.Errorf("open alarms are %q, want %q", got, c.want)
			}
			f.up.set("R1", refund.StatusSuccess)
			f.wait(t, 4*time.Hour)
			f.wantOpen(t, "when it is done")
		})
	}
}
