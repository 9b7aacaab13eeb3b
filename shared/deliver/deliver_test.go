package deliver_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/deliver"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/secret"
)

// event is that of a refund that has succeeded.
func event() refund.Event {
	total, paid := int64(100), int64(60)
	return refund.Event{
		ID: "refund-0123456789abcdef01234567", At: time.Date(2026, 11, 22, 2, 5, 0, 0, time.UTC), Status: refund.StatusSuccess,
		Merchant: refund.Merchant{MchID: "1900000109"},
		Refund: refund.Refund{
			RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "4200000000000001", OutTradeNo: "ORDER1",
			Status: refund.StatusSuccess, SuccessTime: "2026-11-22T10:05:00+08:00", UserReceivedAccount: "招商银行信用卡0403",
			Amount: refund.Amount{Total: 100, Refund: 60, PayerTotal: &total, PayerRefund: &paid, Currency: "CNY"},
		},
	}
}

// The event is what the template relays, field by field, and says of itself when
// it is the same again.
func TestEventIsTheTemplates(t *testing.T) {
	const want = `{"id":"refund-0123456789abcdef01234567","create_time":"2026-11-22T10:05:00+08:00","resource_type":"encrypt-resource",
		"event_type":"REFUND.SUCCESS","summary":"退款成功","resource":{"mchid":"1900000109","out_trade_no":"ORDER1","transaction_id":"4200000000000001",
		"out_refund_no":"R1","refund_id":"50000000382019052709732678859","refund_status":"SUCCESS","success_time":"2026-11-22T10:05:00+08:00",
		"user_received_account":"招商银行信用卡0403","amount":{"total":100,"refund":60,"payer_total":100,"payer_refund":60,"currency":"CNY"}}}`
	got, err := deliver.Encode(event())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(decode(t, want), decode(t, string(got))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for status, kind := range map[refund.Status]string{refund.StatusClosed: "REFUND.CLOSED", refund.StatusAbnormal: "REFUND.ABNORMAL"} {
		n := event()
		n.Status = status
		if got, err := deliver.Encode(n); err != nil || !strings.Contains(string(got), `"event_type":"`+kind+`"`) {
			t.Errorf("%s: %s, %v", status, got, err)
		}
	}
	n := event()
	n.Status = refund.StatusProcessing
	if _, err := deliver.Encode(n); err == nil {
		t.Error("a refund in processing is told")
	}
}

func decode(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// gateway is CloudBase's, as the sandbox plays it, with its example subscribers.
func gateway(t *testing.T) *cloudbase.Gateway {
	t.Helper()
	wechat, err := sandbox.New(sandbox.Config{Subscribers: true})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(wechat.WeChat())
	t.Cleanup(srv.Close)
	wechat.SetURLs(sandbox.URLs{WeChat: srv.URL})
	settings, err := wechat.Settings("apiv3")
	if err != nil {
		t.Fatal(err)
	}
	return gatewayAt(settings["TCB_API_URL"], settings["TCB_ENV"], srv.Client(), settings["TENCENTCLOUD_SECRETID"], settings["TENCENTCLOUD_SECRETKEY"])
}

func gatewayAt(url, env string, client *http.Client, id, key string) *cloudbase.Gateway {
	return &cloudbase.Gateway{URL: url, EnvID: env, HTTP: client, Credentials: func(context.Context) (cloudbase.Credentials, error) {
		return cloudbase.Credentials{SecretID: id, SecretKey: secret.Text(key)}, nil
	}}
}

// A function has taken the event if it returns code SUCCESS, through the real
// protocol of CloudBase's gateway.
func TestFunctionTakesTheEventThroughTheGateway(t *testing.T) {
	g := gateway(t)
	good := deliver.Function(g, "goodSubscriber")
	if good.Name != "scf:goodSubscriber" {
		t.Errorf("name %q", good.Name)
	}
	if err := good.Tell(t.Context(), event()); err != nil {
		t.Error(err)
	}
	if err := deliver.Function(g, "nobody").Tell(t.Context(), event()); err == nil {
		t.Error("a function that does not exist has taken it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := deliver.Function(g, "slowSubscriber").Tell(ctx, event()); err == nil {
		t.Error("a slow function has taken it in no time")
	}
}

// Everything but an object with code SUCCESS is failure (CloudBase template, wxpay_refund), as C22 of the
// threats has it for our own answers.
func TestOnlyAnObjectWithCodeSUCCESSTakesTheEvent(t *testing.T) {
	var answer string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body, err := json.Marshal(map[string]any{"data": map[string]string{"response_data": answer}})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	}))
	defer srv.Close()
	g := gatewayAt(srv.URL+"/admin", "e", srv.Client(), "id", "key")
	var want bool
	for answer, want = range map[string]bool{
		`{"code":"SUCCESS"}`: true, `{"code":"SUCCESS","message":"x"}`: true,
		`{"code":"success"}`: false, `{"code":"FAIL"}`: false, `{"code":0}`: false, `{"code":true}`: false,
		`{}`: false, `null`: false, `"SUCCESS"`: false, `["SUCCESS"]`: false, `SUCCESS`: false, ``: false,
		`{"success":true}`: false, `{"errcode":0}`: false, `{"data":{"code":"SUCCESS"}}`: false,
	} {
		if err := deliver.Function(g, "f").Tell(t.Context(), event()); (err == nil) != want {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func parseSecret(t *testing.T, text string) deliver.Secret {
	t.Helper()
	key, err := deliver.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A receiver of webhooks answers with a status and keeps what it got last.
type receiver struct {
	*httptest.Server
	status int
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.header = req.Header
		r.body, _ = io.ReadAll(req.Body)
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

// A webhook's signature verifies by the standard's words; by its library it does
// in TestWebhookOfTwoSecrets.
func TestWebhookVerifiesByTheStandard(t *testing.T) {
	srv := newReceiver(t)
	hook := deliver.Webhook(srv.Client(), srv.URL, parseSecret(t, secretText))
	if err := hook.Tell(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	header := srv.header
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secretText, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%s.%s", header.Get("webhook-id"), header.Get("webhook-timestamp"), srv.body)
	if got, want := header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if header.Get("webhook-id") != event().ID || header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", header)
	}
	if at, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("timestamp %s: it is real time", header.Get("webhook-timestamp"))
	}
	for _, srv.status = range []int{200, 201, 202, 204} {
		if err := hook.Tell(t.Context(), event()); err != nil {
			t.Errorf("%d: %v", srv.status, err)
		}
	}
	for _, srv.status = range []int{301, 307, 400, 401, 404, 410, 429, 500, 502, 503} {
		if err := hook.Tell(t.Context(), event()); err == nil {
			t.Errorf("%d is taken for success", srv.status)
		}
	}
}

// What goes wrong on the way is told without the address, which may be a secret.
func TestWebhookErrorsHideTheAddress(t *testing.T) {
	hook := deliver.Webhook(http.DefaultClient, "http://127.0.0.1:1/canary?token=canary", parseSecret(t, secretText))
	if err := hook.Tell(t.Context(), event()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
}

// While a secret is changed, who verifies with the new one and who still verifies
// with the old one both take the webhook; who knows neither does not.
func TestWebhookOfTwoSecrets(t *testing.T) {
	secrets := []string{"whsec_bmV3LWtleS0wMTIzNDU2Nzg5LTAxMjM0NTY3ODk=", secretText}
	srv := newReceiver(t)
	hook := deliver.Webhook(srv.Client(), srv.URL, parseSecret(t, secrets[0]), parseSecret(t, secrets[1]))
	if err := hook.Tell(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{secrets[0]: true, secrets[1]: true, "whsec_b3RoZXItMDEyMzQ1Njc4OS0wMTIzNDU2Nzg5": false} {
		verifier, err := standardwebhooks.NewWebhook(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(srv.body, srv.header); (err == nil) != want {
			t.Errorf("verified with %s: %v, want success: %v", text, err, want)
		}
	}
	if got := strings.Split(srv.header.Get("webhook-signature"), " "); len(got) != 2 || !strings.HasPrefix(got[0], "v1,") || !strings.HasPrefix(got[1], "v1,") {
		t.Errorf("signatures %q, want two of v1, a space between", got)
	}
}

func TestParseSecret(t *testing.T) {
	of := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, ok := range map[string]bool{
		of(24): true, "whsec_" + of(32): true, of(64): true,
		of(23): false, of(65): false, "": false, "whsec_": false, "whsec_???": false, "whsec_ " + of(32): false,
	} {
		if _, err := deliver.ParseSecret(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
