package sandbox_test

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
)

// TestUpstreamFaults lets each strike once.
func TestUpstreamFaults(t *testing.T) {
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
				w := newWorld(t)
				w.order("T1")
				w.control("POST", "/_sandbox/faults", tt.fault, 200)
				began := time.Now()
				a := w.apply("T1", "R1", 100)
				if a.status != tt.status || tt.code != "" && a.field("code") != tt.code {
					t.Errorf("%d %s, want %d %s", a.status, a.body, tt.status, tt.code)
				}
				if got := time.Since(began); got != tt.took {
					t.Errorf("it took %v, want %v", got, tt.took)
				}
				switch signed := a.header.Get("Wechatpay-Signature") != ""; {
				case a.status >= 500 && signed:
					t.Error("the 5xx is signed")
				case a.status > 0 && a.status < 500:
					w.verifyReply(a, w.serial)
				}
				if got := w.status("R1") == "PROCESSING"; got != tt.accepted {
					t.Errorf("accepted = %v, want %v", got, tt.accepted)
				}
				w.refund("T1", "R1", 100) // the same again is right in any case
				if n := strings.Count(string(w.control("GET", "/_sandbox/refunds", "", 200).body), `"R1"`); n != 1 {
					t.Errorf("%d refunds, want 1", n)
				}
			})
		})
	}
}

// TestReplySignatureFaults has answers that must not be believed, to an
// application and to a query.
func TestReplySignatureFaults(t *testing.T) {
	w := newWorld(t)
	w.order("T1")
	for _, tt := range []struct {
		fault  string
		signed bool
	}{{"bad_signature", true}, {"unsigned", false}} {
		w.control("POST", "/_sandbox/faults", fmt.Sprintf(`{"upstream":%q,"count":2}`, tt.fault), 200)
		for i, a := range []answer{w.apply("T1", "R1", 1), w.call("GET", refundsPath+"/R1", "")} {
			err := w.verify(a.header, a.body, a.header.Get("Wechatpay-Serial"))
			if a.status != 200 || err == nil || (a.header.Get("Wechatpay-Signature") != "") != tt.signed {
				t.Errorf("%s, answer %d: %d, signature %q, verified: %v", tt.fault, i, a.status, a.header.Get("Wechatpay-Signature"), err)
			}
		}
		w.verifyReply(w.call("GET", refundsPath+"/R1", ""), w.serial)
	}
}

// TestBrokenConnections meets the faults that break connections on a real one.
func TestBrokenConnections(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.sandbox.WeChat())
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.sandbox.Run(ctx) }()
	w.order("T1")
	body := `{"out_trade_no":"T1","out_refund_no":"R1","amount":{"refund":1,"total":10000,"currency":"CNY"}}`
	post := func(patience time.Duration) (time.Duration, error) {
		in := w.request("POST", refundsPath, body)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "POST", server.URL+refundsPath, strings.NewReader(body))
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

	w.control("POST", "/_sandbox/faults", `{"upstream":"reset_after","count":1}`, 200)
	if _, err := post(10 * time.Second); err == nil {
		t.Error("reset_after: an answer came")
	}
	w.control("POST", "/_sandbox/faults", `{"upstream":"timeout_after","count":1}`, 200)
	if took, err := post(100 * time.Millisecond); err == nil || took > 5*time.Second {
		t.Errorf("timeout_after: error %v after %v", err, took)
	}
	if w.status("R1") != "PROCESSING" {
		t.Error("the refund was not accepted")
	}
	// A request that hangs does not outlive the sandbox.
	w.control("POST", "/_sandbox/faults", `{"upstream":"timeout_before","count":1}`, 200)
	time.AfterFunc(100*time.Millisecond, stop)
	if took, err := post(30 * time.Second); err == nil || took > 10*time.Second {
		t.Errorf("timeout_before: error %v after %v", err, took)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

// TestNoticeFaults lets each strike once, with a receiver that verifies.
func TestNoticeFaults(t *testing.T) {
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
				w := newWorld(t)
				w.receiver.answer = w.strictly
				w.order("T1")
				w.refund("T1", "R1")
				w.control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, tt.fault), 200)
				w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
				settled := w.sandbox.Now()
				w.advance("1h")
				d := w.deliveries()[0]
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
					a := w.control("POST", "/_sandbox/deliveries/"+d.ID+"/resend", "", 200)
					if a.field("state") != "delivered" {
						t.Errorf("resent: %s", a.body)
					}
				}
				// The next notification is as it should be.
				w.refund("T1", "R2")
				w.control("POST", "/_sandbox/refunds/R2/settle", `{"status":"SUCCESS"}`, 200)
				if d := w.deliveries()[1]; d.State != "delivered" || len(d.Attempts) != 1 {
					t.Errorf("the next notification: %+v", d)
				}
			})
		})
	}
}

// strictly answers as a receiver must.
func (w *world) strictly(_ int, r *http.Request) (*http.Response, error) {
	body := make([]byte, r.ContentLength)
	if _, err := r.Body.Read(body); err != nil {
		return nil, err
	}
	var at int64
	fmt.Sscan(r.Header.Get("Wechatpay-Timestamp"), &at)
	if d := time.Since(time.Unix(at, 0)); d > 5*time.Minute || d < -5*time.Minute {
		return respond(401, `{"code":"FAIL","message":"stale"}`), nil
	}
	if err := w.verify(r.Header, body, w.serial); err != nil {
		return respond(401, `{"code":"FAIL","message":"signature"}`), nil
	}
	return respond(200, `{"code":"SUCCESS"}`), nil
}

