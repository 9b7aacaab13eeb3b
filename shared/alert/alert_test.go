package alert_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"wxrefund/shared/alert"
	"wxrefund/shared/refund"
)

const (
	wecomURL    = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=canary-key"
	dingtalkURL = "https://oapi.dingtalk.com/robot/send?access_token=canary-token"
	feishuURL   = "https://open.feishu.cn/open-apis/bot/v2/hook/canary-hook"
	larkURL     = "https://open.larksuite.com/open-apis/bot/v2/hook/canary-hook"
	hookURL     = "https://hooks.example/alarms?canary=1"

	dingtalkSecret = "SECcanary0123456789"
	feishuSecret   = "canaryQLIG0SgEX8k2"
	hookSecret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// A standIn answers in place of the robots' hosts, whatever the host.
type standIn struct {
	mu       sync.Mutex
	requests []request
	answer   func(r request) (status int, body string)
}

type request struct {
	*http.Request
	body []byte
}

func (s *standIn) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	in := request{r, body}
	s.mu.Lock()
	s.requests = append(s.requests, in)
	s.mu.Unlock()
	status, answer := s.answer(in)
	if status == http.StatusFound {
		rec.Header().Set("Location", "https://elsewhere.example/")
	}
	rec.WriteHeader(status)
	_, _ = rec.WriteString(answer)
	return rec.Result(), nil
}

// signed is base64 of HMAC-SHA256 as RFC 2104 writes it, and not by the package that is tested here.
func signed(key, message string) string {
	var inner, outer [64]byte
	copy(inner[:], key) // shorter than a block, as all keys here
	outer = inner
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	sum := sha256.Sum256(append(inner[:], message...))
	sum = sha256.Sum256(append(outer[:], sum[:]...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// accepts checks what a robot checks, and counts its messages.
func (s *standIn) accepts() func(r request) (int, string) {
	return func(r request) (int, string) {
		var m struct {
			MsgType   string `json:"msgtype"`
			MsgType2  string `json:"msg_type"`
			Markdown  struct{ Content string }
			Text      struct{ Content string }
			Content   struct{ Text string }
			Timestamp string
			Sign      string
		}
		if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			return 200, `{"errcode":1,"code":1}`
		}
		if err := json.Unmarshal(r.body, &m); err != nil {
			return 200, `{"errcode":93017,"code":9499}`
		}
		q := r.URL.Query()
		switch r.URL.Host {
		case "qyapi.weixin.qq.com":
			if q.Get("key") != "canary-key" || m.MsgType != "markdown" || m.Markdown.Content == "" || len(m.Markdown.Content) > 4096 {
				return 200, `{"errcode":93000,"errmsg":"invalid webhook url"}`
			}
		case "oapi.dingtalk.com":
			at, err := strconv.ParseInt(q.Get("timestamp"), 10, 64)
			if sent := time.UnixMilli(at); err != nil || time.Since(sent).Abs() > time.Hour ||
				q.Get("sign") != signed(dingtalkSecret, q.Get("timestamp")+"\n"+dingtalkSecret) || q.Get("access_token") != "canary-token" {
				return 200, `{"errcode":310000,"errmsg":"sign not match"}`
			}
			if m.MsgType != "text" || m.Text.Content == "" || len(r.body) > 20000 {
				return 200, `{"errcode":400105,"errmsg":"message type"}`
			}
		default:
			at, err := strconv.ParseInt(m.Timestamp, 10, 64)
			if sent := time.Unix(at, 0); err != nil || time.Since(sent).Abs() > time.Hour || m.Sign != signed(m.Timestamp+"\n"+feishuSecret, "") {
				return 200, `{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}`
			}
			if m.MsgType2 != "text" || m.Content.Text == "" || len(r.body) > 20<<10 {
				return 200, `{"code":9499,"msg":"Bad Request"}`
			}
			return 200, `{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}`
		}
		return 200, `{"errcode":0,"errmsg":"ok"}`
	}
}

// An alarm about one refund, in a message.
func anAlert() refund.Alert {
	return refund.Alert{
		ID: "alert-1", At: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), Merchant: refund.Merchant{MchID: "1900000109"}, Open: 3,
		Alarms: []refund.OpenAlarm{{
			OutRefundNo: "R_1", About: "R_1", Code: "refund_closed", Why: "closed <@all> `x`", Since: time.Date(2026, 11, 26, 11, 59, 0, 0, time.UTC),
			Count: 2, State: refund.Closed, Amount: 12345, Currency: "CNY",
		}},
	}
}

func tell(t *testing.T, s *standIn, address, key string, a refund.Alert) error {
	t.Helper()
	alerter, err := alert.New(&http.Client{Transport: s}, address, key)
	if err != nil {
		t.Fatal(err)
	}
	return alerter.Tell(t.Context(), a)
}

// Each robot takes our message: its form, its size, and the signature that it computes itself.
func TestEachRobotTakesItsMessage(t *testing.T) {
	for _, c := range []struct{ name, address, key string }{
		{"wecom", wecomURL, ""}, {"dingtalk", dingtalkURL, dingtalkSecret}, {"feishu", feishuURL, feishuSecret}, {"lark", larkURL, feishuSecret},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &standIn{}
			s.answer = s.accepts()
			if err := tell(t, s, c.address, c.key, anAlert()); err != nil {
				t.Fatal(err)
			}
			if c.key == "" {
				return
			}
			err := tell(t, s, c.address, c.key+"x", anAlert())
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("with another secret: %v", err)
			}
			if err := tell(t, s, c.address, "", anAlert()); err == nil {
				t.Error("without a secret: no error")
			}
		})
	}
}

