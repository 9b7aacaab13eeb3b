package notify_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"wxrefund/notify"
	"wxrefund/shared/refund"
)

func TestEachAnswerIsToldWithItsReason(t *testing.T) {
	header := func(name, value string) func(*message) {
		return func(m *message) { m.request = func(r *http.Request) { r.Header.Set(name, value) } }
	}
	told := func(f *fixture) *[]string {
		var all []string
		f.Answered = func(outcome, reason string) { all = append(all, outcome+"/"+reason) }
		return &all
	}
	for want, change := range map[string]func(*message){
		"acknowledged/":            func(*message) {},
		"refused/method":           func(m *message) { m.request = func(r *http.Request) { r.Method = http.MethodGet } },
		"refused/too large":        func(m *message) { m.body = func([]byte) []byte { return make([]byte, 64<<10+1) } },
		"refused/probe":            header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/abc"),
		"refused/header":           func(m *message) { m.request = func(r *http.Request) { r.Header.Del("Wechatpay-Signature") } },
		"refused/stale":            func(m *message) { m.at = time.Now().Add(-301 * time.Second) },
		"refused/unknown key":      header("Wechatpay-Serial", "PUB_KEY_ID_X"),
		"refused/signature":        func(m *message) { m.key = strangerKey() },
		"refused/unreadable":       func(m *message) { m.notification.EventType = "REFUND.WHATEVER" },
		"refused/another merchant": func(m *message) { m.refund.SubMchID = "1900000111" },
		"unsettled/":               func(m *message) { m.refund.MchID = "1900000110" },
	} {
		f := setUp(t)
		got := told(f)
		f.send(t, change)
		if !slices.Equal(*got, []string{want}) {
			t.Errorf("told %q, want %q once", *got, want)
		}
	}

	f := setUp(t)
	got := told(f)
	f.Invoke(t.Context(), refund.Caller{}, []byte(`{}`))
	f.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, []byte(`{}`))
	f.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, []byte(`{"event_type":"REFUND.SUCCESS","out_refund_no":"R1","out_trade_no":"O1","sub_mchid":"1"}`))
	f.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, []byte(`{"event_type":"REFUND.SUCCESS","out_refund_no":"R1","out_trade_no":"O1"}`))
	f.sendV2(t, func(m *notification2) { m.seal = func([]byte) string { return "AAAA" } })
	f.sendV2(t, func(m *notification2) { m.outer["mch_id"] = "1" })
	f.sendV2(t, func(m *notification2) { m.outer["return_code"] = "FAIL" })
	if want := []string{"refused/caller", "refused/malformed", "refused/another merchant", "unsettled/", "refused/api key", "refused/another merchant", "refused/malformed"}; !slices.Equal(*got, want) {
		t.Errorf("told %q, want %q", *got, want)
	}
	// What is told is what is listed: every series is there from the beginning.
	listed := []string{}
	for _, o := range notify.Outcomes() {
		listed = append(listed, o+"/")
		for _, r := range notify.Reasons() {
			listed = append(listed, o+"/"+r)
		}
	}
	for _, word := range *got {
		if !slices.Contains(listed, word) {
			t.Errorf("%q is not listed", word)
		}
	}
}
