package world_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// TestNotificationsAreRepeatedOnTheDocumentedSchedule lives through the whole schedule in real order, with a receiver
// that never acknowledges.
func TestNotificationsAreRepeatedOnTheDocumentedSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Receiver.Answer = func(int, *http.Request) (*http.Response, error) {
			return sandboxtest.Respond(500, `{"code":"FAIL"}`), nil
		}
		w.Run()
		w.Order("T1")
		w.Refund("T1", "R1")
		time.Sleep(6 * time.Minute)
		if got := w.Status("R1"); got != "SUCCESS" {
			t.Errorf("six minutes later the refund is %v", got)
		}
		time.Sleep(25 * time.Hour)

		posts := w.Receiver.Received()
		if len(posts) != 16 {
			t.Fatalf("%d sends, want 16", len(posts))
		}
		nonces := map[string]bool{}
		for i, p := range posts {
			if i > 0 {
				if got := p.At.Sub(posts[i-1].At); got != sandboxtest.Schedule[i-1] {
					t.Errorf("repeat %d came after %v, want %v", i, got, sandboxtest.Schedule[i-1])
				}
			}
			if diff := cmp.Diff(string(posts[0].Body), string(p.Body)); diff != "" {
				t.Errorf("send %d has another body:\n%s", i, diff)
			}
			if got, want := p.Header.Get("Wechatpay-Timestamp"), fmt.Sprint(p.At.Unix()); got != want {
				t.Errorf("send %d is signed at %s, want %s", i, got, want)
			}
			nonces[p.Header.Get("Wechatpay-Nonce")] = true
			if i%5 == 0 {
				if err := w.Verify(p.Header, p.Body, p.Header.Get("Wechatpay-Serial")); err != nil {
					t.Errorf("send %d: %v", i, err)
				}
			}
		}
		if len(nonces) != 16 {
			t.Errorf("%d nonces in 16 sends", len(nonces))
		}
		d := w.Deliveries()[0]
		if d.State != "failed" || d.NextAt != "" || len(d.Attempts) != 16 || d.Attempts[3].Status != 500 || d.Attempts[3].Reply != `{"code":"FAIL"}` || d.Attempts[3].Error == "" {
			t.Errorf("delivery %+v", d)
		}

		// Once more by hand, and it arrives.
		w.Receiver.Answer = nil
		a := w.Control("POST", "/_sandbox/deliveries/"+d.ID+"/resend", "", 200)
		if a.Field("state") != "delivered" {
			t.Errorf("resend: %s", a.Body)
		}
		w.Control("POST", "/_sandbox/deliveries/x/resend", "", 404)
	})
}

