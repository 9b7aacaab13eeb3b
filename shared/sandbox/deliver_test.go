package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
)

// repeats is the documented schedule: 24 hours and 4 minutes.
var repeats = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

// TestSchedule lives through the whole schedule in real order, with a receiver
// that never acknowledges.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.receiver.answer = func(int, *http.Request) (*http.Response, error) { return respond(500, `{"code":"FAIL"}`), nil }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.sandbox.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run() = %v", err)
			}
		}()
		w.order("T1")
		w.refund("T1", "R1")
		time.Sleep(6 * time.Minute)
		if got := w.status("R1"); got != "SUCCESS" {
			t.Errorf("six minutes later the refund is %v", got)
		}
		time.Sleep(25 * time.Hour)

		posts := w.receiver.received()
		if len(posts) != 16 {
			t.Fatalf("%d sends, want 16", len(posts))
		}
		nonces := map[string]bool{}
		for i, p := range posts {
			if i > 0 {
				if got := p.at.Sub(posts[i-1].at); got != repeats[i-1] {
					t.Errorf("repeat %d came after %v, want %v", i, got, repeats[i-1])
				}
			}
			if diff := cmp.Diff(string(posts[0].body), string(p.body)); diff != "" {
				t.Errorf("send %d has another body:\n%s", i, diff)
			}
			if got, want := p.header.Get("Wechatpay-Timestamp"), fmt.Sprint(p.at.Unix()); got != want {
				t.Errorf("send %d is signed at %s, want %s", i, got, want)
			}
			nonces[p.header.Get("Wechatpay-Nonce")] = true
			if i%5 == 0 {
				if err := w.verify(p.header, p.body, w.serial); err != nil {
					t.Errorf("send %d: %v", i, err)
				}
			}
		}
		if len(nonces) != 16 {
			t.Errorf("%d nonces in 16 sends", len(nonces))
		}
		d := w.deliveries()[0]
		if d.State != "failed" || d.NextAt != "" || len(d.Attempts) != 16 || d.Attempts[3].Status != 500 || d.Attempts[3].Reply != `{"code":"FAIL"}` || d.Attempts[3].Error == "" {
			t.Errorf("delivery %+v", d)
		}

		// Once more by hand, and it arrives.
		w.receiver.answer = nil
		a := w.control("POST", "/_sandbox/deliveries/"+d.ID+"/resend", "", 200)
		if a.field("state") != "delivered" {
			t.Errorf("resend: %s", a.body)
		}
		w.control("POST", "/_sandbox/deliveries/x/resend", "", 404)
	})
}

// TestNotification reads a notification as a merchant does.
func TestNotification(t *testing.T) {
	for _, provider := range []bool{false, true} {
		w := newWorld(t)
		w.order("T1")
		body := set(t, set(t, validRefund, "/amount/from", []any{}), "/notify_url", "https://merchant.example/other")
		if provider {
			body = set(t, body, "/sub_mchid", "1900000109")
		}
		if a := w.call("POST", refundsPath, body); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		w.advance("5m")
		posts := w.receiver.received()
		if len(posts) != 1 {
			t.Fatalf("%d notifications, want 1", len(posts))
		}
		p := posts[0]
		if p.url != "https://merchant.example/other" {
			t.Errorf("posted to %s, want the refund's own address", p.url)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "Mozilla/4.0", "Accept": "*/*",
			"Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
		} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		n, l := w.notification(p.body)
		if n.EventType != "REFUND.SUCCESS" || n.ResourceType != "encrypt-resource" || n.Summary != "退款成功" || len(n.ID) != 36 || n.Resource.OriginalType != "refund" {
			t.Errorf("notification %+v", n)
		}
		if n.ID != w.deliveries()[0].ID {
			t.Errorf("the delivery %s is not of notification %s", w.deliveries()[0].ID, n.ID)
		}
		if l.RefundStatus != "SUCCESS" || l.OutRefundNo != "R_1-|*@" || l.OutTradeNo != "T1" || l.Amount.Refund != 1000 || *l.Amount.PayerRefund != 1000 || l.Amount.Total != 10000 || !strings.HasSuffix(l.SuccessTime, "+08:00") {
			t.Errorf("notification %+v", l)
		}
		if direct := l.MchID == w.signer.MchID && l.SpMchID == "" && l.SubMchID == ""; direct == provider {
			t.Errorf("notification is of %q, %q, %q", l.MchID, l.SpMchID, l.SubMchID)
		}
	}
}

