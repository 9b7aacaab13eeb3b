package world_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// Each fault is in force for one request.
func TestEachUpstreamFaultAppliesOnce(t *testing.T) {
	tests := []struct {
		fault    string
		status   int // 0: the connection broke
		code     string
		accepted bool
		took     time.Duration
	}{
		{`{"upstream":"timeout_before","count":1}`, 0, "", false, time.Minute},
		{`{"upstream":"timeout_after","count":1}`, 0, "", true, time.Minute},
		{`{"upstream":"reset_after","count":1}`, 0, "", true, 0},
		{`{"upstream":"500_before","count":1}`, 500, "SYSTEM_ERROR", false, 0},
		{`{"upstream":"500_after","count":1}`, 500, "SYSTEM_ERROR", true, 0},
		{`{"upstream":"429_after","count":1}`, 429, "FREQUENCY_LIMITED", true, 0},
		{`{"upstream":"slow","count":1}`, 200, "", true, 3 * time.Second},
		{`{"upstream":"slow","err_code":"NOT_ENOUGH","count":1}`, 403, "NOT_ENOUGH", false, 3 * time.Second},
		{`{"err_code":"NOT_ENOUGH","count":1}`, 403, "NOT_ENOUGH", false, 0},
		{`{"err_code":"USER_ACCOUNT_ABNORMAL","count":1}`, 403, "USER_ACCOUNT_ABNORMAL", false, 0},
		{`{"err_code":"PARAM_ERROR","count":1}`, 400, "PARAM_ERROR", false, 0},
		{`{"err_code":"INVALID_REQUEST","count":1}`, 400, "INVALID_REQUEST", false, 0},
		{`{"err_code":"SIGN_ERROR","count":1}`, 401, "SIGN_ERROR", false, 0},
		{`{"err_code":"NO_AUTH","count":1}`, 403, "NO_AUTH", false, 0},
		{`{"err_code":"MCH_NOT_EXISTS","count":1}`, 404, "MCH_NOT_EXISTS", false, 0},
		{`{"err_code":"RESOURCE_NOT_EXISTS","count":1}`, 404, "RESOURCE_NOT_EXISTS", false, 0},
		{`{"err_code":"FREQUENCY_LIMITED","count":1}`, 429, "FREQUENCY_LIMITED", false, 0},
		{`{"err_code":"RATELIMIT_EXCEEDED","count":1}`, 429, "RATELIMIT_EXCEEDED", false, 0},
		{`{"err_code":"SYSTEM_ERROR","count":1}`, 500, "SYSTEM_ERROR", false, 0},
		{`{"err_code":"SERVICE_UNAVAILABLE","count":1}`, 503, "SERVICE_UNAVAILABLE", false, 0},
		{`{"upstream":"500_after","rate":0}`, 200, "", true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sandboxtest.New(t)
				w.Order("T1")
				w.Control("POST", "/_sandbox/faults", tt.fault, 200)
				began := time.Now()
				a := w.Apply("T1", "R1", 100)
				if a.Status != tt.status || tt.code != "" && a.Field("code") != tt.code {
					t.Errorf("%d %s, want %d %s", a.Status, a.Body, tt.status, tt.code)
				}
				if got := time.Since(began); got != tt.took {
					t.Errorf("it took %v, want %v", got, tt.took)
				}
				switch signed := a.Header.Get("Wechatpay-Signature") != ""; {
				case a.Status >= 500 && signed:
					t.Error("the 5xx is signed")
				case a.Status > 0 && a.Status < 500:
					w.VerifyReply(a, w.Serial)
				}
				if got := w.Status("R1") == "PROCESSING"; got != tt.accepted {
					t.Errorf("accepted = %v, want %v", got, tt.accepted)
				}
				w.Refund("T1", "R1", 100) // the same again is right in any case
				if n := strings.Count(string(w.Control("GET", "/_sandbox/refunds", "", 200).Body), `"R1"`); n != 1 {
					t.Errorf("%d refunds, want 1", n)
				}
			})
		})
	}
}

