package notify_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const apiKey = "192006250b4c09247ec02edce69f6a2d"

// A notification2 is a v2 notification in all its parts.
type notification2 struct {
	outer, inner wxpay.Fields
	seal         func(plain []byte) string
	body         func(string) string
}

// sendV2 posts a valid v2 notification with one thing changed.
func (f *fixture) sendV2(t testing.TB, change func(*notification2)) *httptest.ResponseRecorder {
	t.Helper()
	key, err := wxpay.ParseAPIKey(apiKey)
	if err != nil {
		t.Fatal(err)
	}
	if f.APIKey == (wxpay.APIKey{}) {
		f.APIKey = key
	}
	m := &notification2{
		outer: wxpay.Fields{"return_code": "SUCCESS", "appid": "wx8888888888888888", "mch_id": mchid, "nonce_str": "TeqClE3i0mvn3DrK"},
		inner: wxpay.Fields{
			"out_refund_no": "R1", "out_trade_no": "O1", "transaction_id": "1217752501201407033233368018", "refund_id": "50000000382019052709732678859",
			"refund_account": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_fee": "60", "total_fee": "100", "settlement_refund_fee": "60", "settlement_total_fee": "100",
			"refund_recv_accout": "支付用户零钱", "refund_request_source": "VENDOR_PLATFORM", "refund_status": "SUCCESS", "success_time": "2026-11-22 10:05:00",
		},
		seal: key.SealReqInfo, body: func(s string) string { return s },
	}
	change(m)
	plain := strings.NewReplacer("<xml>", "<root>", "</xml>", "</root>").Replace(string(m.inner.XML()))
	if m.seal != nil {
		m.outer["req_info"] = m.seal([]byte(plain))
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(m.body(string(m.outer.XML()))))
	r.Header.Set("Content-Type", "text/xml")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// A v2 notification comes to the same URL, is confirmed by a query and acknowledged in XML.
func TestV2NotificationIsConfirmedOnceAndAcknowledgedInXML(t *testing.T) {
	f := setUp(t)
	f.up.err = nil
	f.up.reply = refund.Refund{OutRefundNo: "R1", OutTradeNo: "O1", Status: refund.StatusSuccess, Amount: refund.Amount{Refund: 60, Total: 100}}
	for range 3 {
		w := f.sendV2(t, func(*notification2) {})
		want := "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
		if d := cmp.Diff(want, w.Body.String()); w.Code != 200 || d != "" {
			t.Errorf("%d (-want +got):\n%s", w.Code, d)
		}
	}
	if got := f.recorded(t); got != "SUCCESS" || f.up.asked != 1 {
		t.Errorf("recorded %s after %d queries, want SUCCESS after one", got, f.up.asked)
	}
}

// A v2 notification counts for nothing until the upstream has confirmed it.
func TestV2NotificationIsAHintOnly(t *testing.T) {
	f := setUp(t)
	if w := f.sendV2(t, func(*notification2) {}); w.Code != 503 || !strings.HasPrefix(w.Body.String(), "<xml><return_code><![CDATA[FAIL]]>") {
		t.Errorf("without an answer: %d %s, want 503 and FAIL in XML", w.Code, w.Body)
	}
	f.up.err = &refund.Error{Code: refund.CodeNotFound, Next: refund.AfterFix, Message: "no such refund"}
	if w := f.sendV2(t, func(*notification2) {}); w.Code != 503 {
		t.Errorf("unknown upstream: %d, want 503", w.Code)
	}
	if got := f.recorded(t); got != "-" {
		t.Errorf("recorded %s", got)
	}
}

// C9 and the rest: a valid v2 notification with one thing changed is refused, in XML. All
// that XML can have wrong with it is in package wxpay's tests.
func TestV2NotificationWithOneThingChangedIsRefused(t *testing.T) {
	other, _ := wxpay.ParseAPIKey("another-key-of-thirty-two-bytes!")
	body := func(old, new string) func(*notification2) {
		return func(m *notification2) { m.body = func(s string) string { return strings.Replace(s, old, new, 1) } }
	}
	for _, c := range []struct {
		name   string
		change func(*notification2)
		status int
	}{
		{"sealed with another key", func(m *notification2) { m.seal = other.SealReqInfo }, 401},
		{"cut ciphertext", func(m *notification2) {
			seal := m.seal
			m.seal = func(p []byte) string { return seal(p)[:20] }
		}, 401},
		{"no req_info", func(m *notification2) { m.seal = nil }, 400},
		{"return_code FAIL", func(m *notification2) { m.outer["return_code"] = "FAIL" }, 400},
		{"another merchant", func(m *notification2) { m.outer["mch_id"] = "1900000110" }, 400},
		{"a sub-merchant", func(m *notification2) { m.outer["sub_mch_id"] = "1900000111" }, 400},
		{"unknown status", func(m *notification2) { m.inner["refund_status"] = "DONE" }, 400},
		{"no refund number", func(m *notification2) { delete(m.inner, "out_refund_no") }, 400},
		{"inner is no XML", func(m *notification2) {
			seal := m.seal
			m.seal = func([]byte) string { return seal([]byte("soon")) }
		}, 401},
		{"DOCTYPE", body("<xml>", `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml>`), 400},
		{"entity", body("<nonce_str>", "<nonce_str>&x;"), 400},
		{"second root", body("</xml>", "</xml><xml></xml>"), 400},
		{"duplicate element", body("<mch_id>", "<mch_id>1</mch_id><mch_id>"), 400},
		{"deep", body("<xml>", strings.Repeat("<xml>", 5000)), 400},
	} {
		f := setUp(t)
		w := f.sendV2(t, c.change)
		if w.Code != c.status || !strings.HasPrefix(w.Body.String(), "<xml><return_code><![CDATA[FAIL]]>") {
			t.Errorf("%s: %d %s, want %d and FAIL in XML", c.name, w.Code, w.Body, c.status)
		}
		if f.up.asked > 0 {
			t.Errorf("%s: the upstream was asked", c.name)
		}
	}
}
