package notify_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// relayed is what the CloudBase template hands on: shape A.
const relayed = `{"id":"EV-2018022511223320873","create_time":"2026-11-22T10:05:01+08:00","resource_type":"encrypt-resource","event_type":"REFUND.SUCCESS",
"summary":"退款成功","resource":{"mchid":"1900000109","out_trade_no":"O1","transaction_id":"1217752501201407033233368018","out_refund_no":"R1",
"refund_id":"50000000382019052709732678859","refund_status":"SUCCESS","success_time":"2026-11-22T10:05:00+08:00","user_received_account":"招商银行信用卡0403",
"amount":{"total":100,"refund":60,"payer_total":100,"payer_refund":60}}}`

const (
	relaySuccess = `{"code":"SUCCESS","message":"成功","errcode":0,"errmsg":"SUCCESS"}`
	server       = refund.Server
)

func (f *fixture) relay(t *testing.T, kind refund.CallerKind, event string) string {
	t.Helper()
	return string(f.Invoke(t.Context(), refund.Caller{Kind: kind, OpenID: "oSomebody"}, []byte(event)))
}

// Every shape in which the platform's relays pass a notification on is understood, is a
// hint only, and is answered with the union.
func TestEveryRelayShapeIsAHintAndAcknowledged(t *testing.T) {
	files, err := filepath.Glob("testdata/relay-*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d shapes, %v", len(files), err)
	}
	for _, file := range files {
		event, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := setUp(t)
		f.up.err = nil
		// The upstream's answer counts, not the notification's.
		f.up.reply = refund.Refund{OutRefundNo: "R1", OutTradeNo: "O1", Status: refund.StatusClosed, Amount: refund.Amount{Refund: 60, Total: 100}}
		if d := cmp.Diff(relaySuccess, f.relay(t, server, string(event))); d != "" {
			t.Errorf("%s (-want +got):\n%s", file, d)
		}
		if got := f.recorded(t); got != "CLOSED" {
			t.Errorf("%s: recorded %s, want what the upstream says: CLOSED", file, got)
		}
	}
}

// C1: a perfect forgery changes nothing, since the upstream does not know the refund.
func TestForgedRelayChangesNothing(t *testing.T) {
	f := setUp(t)
	f.up.err = &refund.Error{Code: refund.CodeNotFound, Next: refund.AfterFix, Message: "no such refund"}
	if got := f.relay(t, server, relayed); !strings.Contains(got, `"code":"FAIL"`) || !strings.Contains(got, `"errcode":1`) {
		t.Errorf("%s, want FAIL", got)
	}
	if got := f.recorded(t); got != "-" {
		t.Errorf("recorded %s", got)
	}
}

// Servers may relay, and so may sources that nobody has listed, since that of the
// platform's own relays is not documented; no client and no HTTP request may.
func TestOnlyServersAndUnlistedSourcesMayRelay(t *testing.T) {
	for _, kind := range []refund.CallerKind{refund.Server, refund.Unlisted} {
		f := setUp(t)
		f.up.err = nil
		f.up.reply = refund.Refund{OutRefundNo: "R1", OutTradeNo: "O1", Status: refund.StatusSuccess, Amount: refund.Amount{Refund: 60, Total: 100}}
		if d := cmp.Diff(relaySuccess, f.relay(t, kind, relayed)); d != "" || f.up.asked == 0 {
			t.Errorf("caller %d, the upstream asked %d times (-want +got):\n%s", kind, f.up.asked, d)
		}
	}
	for _, kind := range []refund.CallerKind{refund.Nobody, refund.User} {
		f := setUp(t)
		if got := f.relay(t, kind, relayed); !strings.Contains(got, `"code":"FAIL"`) {
			t.Errorf("caller %d: %s, want FAIL", kind, got)
		}
		if f.up.asked > 0 {
			t.Errorf("caller %d: the upstream was asked", kind)
		}
	}
}

// What is not about a refund is refused, and the upstream is not asked.
func TestRelayOfNoRefundIsRefused(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(relayed, old, new, 1) }
	for name, event := range map[string]string{
		"empty":           ``,
		"no JSON":         `{`,
		"array":           `[]`,
		"null":            `null`,
		"a number":        `{"ParsedContent":5}`,
		"a payment":       replace("REFUND.SUCCESS", "TRANSACTION.SUCCESS"),
		"unknown event":   replace("REFUND.SUCCESS", "REFUND.WHATEVER"),
		"no number":       replace(`"out_refund_no":"R1",`, ``),
		"a path":          replace(`"R1"`, `"../certificates"`),
		"still sealed":    replace(`"resource":{`, `"resource":{"ciphertext":"x",`),
		"too large":       replace("退款成功", strings.Repeat("x", 64<<10)),
		"an HTTP request": `{"httpMethod":"POST","headers":{},"body":"{}"}`,
	} {
		f := setUp(t)
		got := f.relay(t, server, event)
		var reply struct {
			Code    string
			ErrCode int
		}
		if err := json.Unmarshal([]byte(got), &reply); err != nil || reply.Code != "FAIL" || reply.ErrCode != 1 {
			t.Errorf("%s: %s, want FAIL", name, got)
		}
		if f.up.asked > 0 {
			t.Errorf("%s: the upstream was asked", name)
		}
	}
}

// A relay gets FAIL while the upstream does not answer, so that it repeats.
func TestRelayFailsUntilTheUpstreamAnswers(t *testing.T) {
	f := setUp(t)
	if got := f.relay(t, server, relayed); !strings.Contains(got, `"code":"FAIL"`) {
		t.Errorf("%s, want FAIL", got)
	}
	f.Refunds.Channel = panicking{f.up}
	if got := f.relay(t, server, relayed); !strings.Contains(got, `"code":"FAIL"`) {
		t.Errorf("after a panic: %s, want FAIL", got)
	}
}

type panicking struct{ *upstream }

func (panicking) Query(context.Context, refund.Lookup) (refund.Page, error) { panic("a defect") }

func FuzzRelay(f *testing.F) {
	f.Add([]byte(relayed))
	f.Add([]byte(`{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"R1"}}`))
	f.Add([]byte(`{"event_type":5}`))
	fx := setUp(f)
	f.Fuzz(func(t *testing.T, event []byte) {
		var reply struct{ Code string }
		got := fx.Invoke(t.Context(), refund.Caller{Kind: server}, event)
		if err := json.Unmarshal(got, &reply); err != nil || reply.Code != "FAIL" {
			t.Fatalf("%s, want FAIL while the upstream does not answer", got)
		}
	})
}