// TestAcknowledgement tries answers.
func TestAcknowledgement(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	tests := []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		ok     bool
		words  string
	}{
		{"200 SUCCESS", say(200, `{"code":"SUCCESS","message":"成功"}`), true, ""},
		{"200 empty", say(200, ""), true, ""},
		{"204", say(204, ""), true, ""},
		{"200 FAIL", say(200, `{"code":"FAIL","message":"失败"}`), false, "SUCCESS"},
		{"200 text", say(200, "OK"), false, "SUCCESS"},
		{"200 XML", say(200, "<xml><return_code>SUCCESS</return_code></xml>"), false, "SUCCESS"},
		{"200 too long", say(200, strings.Repeat(" ", 1<<20)), false, "64 KiB"},
		{"201", say(201, `{"code":"SUCCESS"}`), false, "201"},
		{"302", say(302, ""), false, "302"},
		{"401", say(401, `{"code":"FAIL"}`), false, "401"},
		{"500 SUCCESS", say(500, `{"code":"SUCCESS"}`), false, "500"},
		{"no connection", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, false, "refused"},
		{"no answer", hang, false, "no answer within 5s"},
		{"an answer that does not end", func(r *http.Request) (*http.Response, error) {
			response := respond(200, "")
			response.Body = endless{r.Context()}
			return response, nil
		}, false, "no answer within 5s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.receiver.answer = func(_ int, r *http.Request) (*http.Response, error) { return tt.answer(r) }
				w.order("T1")
				w.refund("T1", "R1")
				began := time.Now()
				w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the attempt took %v", took)
				}
				d := w.deliveries()[0]
				if len(d.Attempts) != 1 || (d.State == "delivered") != tt.ok || !strings.Contains(d.Attempts[0].Error, tt.words) {
					t.Errorf("delivery %+v", d)
				}
				if !tt.ok && (d.State != "pending" || d.NextAt == "") {
					t.Errorf("delivery %+v, want it to be repeated", d)
				}
			})
		})
	}
}

func say(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return respond(status, body), nil }
}

type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) { <-e.ctx.Done(); return 0, e.ctx.Err() }
func (e endless) Close() error               { return nil }

// TestSettle plays the states of a refund.
func TestSettle(t *testing.T) {
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
			w := newWorld(t)
			w.order("T1")
			w.refund("T1", "R1")
			for i, step := range tt.steps {
				status := 200
				if i == len(tt.steps)-1 {
					status = tt.status
				}
				w.control("POST", "/_sandbox/refunds/R1/settle", fmt.Sprintf(`{"status":%q}`, names[step]), status)
			}
			w.advance("1h") // the refund's own settlement comes to nothing
			var events, notifications string
			for _, d := range w.deliveries() {
				events += d.EventType[len("REFUND."):][:1]
			}
			for _, p := range w.receiver.received() {
				_, l := w.notification(p.body)
				notifications += l.RefundStatus[:1]
				if (l.SuccessTime != "") != (l.RefundStatus == "SUCCESS") {
					t.Errorf("notification of %s with success_time %q", l.RefundStatus, l.SuccessTime)
				}
			}
			if events != tt.events || notifications != tt.events {
				t.Errorf("deliveries %q, notifications %q, want %q", events, notifications, tt.events)
			}
			a := w.call("GET", refundsPath+"/R1", "")
			last := names[rune(tt.events[len(tt.events)-1])]
			if a.field("status") != last || (a.field("success_time") != nil) != (last == "SUCCESS") {
				t.Errorf("refund %s, want %s", a.body, last)
			}
			channel := "ORIGINAL"
			if tt.events == "AS" { // the money took another way
				channel = "OTHER_BANKCARD"
			}
			if a.field("channel") != channel {
				t.Errorf("channel %v, want %s", a.field("channel"), channel)
			}
		})
	}
	w := newWorld(t)
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 404)
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"PROCESSING"}`, 400)
}

// TestHostile has every notification come twice, and some overtake others.
func TestHostile(t *testing.T) {
	history := func(seed int64) (order []string, deliveries []deliveryView) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *sandbox.Config) { c.Hostile, c.Seed = true, seed })
			w.order("T1")
			var settled []string
			for i := range 40 {
				w.refund("T1", fmt.Sprintf("R%02d", i), 1)
			}
			w.advance("30m")
			for _, p := range w.receiver.received() {
				_, l := w.notification(p.body)
				order = append(order, l.OutRefundNo)
			}
			deliveries = w.deliveries()
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

// TestByHand makes a refund on the merchant platform.
func TestByHand(t *testing.T) {
	w := newWorld(t)
	w.order("T1")
	for i, body := range []string{
		`{"out_trade_no":"T1","out_refund_no":"H1","amount":100}`,
		`{"out_trade_no":"T1","out_refund_no":"H2","amount":{"refund":100},"reason":"x"}`,
		`{"out_trade_no":"T1","out_refund_no":"H3","amount":{"refund":100,"total":10000,"currency":"CNY"}}`,
	} {
		a := w.control("POST", "/_sandbox/refunds", body, 200)
		if a.field("status") != "PROCESSING" || a.field("amount", "refund") != 100.0 || a.field("amount", "total") != 10000.0 {
			t.Errorf("%s", a.body)
		}
		if got := w.status(fmt.Sprintf("H%d", i+1)); got != "PROCESSING" {
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
		w.control("POST", "/_sandbox/refunds", body, status)
	}
	w.advance("10m")
	if n := len(w.receiver.received()); n != 3 {
		t.Errorf("%d notifications, want 3", n)
	}
	var list struct {
		Refunds []map[string]any `json:"refunds"`
	}
	w.control("GET", "/_sandbox/refunds", "", 200).decode(t, &list)
	if len(list.Refunds) != 3 || list.Refunds[0]["out_refund_no"] != "H1" || list.Refunds[0]["status"] != "SUCCESS" {
		t.Errorf("refunds %v", list.Refunds)
	}
}