// TestSignatureFaultsSpoilAnswersToQueriesToo has answers that must not be believed, to an
// application and to a query.
func TestSignatureFaultsSpoilAnswersToQueriesToo(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	for _, tt := range []struct {
		fault  string
		signed bool
	}{{"bad_signature", true}, {"unsigned", false}} {
		w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"upstream":%q,"count":2}`, tt.fault), 200)
		for i, a := range []sandboxtest.Answer{w.Apply("T1", "R1", 1), w.Call("GET", sandboxtest.RefundsPath+"/R1", "")} {
			err := w.Verify(a.Header, a.Body, a.Header.Get("Wechatpay-Serial"))
			if a.Status != 200 || err == nil || (a.Header.Get("Wechatpay-Signature") != "") != tt.signed {
				t.Errorf("%s, answer %d: %d, signature %q, verified: %v", tt.fault, i, a.Status, a.Header.Get("Wechatpay-Signature"), err)
			}
		}
		w.VerifyReply(w.Call("GET", sandboxtest.RefundsPath+"/R1", ""), w.Serial)
	}
}

func TestConnectionFaultsBreakRealConnections(t *testing.T) {
	w := sandboxtest.New(t)
	server := httptest.NewServer(w.Sandbox.WeChat())
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Sandbox.Run(ctx) }()
	w.Order("T1")
	body := `{"out_trade_no":"T1","out_refund_no":"R1","amount":{"refund":1,"total":10000,"currency":"CNY"}}`
	post := func(patience time.Duration) (time.Duration, error) {
		in := w.Request("POST", sandboxtest.RefundsPath, body)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "POST", server.URL+sandboxtest.RefundsPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = in.Header
		began := time.Now()
		response, err := http.DefaultClient.Do(r)
		if err == nil {
			response.Body.Close()
		}
		return time.Since(began), err
	}

	w.Control("POST", "/_sandbox/faults", `{"upstream":"reset_after","count":1}`, 200)
	if _, err := post(10 * time.Second); err == nil {
		t.Error("reset_after: an answer came")
	}
	w.Control("POST", "/_sandbox/faults", `{"upstream":"timeout_after","count":1}`, 200)
	if took, err := post(100 * time.Millisecond); err == nil || took > 5*time.Second {
		t.Errorf("timeout_after: error %v after %v", err, took)
	}
	if w.Status("R1") != "PROCESSING" {
		t.Error("the refund was not accepted")
	}
	// A request that hangs does not outlive the sandbox.
	w.Control("POST", "/_sandbox/faults", `{"upstream":"timeout_before","count":1}`, 200)
	time.AfterFunc(100*time.Millisecond, stop)
	if took, err := post(30 * time.Second); err == nil || took > 10*time.Second {
		t.Errorf("timeout_before: error %v after %v", err, took)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

// Each fault is in force for one notification, whose receiver verifies.
func TestEachNotificationFaultAppliesOnce(t *testing.T) {
	tests := []struct {
		fault    string
		attempts []int // by status
		state    string
		first    time.Duration // after the settlement
	}{
		{"lose", nil, "lost", -1},
		{"duplicate", []int{200, 200}, "delivered", 0},
		{"reorder", []int{200}, "delivered", 2 * time.Minute},
		{"delay", []int{200}, "delivered", 10 * time.Minute},
		{"tamper", []int{401, 200}, "delivered", 0},
		{"signtest", []int{401, 200}, "delivered", 0},
		{"wrong_serial", []int{401, 200}, "delivered", 0},
		{"stale", []int{401, 200}, "delivered", 0},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sandboxtest.New(t)
				w.Receiver.Answer = w.Strictly
				w.Order("T1")
				w.Refund("T1", "R1")
				w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, tt.fault), 200)
				w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
				settled := w.Sandbox.Now()
				w.Advance("1h")
				d := w.Deliveries()[0]
				var got []int
				for _, a := range d.Attempts {
					got = append(got, a.Status)
					if bad := a.Status == 401; bad != (a.Fault != "") {
						t.Errorf("attempt %+v", a)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.attempts) || d.State != tt.state {
					t.Errorf("attempts %v, state %s, want %v, %s", got, d.State, tt.attempts, tt.state)
				}
				if len(d.Attempts) > 0 {
					if got := d.Attempts[0].At.Sub(settled); got != tt.first {
						t.Errorf("first sent after %v, want %v", got, tt.first)
					}
				}
				if tt.state == "lost" {
					a := w.Control("POST", "/_sandbox/deliveries/"+d.ID+"/resend", "", 200)
					if a.Field("state") != "delivered" {
						t.Errorf("resent: %s", a.Body)
					}
				}
				// The next notification is as it should be.
				w.Refund("T1", "R2")
				w.Control("POST", "/_sandbox/refunds/R2/settle", `{"status":"SUCCESS"}`, 200)
				if d := w.Deliveries()[1]; d.State != "delivered" || len(d.Attempts) != 1 {
					t.Errorf("the next notification: %+v", d)
				}
			})
		})
	}
}

func TestAReceiverThatBelievesAForgeryIsReported(t *testing.T) {
	for _, fault := range []string{"tamper", "signtest", "wrong_serial", "stale"} {
		w := sandboxtest.New(t)
		w.Order("T1")
		w.Refund("T1", "R1")
		w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, fault), 200)
		w.Advance("10m")
		d := w.Deliveries()[0]
		if len(d.Attempts) != 2 || d.Attempts[0].Fault != fault || !strings.Contains(d.Attempts[0].Error, "must not") || d.State != "delivered" {
			t.Errorf("%s: %+v", fault, d)
		}
	}
}

// TestAFaultWaitsForTheNextNotification leaves a fault to the next notification, while the one before is
// still being repeated.
func TestAFaultWaitsForTheNextNotification(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Hostile = true })
	w.Order("T1")
	w.Refund("T1", "R1")
	w.Refund("T1", "R2")
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	w.Control("POST", "/_sandbox/faults", `{"notify":"tamper","count":1}`, 200)
	w.Advance("95s") // the second send of R1's
	w.Control("POST", "/_sandbox/refunds/R2/settle", `{"status":"CLOSED"}`, 200)
	w.Advance("1h")
	d := w.Deliveries()
	if len(d[0].Attempts) != 2 || d[0].Attempts[1].Fault != "" {
		t.Errorf("R1: %+v", d[0])
	}
	if len(d[1].Attempts) != 3 || d[1].Attempts[0].Fault != "tamper" {
		t.Errorf("R2: %+v", d[1])
	}
}

func TestANewerNotificationOvertakesAnOlderOne(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	w.Refund("T1", "R1")
	w.Control("POST", "/_sandbox/faults", `{"notify":"reorder","count":1}`, 200)
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200)
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	w.Advance("0s")
	var got []string
	for _, p := range w.Receiver.Received() {
		n, _ := w.Notification(p.Body)
		got = append(got, n.EventType)
	}
	if fmt.Sprint(got) != "[REFUND.SUCCESS REFUND.ABNORMAL]" {
		t.Errorf("notifications %v, want the older one last", got)
	}
}

func TestFaultsOutsideTheirBoundsAreRefused(t *testing.T) {
	w := sandboxtest.New(t)
	for body, names := range map[string]string{
		`{}`:                                    "upstream",
		`{"count":1}`:                           "upstream",
		`{"upstream":"x"}`:                      "upstream",
		`{"upstream":""}`:                       "upstream",
		`{"upstream":1}`:                        "upstream",
		`{"err_code":"NOT_A_CODE"}`:             "err_code",
		`{"err_code":"METHOD_NOT_ALLOWED"}`:     "err_code",
		`{"notify":"x"}`:                        "notify",
		`{"notify":"lose","rate":1.01}`:         "rate",
		`{"notify":"lose","rate":-0.1}`:         "rate",
		`{"notify":"lose","rate":"1"}`:          "rate",
		`{"notify":"lose","rate":null}`:         "rate",
		`{"notify":"lose","rate":1e999}`:        "rate",
		`{"notify":"lose","count":0}`:           "count",
		`{"notify":"lose","count":1.5}`:         "count",
		`{"notify":"lose","n":1}`:               "n",
		`{"notify":"lose","id":"f1"}`:           "id",
		`{"notify":"lose","notify":"delay"}`:    "twice",
		`[{"notify":"lose"}]`:                   "JSON",
		`{"notify":"lose","upstream":["slow"]}`: "upstream",
	} {
		a := w.Control("POST", "/_sandbox/faults", body, 400)
		if e, _ := a.Field("error").(string); !strings.Contains(e, names) {
			t.Errorf("%s: %s, want %s named", body, a.Body, names)
		}
	}
	one := w.Control("POST", "/_sandbox/faults", `{"upstream":"slow","err_code":"NOT_ENOUGH","notify":"lose","rate":0.5,"count":3}`, 200)
	two := w.Control("POST", "/_sandbox/faults", `{"notify":"delay"}`, 200)
	if one.Field("id") == two.Field("id") || one.Field("rate") != 0.5 || one.Field("count") != 3.0 || one.Field("upstream") != "slow" {
		t.Errorf("faults %s, %s", one.Body, two.Body)
	}
	count := func(a sandboxtest.Answer) int { list, _ := a.Field("faults").([]any); return len(list) }
	if n := count(w.Control("GET", "/_sandbox/faults", "", 200)); n != 2 {
		t.Errorf("%d faults, want 2", n)
	}
	w.Control("DELETE", "/_sandbox/faults/f9", "", 404)
	if n := count(w.Control("DELETE", "/_sandbox/faults/"+one.Field("id").(string), "", 200)); n != 1 {
		t.Errorf("%d faults, want 1", n)
	}
	if n := count(w.Control("DELETE", "/_sandbox/faults", "", 200)); n != 0 {
		t.Errorf("%d faults, want none", n)
	}
	for range 100 {
		w.Control("POST", "/_sandbox/faults", `{"notify":"delay"}`, 200)
	}
	w.Control("POST", "/_sandbox/faults", `{"notify":"delay"}`, 409)
}

// A fault that applies at a rate does so as often, and the same way for the same seed.
func TestFaultRatesFollowTheSeed(t *testing.T) {
	run := func(seed int64) (pattern string) {
		synctest.Test(t, func(t *testing.T) {
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.Seed = seed })
			w.Order("T1")
			w.Refund("T1", "R1", 1)
			w.Control("POST", "/_sandbox/faults", `{"upstream":"500_after","rate":0.3,"count":20}`, 200)
			for range 100 {
				pattern += fmt.Sprint(w.Apply("T1", "R1", 1).Status / 100)
			}
		})
		return pattern
	}
	a, b, c := run(1), run(1), run(2)
	if n := strings.Count(a, "5"); n < 10 || n > 20 {
		t.Errorf("%d of 100 applied, want about 30 but at most 20", n)
	}
	if a != b || a == c {
		t.Errorf("seed 1: %s, again: %s, seed 2: %s", a, b, c)
	}
}
