package apiv3_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox/sandboxtest"
)

func TestANotificationVerifiesAndTellsTheRefund(t *testing.T) {
	for _, provider := range []bool{false, true} {
		w := sandboxtest.New(t)
		w.Order("T1")
		body := sandboxtest.Set(t, sandboxtest.Set(t, validRefund, "/amount/from", []any{}), "/notify_url", "https://merchant.example/other")
		if provider {
			body = sandboxtest.Set(t, body, "/sub_mchid", "1900000109")
		}
		if a := w.Call("POST", sandboxtest.RefundsPath, body); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		w.Advance("5m")
		posts := w.Receiver.Received()
		if len(posts) != 1 {
			t.Fatalf("%d notifications, want 1", len(posts))
		}
		p := posts[0]
		if p.URL != "https://merchant.example/other" {
			t.Errorf("posted to %s, want the refund's own address", p.URL)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "Mozilla/4.0", "Accept": "*/*",
			"Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
		} {
			if got := p.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		n, l := w.Notification(p.Body)
		if n.EventType != "REFUND.SUCCESS" || n.ResourceType != "encrypt-resource" || n.Summary != "退款成功" || len(n.ID) != 36 || n.Resource.OriginalType != "refund" {
			t.Errorf("notification %+v", n)
		}
		if n.ID != w.Deliveries()[0].ID {
			t.Errorf("the delivery %s is not of notification %s", w.Deliveries()[0].ID, n.ID)
		}
		if l.RefundStatus != "SUCCESS" || l.OutRefundNo != "R_1-|*@" || l.OutTradeNo != "T1" || l.Amount.Refund != 1000 || *l.Amount.PayerRefund != 1000 || l.Amount.Total != 10000 || !strings.HasSuffix(l.SuccessTime, "+08:00") {
			t.Errorf("notification %+v", l)
		}
		if direct := l.MchID == w.Signer.MchID && l.SpMchID == "" && l.SubMchID == ""; direct == provider {
			t.Errorf("notification is of %q, %q, %q", l.MchID, l.SpMchID, l.SubMchID)
		}
	}
}

func TestOnlyADocumentedAnswerAcknowledges(t *testing.T) {
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
			response := sandboxtest.Respond(200, "")
			response.Body = endless{r.Context()}
			return response, nil
		}, false, "no answer within 5s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sandboxtest.New(t)
				w.Receiver.Answer = func(_ int, r *http.Request) (*http.Response, error) { return tt.answer(r) }
				w.Order("T1")
				w.Refund("T1", "R1")
				began := time.Now()
				w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the attempt took %v", took)
				}
				d := w.Deliveries()[0]
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
	return func(*http.Request) (*http.Response, error) { return sandboxtest.Respond(status, body), nil }
}

type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) { <-e.ctx.Done(); return 0, e.ctx.Err() }
func (e endless) Close() error               { return nil }
