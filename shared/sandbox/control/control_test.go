package control_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// D11: one thing of a request that would be let in is changed.
func TestOnlyProgramsOnThisMachineMayControl(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	remote := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	tests := []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"nothing", func(*http.Request) {}, 200},
		{"remote IPv6", remote("[::1]:1"), 200},
		{"remote IPv4 in IPv6", remote("[::ffff:127.0.0.1]:1"), 200},
		{"remote from the network", remote("192.168.1.7:1"), 403},
		{"remote from the network, IPv6", remote("[2001:db8::1]:1"), 403},
		{"remote without an address", remote(""), 403},
		{"host localhost", host("localhost:8700"), 200},
		{"host localhost without a port", host("localhost"), 200},
		{"host IPv6", host("[::1]:8700"), 200},
		{"host IPv6 without a port", host("[::1]"), 200},
		{"host that was rebound", host("evil.example:8700"), 403},
		{"host that looks like this one", host("127.0.0.1.evil.example"), 403},
		{"host that looks like this one", host("localhost.evil.example"), 403},
		{"no host", host(""), 403},
		{"Sec-Fetch-Site same-origin", set("Sec-Fetch-Site", "same-origin"), 200},
		{"Sec-Fetch-Site none", set("Sec-Fetch-Site", "none"), 200},
		{"Sec-Fetch-Site same-site", set("Sec-Fetch-Site", "same-site"), 403},
		{"Sec-Fetch-Site cross-site", set("Sec-Fetch-Site", "cross-site"), 403},
		{"own Origin", set("Origin", "http://127.0.0.1:8700"), 200},
		{"Origin another", set("Origin", "http://evil.example"), 403},
		{"Origin another port", set("Origin", "http://127.0.0.1:9999"), 403},
		{"Origin null", set("Origin", "null"), 403},
	}
	w := sandboxtest.New(t)
	for i, tt := range tests {
		for _, method := range []string{"GET", "POST"} {
			path, body := "/_sandbox/credentials", ""
			if method == "POST" {
				path, body = "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":"T%d","total":1}`, i)
			}
			r := sandboxtest.ControlRequest(method, path, body)
			tt.change(r)
			a := sandboxtest.Serve(w.Sandbox.Control(), r)
			if a.Status != tt.status {
				t.Errorf("%s, %s: %d %s, want %d", tt.name, method, a.Status, a.Body, tt.status)
			}
			if e, _ := a.Field("error").(string); (e == "") != (a.Status == 200) {
				t.Errorf("%s, %s: %s, want an error of one sentence", tt.name, method, a.Body)
			}
		}
	}
	for kind, status := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200,
		"": 200, "text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "x": 415,
	} {
		r := sandboxtest.ControlRequest("POST", "/_sandbox/orders", `{"total":1}`)
		r.Header.Set("Content-Type", kind)
		if kind == "" {
			r.Header.Del("Content-Type") // as curl without -d, and a script of any site
		}
		a := sandboxtest.Serve(w.Sandbox.Control(), r)
		if e, _ := a.Field("error").(string); a.Status != status || status == 415 && !strings.Contains(e, kind) {
			t.Errorf("Content-Type %q: %d %s, want %d", kind, a.Status, a.Body, status)
		}
		// From another site it gets in under no name.
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"} {
			r := r.Clone(t.Context())
			r.Body = io.NopCloser(strings.NewReader(`{"total":1}`))
			r.Header.Set(name, value)
			if a := sandboxtest.Serve(w.Sandbox.Control(), r); a.Status != 403 {
				t.Errorf("Content-Type %q, %s %s: %d %s, want 403", kind, name, value, a.Status, a.Body)
			}
		}
	}
}

func TestUnknownPathsAreRefusedInJSON(t *testing.T) {
	w := sandboxtest.New(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/_sandbox/", "", 404},
		{"GET", "/_sandbox/x", "", 404},
		{"GET", "/_sandbox/orders", "", 405},
		{"PUT", "/_sandbox/refunds", "{}", 405},
		{"GET", "/_sandbox/env?channel=x", "", 400},
		{"GET", "/_sandbox/env?channel=apiv3", "", 200},
		{"GET", "/_sandbox/env?chanel=apiv3", "", 400},
		{"GET", "/_sandbox/credentials?only=ca_cert", "", 200},
		{"GET", "/_sandbox/credentials?only=x", "", 400},
		{"GET", "/_sandbox/credentials?only=", "", 400},
		{"GET", "/_sandbox/env?channel=apiv3&channel=wecom", "", 400},
		{"GET", "/_sandbox/env?channel=apiv3;x", "", 400},
		{"POST", "/_sandbox/keys/rotate", `{"x":1}`, 400},
		{"POST", "/_sandbox/keys/rotate", `{`, 400},
		{"DELETE", "/_sandbox/faults", `{"id":"fault-1"}`, 400},
		{"DELETE", "/_sandbox/faults/fault-1", `{"id":"fault-1"}`, 400},
		{"POST", "/_sandbox/deliveries/x/resend", `{"now":true}`, 400},
		{"POST", "/_sandbox/keys/rotate", `{}`, 200},
		{"POST", "/_sandbox/orders", strings.Repeat(" ", 70_000), 413},
		{"POST", "/_sandbox/orders", "", 400},
		{"POST", "/_sandbox/clock", `{"advance":"x"}`, 400},
		{"POST", "/_sandbox/clock", `{"advance":"-1s"}`, 400},
		{"POST", "/_sandbox/clock", `{"advance":"87601h"}`, 400},
		{"POST", "/_sandbox/clock", `{"advance":60}`, 400},
		{"POST", "/_sandbox/clock", `{}`, 400},
		{"POST", "/_sandbox/clock", `{"advance":"0s"}`, 200},
	} {
		a := w.Control(tt.method, tt.path, tt.body, tt.status)
		if e, _ := a.Field("error").(string); (e == "") != (tt.status == 200) {
			t.Errorf("%s %s: %s, want an error of one sentence", tt.method, tt.path, a.Body)
		}
	}
}

// However often the clock is moved on, there is no time that cannot be written down.
func TestTheClockEndsBeforeTheYearsDo(t *testing.T) {
	w := sandboxtest.New(t)
	moves, refused := 0, false
	for ; moves < 1000 && !refused; moves++ {
		a := sandboxtest.Serve(w.Sandbox.Control(), sandboxtest.ControlRequest("POST", "/_sandbox/clock", `{"advance":"87600h"}`))
		refused = a.Status == 400
	}
	if year := w.Sandbox.Now().Year(); !refused || year < 8990 || year > 9000 {
		t.Errorf("after %d moves the year is %d", moves, year)
	}
	w.Control("POST", "/_sandbox/clock", `{"advance":"1h"}`, 200)
	if _, err := json.Marshal(w.Sandbox.Now()); err != nil {
		t.Error(err)
	}
}

func TestAnOrderIsPaidAsItWasAskedFor(t *testing.T) {
	w := sandboxtest.New(t)
	a := w.Control("POST", "/_sandbox/orders", `{"total":100}`, 200)
	for name, form := range map[string]string{
		"out_trade_no": `^[0-9A-Za-z]{6,32}$`, "transaction_id": `^[0-9]{28}$`, "openid": `^o[0-9A-Za-z]{27}$`,
		"currency": `^CNY$`, "trade_state": `^SUCCESS$`, "success_time": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00$`,
	} {
		if s, _ := a.Field(name).(string); !regexp.MustCompile(form).MatchString(s) {
			t.Errorf("%s = %q, want %s", name, s, form)
		}
	}
	b := w.Control("POST", "/_sandbox/orders", `{"total":100}`, 200)
	if a.Field("out_trade_no") == b.Field("out_trade_no") || a.Field("transaction_id") == b.Field("transaction_id") {
		t.Errorf("two orders of the same name: %s, %s", a.Body, b.Body)
	}
	const full = `{"out_trade_no":"T1","transaction_id":"4200000000000000000000000001","total":100,"currency":"USD","openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o","success_time":"2020-06-08T10:34:56+08:00"}`
	a = w.Control("POST", "/_sandbox/orders", full, 200)
	for name, want := range map[string]any{
		"out_trade_no": "T1", "transaction_id": "4200000000000000000000000001", "total": 100.0, "currency": "USD",
		"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "success_time": "2020-06-08T10:34:56+08:00",
	} {
		if got := a.Field(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	future := time.Now().Add(time.Hour).Format(time.RFC3339)
	for _, tt := range []struct {
		body, names string
		status      int
	}{
		{`{}`, "/total", 400},
		{`{"total":0}`, "/total", 400},
		{`{"total":-1}`, "/total", 400},
		{`{"total":1.5}`, "/total", 400},
		{`{"total":"1"}`, "/total", 400},
		{`{"total":1000000000001}`, "/total", 400},
		{`{"total":1,"total":2}`, "twice", 400},
		{`{"Total":1}`, "/Total", 400},
		{`{"total":1,"x":1}`, "/x", 400},
		{`{"total":1}{}`, "JSON", 400},
		{`{"total":1,"currency":"cny"}`, "/currency", 400},
		{`{"total":1,"out_trade_no":"a b"}`, "/out_trade_no", 400},
		{`{"total":1,"out_trade_no":"` + strings.Repeat("x", 33) + `"}`, "/out_trade_no", 400},
		{`{"total":1,"success_time":"yesterday"}`, "/success_time", 400},
		{`{"total":1,"success_time":"` + future + `"}`, "/success_time", 400},
		{`{"total":1,"sub_mchid":"1"}`, "/sub_mchid", 400},
		{`{"total":1,"promotion_detail":[{"promotion_id":"1","scope":"GLOBAL","type":"CASH","amount":2}]}`, "/promotion_detail", 400},
		{`{"total":1,"promotion_detail":[{"promotion_id":"1","scope":"ALL","type":"CASH","amount":1}]}`, "/promotion_detail/0/scope", 400},
		{`{"total":1,"out_trade_no":"T1"}`, "/out_trade_no", 409},
		{`{"total":1,"transaction_id":"4200000000000000000000000001"}`, "/transaction_id", 409},
	} {
		a := w.Control("POST", "/_sandbox/orders", tt.body, tt.status)
		if e, _ := a.Field("error").(string); !strings.Contains(e, tt.names) {
			t.Errorf("%s: %s, want %s named", tt.body, a.Body, tt.names)
		}
	}
}

func TestCredentialsAreOfUse(t *testing.T) {
	w := sandboxtest.New(t)
	a := w.Control("GET", "/_sandbox/credentials", "", 200)
	for name := range strings.FieldsSeq(`appid mchid sub_mchid serial_no private_key apiv3_key public_key_id public_key api_key
		client_cert client_key ca_cert platform_serial platform_cert corpid corpsecret secret_id secret_key env_id cloudbase_apikey`) {
		if s, _ := a.Field(name).(string); s == "" {
			t.Errorf("%s is missing", name)
		}
	}
	cert, err := wxpay.ParseCertificate(a.Field("client_cert").(string))
	if err != nil {
		t.Fatal(err)
	}
	if got := wxpay.SerialNo(cert); got != a.Field("serial_no") || len(got) != 40 {
		t.Errorf("serial_no %v, but the API certificate's is %s", a.Field("serial_no"), got)
	}
	// One by itself is a file: nothing is around it.
	for _, name := range []string{"ca_cert", "client_key", "mchid"} {
		if b := w.Control("GET", "/_sandbox/credentials?only="+name, "", 200); string(b.Body) != a.Field(name) {
			t.Errorf("%s by itself: %s", name, b.Body)
		}
	}
	if h := a.Header.Get("Cache-Control"); h != "no-store" {
		t.Errorf("Cache-Control %q", h)
	}
}

// What is wrong is said so that it can be put right without a look elsewhere.
func TestRefusalsSayWhatToDoInstead(t *testing.T) {
	w := sandboxtest.New(t)
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/_sandbox/orders", `{"total":100`, "cannot be read: not one JSON value"},
		{"POST", "/_sandbox/orders", `{"total":100} x`, "cannot be read"},
		{"POST", "/_sandbox/orders", `{"total":100,"total":200}`, `"total" is there twice`},
		{"POST", "/_sandbox/orders", `[]`, "must be one JSON object"},
		{"POST", "/_sandbox/orders", `"total"`, "must be one JSON object"},
		{"POST", "/_sandbox/orders", ``, "a body is needed"},
		{"POST", "/_sandbox/keys/rotate", `[]`, "must be one JSON object"},
		{"GET", "/_sandbox/orders", ``, "takes POST"},
		{"PUT", "/_sandbox/faults", `{}`, "takes DELETE, GET, HEAD, POST"},
		{"GET", "/_sandbox/view/refunds?currency=yuan", ``, "?currency must be the three letters of a currency"},
	} {
		a := sandboxtest.Serve(w.Sandbox.Control(), sandboxtest.ControlRequest(tt.method, tt.path, tt.body))
		if e, _ := a.Field("error").(string); !strings.Contains(e, tt.want) {
			t.Errorf("%s %s %s: got %q, want it to say %s", tt.method, tt.path, tt.body, e, tt.want)
		}
	}
}