// TestGullible tells on a receiver that believes what it must not.
func TestGullible(t *testing.T) {
	for _, fault := range []string{"tamper", "signtest", "wrong_serial", "stale"} {
		w := newWorld(t)
		w.order("T1")
		w.refund("T1", "R1")
		w.control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, fault), 200)
		w.advance("10m")
		d := w.deliveries()[0]
		if len(d.Attempts) != 2 || d.Attempts[0].Fault != fault || !strings.Contains(d.Attempts[0].Error, "must not") || d.State != "delivered" {
			t.Errorf("%s: %+v", fault, d)
		}
	}
}

// TestFaultsAndRepeats leaves a fault to the next notification, while the one before is
// still being repeated.
func TestFaultsAndRepeats(t *testing.T) {
	w := newWorld(t, func(c *sandbox.Config) { c.Hostile = true })
	w.order("T1")
	w.refund("T1", "R1")
	w.refund("T1", "R2")
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	w.control("POST", "/_sandbox/faults", `{"notify":"tamper","count":1}`, 200)
	w.advance("95s") // the second send of R1's
	w.control("POST", "/_sandbox/refunds/R2/settle", `{"status":"CLOSED"}`, 200)
	w.advance("1h")
	d := w.deliveries()
	if len(d[0].Attempts) != 2 || d[0].Attempts[1].Fault != "" {
		t.Errorf("R1: %+v", d[0])
	}
	if len(d[1].Attempts) != 3 || d[1].Attempts[0].Fault != "tamper" {
		t.Errorf("R2: %+v", d[1])
	}
}

// TestReorder has a newer notification overtake an older one.
func TestReorder(t *testing.T) {
	w := newWorld(t)
	w.order("T1")
	w.refund("T1", "R1")
	w.control("POST", "/_sandbox/faults", `{"notify":"reorder","count":1}`, 200)
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200)
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	w.advance("0s")
	var got []string
	for _, p := range w.receiver.received() {
		n, _ := w.notification(p.body)
		got = append(got, n.EventType)
	}
	if fmt.Sprint(got) != "[REFUND.SUCCESS REFUND.ABNORMAL]" {
		t.Errorf("notifications %v, want the older one last", got)
	}
}

func TestFaultBodies(t *testing.T) {
	w := newWorld(t)
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
		`{"notify":"lose","notify":"delay"}`:    "JSON",
		`[{"notify":"lose"}]`:                   "JSON",
		`{"notify":"lose","upstream":["slow"]}`: "upstream",
	} {
		a := w.control("POST", "/_sandbox/faults", body, 400)
		if e, _ := a.field("error").(string); !strings.Contains(e, names) {
			t.Errorf("%s: %s, want %s named", body, a.body, names)
		}
	}
	one := w.control("POST", "/_sandbox/faults", `{"upstream":"slow","err_code":"NOT_ENOUGH","notify":"lose","rate":0.5,"count":3}`, 200)
	two := w.control("POST", "/_sandbox/faults", `{"notify":"delay"}`, 200)
	if one.field("id") == two.field("id") || one.field("rate") != 0.5 || one.field("count") != 3.0 || one.field("upstream") != "slow" {
		t.Errorf("faults %s, %s", one.body, two.body)
	}
	count := func(a answer) int { list, _ := a.field("faults").([]any); return len(list) }
	if n := count(w.control("GET", "/_sandbox/faults", "", 200)); n != 2 {
		t.Errorf("%d faults, want 2", n)
	}
	w.control("DELETE", "/_sandbox/faults/f9", "", 404)
	if n := count(w.control("DELETE", "/_sandbox/faults/"+one.field("id").(string), "", 200)); n != 1 {
		t.Errorf("%d faults, want 1", n)
	}
	if n := count(w.control("DELETE", "/_sandbox/faults", "", 200)); n != 0 {
		t.Errorf("%d faults, want none", n)
	}
	for range 100 {
		w.control("POST", "/_sandbox/faults", `{"notify":"delay"}`, 200)
	}
	w.control("POST", "/_sandbox/faults", `{"notify":"delay"}`, 409)
}

// TestFaultRate throws the dice often, the same way for the same seed.
func TestFaultRate(t *testing.T) {
	run := func(seed int64) (pattern string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *sandbox.Config) { c.Seed = seed })
			w.order("T1")
			w.refund("T1", "R1", 1)
			w.control("POST", "/_sandbox/faults", `{"upstream":"500_after","rate":0.3,"count":20}`, 200)
			for range 100 {
				pattern += fmt.Sprint(w.apply("T1", "R1", 1).status / 100)
			}
		})
		return pattern
	}
	a, b, c := run(1), run(1), run(2)
	if n := strings.Count(a, "5"); n < 10 || n > 20 {
		t.Errorf("%d of 100 struck, want about 30 but at most 20", n)
	}
	if a != b || a == c {
		t.Errorf("seed 1: %s, again: %s, seed 2: %s", a, b, c)
	}
}