// The signatures of one time and secret, as Python's hmac module has computed them by the
// robots' documents.
func TestSignatures(t *testing.T) {
	const at, key = "1599360473", "this is secret"
	for name, c := range map[string]struct{ got, want string }{
		"dingtalk": {alert.DingtalkSign(at+"000", key), "hXZTWifRGHclNuZSKxoXc//sh51SWfVfRIhcdeKs63I="},
		"feishu":   {alert.FeishuSign(at, key), "/eYKrXQBzTjUZJ3s6NX16VxGbTwmK7AEs8/FnvC1CSw="},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

// A webhook gets the alarms as data, signed as Standard Webhooks says, under the alert's id.
func TestWebhookGetsTheAlarmsAsData(t *testing.T) {
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{answer: func(r request) (int, string) {
		if err := verifier.Verify(r.body, r.Header); err != nil {
			return 401, err.Error()
		}
		return 204, ""
	}}
	a := anAlert()
	a.Waiting = []refund.Waiting{{Currency: "CNY", Refunds: 2, Amount: 90}}
	if err := tell(t, s, hookURL, hookSecret, a); err != nil {
		t.Fatal(err)
	}
	if id := s.requests[0].Header.Get("webhook-id"); id != "alert-1" {
		t.Errorf("id %s", id)
	}
	var got map[string]any
	if err := json.Unmarshal(s.requests[0].body, &got); err != nil {
		t.Fatal(err)
	}
	data := got["data"].(map[string]any)
	text := data["text"].(string)
	delete(data, "text")
	want := `map[data:map[alarms:[map[about:R_1 alarm:refund_closed amount:map[currency:CNY refund:12345] count:2 out_refund_no:R_1 since:2026-11-26T11:59:00Z state:closed why:closed <@all> ` + "`x`" +
		`]] mchid:1900000109 more:0 open:3 waiting:[map[amount:90 currency:CNY refunds:2]]] timestamp:2026-11-26T12:00:00Z type:refund.alarm]`
	if s := fmt.Sprint(got); s != want || !strings.Contains(text, "123.45 CNY") {
		t.Errorf("got  %s\nwant %s\ntext %s", s, want, text)
	}
	s.answer = func(request) (int, string) { return 500, "" }
	if err := tell(t, s, hookURL, hookSecret, a); err == nil {
		t.Error("no error of a receiver that answers 500")
	}
}

// What a robot answers decides, not that HTTP says 200.
func TestAnswersOfRobots(t *testing.T) {
	const long = 1 << 20
	for _, c := range []struct {
		name, address string
		status        int
		body          string
		limited       time.Duration // 0: it is not
		taken         bool
	}{
		{"wecom takes it", wecomURL, 200, `{"errcode":0,"errmsg":"ok"}`, 0, true},
		{"wecom refuses", wecomURL, 200, `{"errcode":93000,"errmsg":"invalid webhook url"}`, 0, false},
		{"wecom: too many", wecomURL, 200, `{"errcode":45009,"errmsg":"api freq out of limit"}`, time.Minute, false},
		{"wecom says nothing", wecomURL, 200, `{}`, 0, false},
		{"wecom says no JSON", wecomURL, 200, `ok`, 0, false},
		{"wecom's proxy", wecomURL, 502, `{"errcode":0}`, 0, false},
		{"wecom redirects", wecomURL, 302, `{"errcode":0}`, 0, false},
		{"wecom answers for ever", wecomURL, 200, strings.Repeat(" ", long) + `{"errcode":0}`, 0, false},
		{"dingtalk takes it", dingtalkURL, 200, `{"errcode":0,"errmsg":"ok"}`, 0, true},
		{"dingtalk refuses", dingtalkURL, 200, `{"errcode":310000,"errmsg":"keywords not in content"}`, 0, false},
		{"dingtalk: too many", dingtalkURL, 200, `{"errcode":130101,"errmsg":"send too fast"}`, 10 * time.Minute, false},
		{"dingtalk: too fast", dingtalkURL, 200, `{"errcode":410100}`, 10 * time.Minute, false},
		{"feishu takes it", feishuURL, 200, `{"code":0,"msg":"success"}`, 0, true},
		{"an older feishu takes it", feishuURL, 200, `{"StatusCode":0,"StatusMessage":"success"}`, 0, true},
		{"feishu refuses", feishuURL, 200, `{"code":19024,"msg":"Key Words Not Found"}`, 0, false},
		{"feishu refuses with HTTP 400", feishuURL, 400, `{"code":9499,"msg":"Bad Request"}`, 0, false},
		{"feishu: too many", feishuURL, 200, `{"code":11232,"msg":"frequency limited psm[lark.oapi.app_platform_runtime]"}`, time.Minute, false},
		{"feishu: too many, by HTTP", feishuURL, 429, ``, time.Minute, false},
		{"a text for a number", feishuURL, 200, `{"code":"0"}`, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &standIn{answer: func(request) (int, string) { return c.status, c.body }}
			err := tell(t, s, c.address, "", anAlert())
			e := refund.AsError(err)
			switch {
			case c.taken != (err == nil):
				t.Errorf("got %v", err)
			case c.limited > 0 && (e.Code != refund.CodeLimited || e.RetryAfter != c.limited):
				t.Errorf("got %v for %v, want %v", err, e.RetryAfter, c.limited)
			case c.limited == 0 && err != nil && e.Code == refund.CodeLimited:
				t.Errorf("got %v, want no limit", err)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("the address shows: %v", err)
			}
			if len(s.requests) != 1 {
				t.Errorf("%d requests", len(s.requests))
			}
		})
	}
}

// A robot that refuses more than it takes within a minute is sent no more by a service
// that tells it through the reconciler's limits.
func TestNoAlerterIsSentMoreThanItsRobotTakes(t *testing.T) {
	for address, most := range map[string]int{wecomURL: 20, dingtalkURL: 20, feishuURL: 100} {
		a, err := alert.New(http.DefaultClient, address, "")
		if err != nil || a.PerMinute > most || a.PerMinute < 1 || a.Apart < 200*time.Millisecond {
			t.Errorf("%s: %d a minute, %v apart, %v", address, a.PerMinute, a.Apart, err)
		}
	}
}

// Feishu's robots are left alone at full and half hours.
func TestFeishuIsLeftAloneAtFullHours(t *testing.T) {
	a, err := alert.New(http.DefaultClient, feishuURL, "")
	if err != nil {
		t.Fatal(err)
	}
	for text, busy := range map[string]bool{"10:00:00": true, "10:00:59": true, "10:01:00": false, "17:30:20": true, "17:29:59": false} {
		at, err := time.Parse(time.TimeOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		if a.Busy(at) != busy {
			t.Errorf("%s: busy %v, want %v", text, !busy, busy)
		}
	}
}

// A host that does not answer ends with the context, and its address does not show.
func TestSilentHostEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	a, err := alert.New(&http.Client{Transport: rewritten(server.URL)}, feishuURL, "")
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := a.Tell(ctx, anAlert()); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// rewritten sends every request to another address.
type rewritten string

func (to rewritten) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(string(to))
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return http.DefaultTransport.RoundTrip(r)
}

// The kind is told by the host, and what is wrong is told before the first message.
func TestAddressesAndSecrets(t *testing.T) {
	for _, c := range []struct {
		address, key, kind string
		err                error
	}{
		{wecomURL, "", "wecom-", nil},
		{dingtalkURL, dingtalkSecret, "dingtalk-", nil},
		{dingtalkURL, "", "dingtalk-", nil},
		{feishuURL, feishuSecret, "feishu-", nil},
		{larkURL, "", "feishu-", nil},
		{hookURL, hookSecret, "webhook-", nil},
		{"http://127.0.0.1:9/x", hookSecret, "webhook-", nil},
		{"http://localhost:9/x", hookSecret, "webhook-", nil},
		{hookURL, "", "", alert.ErrSecret},
		{hookURL, "short", "", alert.ErrSecret},
		{wecomURL, "any", "", alert.ErrSecret},
		{"http://hooks.example/", hookSecret, "", alert.ErrAddress},
		{"http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k", "", "", alert.ErrAddress},
		{"https://qyapi.weixin.qq.com/cgi-bin/webhook/send", "", "", alert.ErrAddress},
		{"https://qyapi.weixin.qq.com/cgi-bin/gettoken?key=k", "", "", alert.ErrAddress},
		{"https://oapi.dingtalk.com/robot/send", "", "", alert.ErrAddress},
		{"https://open.feishu.cn/open-apis/im/v1/messages", "", "", alert.ErrAddress},
		{"https://user:pass@hooks.example/", hookSecret, "", alert.ErrAddress},
		{"https://hooks.example/#x", hookSecret, "", alert.ErrAddress},
		{"hooks.example", hookSecret, "", alert.ErrAddress},
		{"https://", hookSecret, "", alert.ErrAddress},
		{"%zz", hookSecret, "", alert.ErrAddress},
		// A host that only looks like a robot's is a webhook of its own, which needs a secret.
		{"https://qyapi.weixin.qq.com.evil.example/cgi-bin/webhook/send?key=k", "", "", alert.ErrSecret},
	} {
		a, err := alert.New(http.DefaultClient, c.address, c.key)
		if !errors.Is(err, c.err) || !strings.HasPrefix(a.Name, c.kind) || len(a.Name) > refund.MaxAlerterName || strings.Contains(a.Name, "canary") {
			t.Errorf("%s %q: %q, %v, want %s, %v", c.address, c.key, a.Name, err, c.kind, c.err)
		}
	}
}

// A message says what, which refund, how much, since when, and what to type. It holds
// nothing that a robot would take for more than text, and fits.
func TestMessageText(t *testing.T) {
	one := alert.Text(anAlert(), true)
	for _, want := range []string{"退款告警 wxrefund 1900000109", "退款已关闭", "refund again under a new number", "`R_1` · 123.45 CNY · closed", "‹@all› 'x'", "2026-11-26 19:59 +08:00", "2 次", "`operate show R_1`", "`operate explain refund_closed`"} {
		if !strings.Contains(one, want) {
			t.Errorf("%q is not in\n%s", want, one)
		}
	}
	if strings.ContainsAny(one, "<>") {
		t.Errorf("a robot would take this for a mention:\n%s", one)
	}
	many := anAlert()
	o := many.Alarms[0]
	o.Why, o.About, o.OutRefundNo, o.Code = strings.Repeat("很", 170), strings.Repeat("r", 64), strings.Repeat("r", 64), "not_enough"
	many.Alarms, many.More = nil, 7
	for range 50 {
		many.Alarms = append(many.Alarms, o)
	}
	many.Waiting = []refund.Waiting{{Currency: "", Refunds: 57, Amount: 5}, {Currency: "USD", Refunds: 1, Amount: 1000}}
	text := alert.Text(many, true)
	for _, want := range []string{"57 条告警", "57 笔 refunds, 0.05 CNY", "1 笔 refunds, 1000 USD", "operate alarms", "operate explain not_enough"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if n := strings.Count(text, o.About); n != 10 || len(text) > 4096 {
		t.Errorf("%d alarms are named in %d bytes", n, len(text))
	}
	if alert.Text(refund.Alert{}, false) != "" {
		t.Error("a text about nothing")
	}
	unknown := anAlert()
	unknown.Alarms[0].Code = "of_a_later_version"
	if text := alert.Text(unknown, false); !strings.Contains(text, "Alarm of_a_later_version") {
		t.Errorf("%s", text)
	}
}

// Whatever is in an alarm, each message stays within what the strictest robot takes.
func FuzzText(f *testing.F) {
	f.Add("R1", "refund_closed", "why", int64(5), "CNY", 1)
	f.Add("`<at user_id=\"all\">", "\u2028", strings.Repeat("很", 500), int64(-1), "U\nS", 60)
	f.Fuzz(func(t *testing.T, about, code, why string, amount int64, currency string, n int) {
		a := anAlert()
		a.Alarms[0].About, a.Alarms[0].OutRefundNo = about[:min(len(about), 128)], about[:min(len(about), 64)]
		a.Alarms[0].Code, a.Alarms[0].Why, a.Alarms[0].Amount, a.Alarms[0].Currency = code, why, amount, currency
		for range n % 64 {
			a.Alarms = append(a.Alarms, a.Alarms[0])
		}
		if text := alert.Text(a, true); len(text) > 4096 || strings.ContainsAny(text, "<>") {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	})
}

// Foreign answers are read without harm, and only a clear yes is one.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"errcode":0}`, `{"code":0}`, `{"StatusCode":0}`, `{"errcode":1e99}`, `[]`, ``, `{"code":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, address := range []string{wecomURL, feishuURL} {
			s := &standIn{answer: func(request) (int, string) { return 200, string(body) }}
			err := tell(t, s, address, "", anAlert())
			if err == nil && !json.Valid(body) {
				t.Errorf("%q is taken for a yes", body)
			}
		}
	})
}

// Where a command does what an alarm asks for, the message names it before the merchant
// platform, to which not everybody who reads it has an account.
func TestAnAbnormalRefundsMessageNamesTheCommandFirst(t *testing.T) {
	text := alert.Text(refund.Alert{Alarms: []refund.OpenAlarm{{Code: "refund_abnormal", About: "refund-1", OutRefundNo: "refund-1"}}}, false)
	for _, platform := range []string{"merchant platform", "商户平台"} {
		before, _, found := strings.Cut(text, platform)
		if line := before[strings.LastIndex(before, "\n")+1:]; !found || !strings.Contains(line, "operate abnormal") {
			t.Errorf("before %q stands %q, want operate abnormal there", platform, line)
		}
	}
}