func TestARefundTakesOnlyTheDocumentedSteps(t *testing.T) {
	tests := []struct {
		steps  string // by their first letters
		status int    // of the last
		events string
	}{
		{"S", 200, "S"},
		{"C", 200, "C"},
		{"A", 200, "A"},
		{"AS", 200, "AS"},
		{"AC", 200, "AC"},
		{"SS", 200, "S"},
		{"AA", 200, "A"},
		{"SC", 409, "S"},
		{"SA", 409, "S"},
		{"CS", 409, "C"},
		{"CA", 409, "C"},
		{"ASC", 409, "AS"},
	}
	names := map[rune]string{'S': "SUCCESS", 'C': "CLOSED", 'A': "ABNORMAL"}
	for _, tt := range tests {
		t.Run(tt.steps, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Order("T1")
			w.Refund("T1", "R1")
			for i, step := range tt.steps {
				status := 200
				if i == len(tt.steps)-1 {
					status = tt.status
				}
				w.Control("POST", "/_sandbox/refunds/R1/settle", fmt.Sprintf(`{"status":%q}`, names[step]), status)
			}
			w.Advance("1h") // the refund's own settlement comes to nothing
			var events, notifications string
			for _, d := range w.Deliveries() {
				events += d.EventType[len("REFUND."):][:1]
			}
			for _, p := range w.Receiver.Received() {
				_, l := w.Notification(p.Body)
				notifications += l.RefundStatus[:1]
				if (l.SuccessTime != "") != (l.RefundStatus == "SUCCESS") {
					t.Errorf("notification of %s with success_time %q", l.RefundStatus, l.SuccessTime)
				}
			}
			if events != tt.events || notifications != tt.events {
				t.Errorf("deliveries %q, notifications %q, want %q", events, notifications, tt.events)
			}
			a := w.Call("GET", sandboxtest.RefundsPath+"/R1", "")
			last := names[rune(tt.events[len(tt.events)-1])]
			if a.Field("status") != last || (a.Field("success_time") != nil) != (last == "SUCCESS") {
				t.Errorf("refund %s, want %s", a.Body, last)
			}
			channel := "ORIGINAL"
			if tt.events == "AS" { // the money took another way
				channel = "OTHER_BANKCARD"
			}
			if a.Field("channel") != channel {
				t.Errorf("channel %v, want %s", a.Field("channel"), channel)
			}
		})
	}
	w := sandboxtest.New(t)
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 404)
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"PROCESSING"}`, 400)
}

func TestHostilityDuplicatesAndReordersNotifications(t *testing.T) {
	history := func(seed int64) (order []string, deliveries []sandboxtest.Delivery) {
		synctest.Test(t, func(t *testing.T) {
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.Hostile, c.Seed = true, seed })
			w.Order("T1")
			var settled []string
			for i := range 40 {
				w.Refund("T1", fmt.Sprintf("R%02d", i), 1)
			}
			w.Advance("30m")
			for _, p := range w.Receiver.Received() {
				_, l := w.Notification(p.Body)
				order = append(order, l.OutRefundNo)
			}
			deliveries = w.Deliveries()
			for _, d := range deliveries {
				settled = append(settled, d.OutRefundNo)
				if d.State != "delivered" || len(d.Attempts) != 2 {
					t.Errorf("delivery %+v, want it delivered twice", d)
				}
			}
			firsts := []string{}
			seen := map[string]bool{}
			for _, r := range order {
				if !seen[r] {
					firsts, seen[r] = append(firsts, r), true
				}
			}
			if cmp.Diff(settled, firsts) == "" {
				t.Error("forty notifications arrived in the order of their events")
			}
		})
		return order, deliveries
	}
	order1, deliveries1 := history(7)
	order2, deliveries2 := history(7)
	if diff := cmp.Diff(order1, order2); diff != "" {
		t.Errorf("the same seed gives another order:\n%s", diff)
	}
	if diff := cmp.Diff(deliveries1, deliveries2); diff != "" {
		t.Errorf("the same seed gives other deliveries:\n%s", diff)
	}
	if order3, _ := history(8); cmp.Diff(order1, order3) == "" {
		t.Error("another seed gives the same order")
	}
}

func TestARefundByHandKeepsTheOrdersRules(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	for i, body := range []string{
		`{"out_trade_no":"T1","out_refund_no":"H1","amount":100}`,
		`{"out_trade_no":"T1","out_refund_no":"H2","amount":{"refund":100},"reason":"x"}`,
		`{"out_trade_no":"T1","out_refund_no":"H3","amount":{"refund":100,"total":10000,"currency":"CNY"}}`,
	} {
		a := w.Control("POST", "/_sandbox/refunds", body, 200)
		if a.Field("status") != "PROCESSING" || a.Field("amount", "refund") != 100.0 || a.Field("amount", "total") != 10000.0 {
			t.Errorf("%s", a.Body)
		}
		if got := w.Status(fmt.Sprintf("H%d", i+1)); got != "PROCESSING" {
			t.Errorf("asked about, it is %v", got)
		}
	}
	for body, status := range map[string]int{
		`{"out_trade_no":"T1","out_refund_no":"H1","amount":100}`:                 409,
		`{"out_trade_no":"T2","out_refund_no":"H4","amount":100}`:                 404,
		`{"out_refund_no":"H4","amount":100}`:                                     400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":10000}`:               400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":0}`:                   400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":1.5}`:                 400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":"1"}`:                 400,
		`{"out_trade_no":"T1","out_refund_no":"H4"}`:                              400,
		`{"out_trade_no":"T1","amount":1}`:                                        400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":{"total":1}}`:         400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":{"refund":1,"x":1}}`:  400,
		`{"out_trade_no":"T1","out_refund_no":"H4","amount":{"refund":1},"x":""}`: 400,
	} {
		w.Control("POST", "/_sandbox/refunds", body, status)
	}
	w.Advance("10m")
	if n := len(w.Receiver.Received()); n != 3 {
		t.Errorf("%d notifications, want 3", n)
	}
	var list struct {
		Refunds []map[string]any `json:"refunds"`
	}
	w.Control("GET", "/_sandbox/refunds", "", 200).Decode(t, &list)
	if len(list.Refunds) != 3 || list.Refunds[0]["out_refund_no"] != "H1" || list.Refunds[0]["status"] != "SUCCESS" {
		t.Errorf("refunds %v", list.Refunds)
	}
}
