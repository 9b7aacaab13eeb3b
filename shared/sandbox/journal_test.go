package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/sandbox/sandboxtest"

	"github.com/google/go-cmp/cmp"
)

// A check, and an exchange, as the control doors show them.
type check struct {
	What   string
	OK     bool
	Detail string
}

type exchange struct {
	ID, At, Kind, Method, Path, Name, Code, Fault string
	Status                                        int
	OutRefundNo                                   string `json:"out_refund_no"`
	About                                         []string
	Refused, Rightly                              bool
	Request, Response                             struct {
		Status       int
		Headers      [][2]string
		Body, Opened string
		Cut          bool
	}
	Checks []check
}

// failed are the checks that were not passed.
func (x exchange) failed() (out []string) {
	for _, c := range x.Checks {
		if !c.OK {
			out = append(out, c.What)
		}
	}
	return out
}

// header is the value of one of a request.
func (x exchange) header(name string) string {
	for _, h := range x.Request.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// journal lists exchanges in full, the newest first.
func journal(w *sandboxtest.World, query string) (out []exchange) {
	w.T.Helper()
	var page struct{ Exchanges []exchange }
	w.Control("GET", "/_sandbox/view/exchanges?limit=200"+query, "", 200).Decode(w.T, &page)
	for _, x := range page.Exchanges {
		var full exchange
		w.Control("GET", "/_sandbox/view/exchanges/"+x.ID, "", 200).Decode(w.T, &full)
		out = append(out, full)
	}
	return out
}

func newest(w *sandboxtest.World) exchange {
	w.T.Helper()
	all := journal(w, "")
	if len(all) == 0 {
		w.T.Fatal("the journal is empty")
	}
	return all[0]
}

func TestEverySystemsCallsAreInTheJournal(t *testing.T) {
	for name, tt := range map[string]struct {
		paths  []string // of the refund and of the query
		checks string
		opened []string // a part of what is wrapped in the request, and in the answer
		names  []string // what the gateway is asked to call
	}{
		"apiv3":     {[]string{"/v3/refund/domestic/refunds", "/v3/refund/domestic/refunds/R_1-|*@"}, "headers scheme authorization merchant serial timestamp signature content_type body", nil, nil},
		"global":    {[]string{"/secapi/pay/refund", "/pay/refundquery"}, "certificate xml merchant signature body", nil, nil},
		"cloudbase": {[]string{"/admin?env=x&seqId=1", "/admin?env=x&seqId=1"}, "authorization timestamp signature environment body", []string{"cloudbase_module\n{", `"out_refund_no":"R_1-|*@"`}, []string{"cloudbase_module wxpay_refund", "cloudbase_module wxpay_refund_query"}},
		"cloudpay":  {[]string{"/admin?env=x&seqId=1", "/admin?env=x&seqId=1"}, "authorization timestamp signature environment body", []string{"refund\n{"}, []string{"refund", "queryRefund"}},
		"wecom":     {[]string{"/cgi-bin/miniapppay/refund?access_token=****", "/cgi-bin/miniapppay/get_refund_detail?access_token=****"}, "token body", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, number := sandboxtest.New(t), "R_1-|*@"
			if name == "cloudpay" { // whose documents know fewer characters
				number = "R_1-"
			}
			w.Order("T00001")
			applied := upstreams[name].refund(w, map[string]string{"out_trade_no": "T00001"}, number, 100)
			asked := upstreams[name].query(w, number)
			if applied.code != "" || asked.code != "" {
				t.Fatalf("refused: %+v, %+v", applied, asked)
			}
			upstreams[name].query(w, "another")
			all := journal(w, "&kind=call&refund="+url.QueryEscape(number))
			if len(all) != 2 {
				t.Fatalf("%d exchanges about the refund, want that which made it and the query: %+v", len(all), all)
			}
			query, refund := all[0], all[1]
			var names []string
			for i, x := range []exchange{refund, query} {
				if x.Name != "" {
					names = append(names, x.Name)
				}
				if x.Path != tt.paths[i] || x.Status != 200 || x.Response.Status != 200 || x.Refused || x.Code != "" || x.OutRefundNo != number {
					t.Errorf("got %+v, want %s answered", x, tt.paths[i])
				}
				if len(x.Request.Headers) == 0 || len(x.Response.Headers) == 0 || x.Response.Body == "" || x.failed() != nil {
					t.Errorf("got %+v, want headers, the answer and only checks that were passed", x)
				}
			}
			if d := cmp.Diff(tt.names, names); d != "" {
				t.Errorf("what is called (-want +got):\n%s", d)
			}
			var what []string
			for _, c := range refund.Checks {
				what = append(what, c.What)
			}
			if got := strings.Join(what, " "); got != tt.checks {
				t.Errorf("checked %s, want %s", got, tt.checks)
			}
			if !strings.Contains(refund.Request.Body, number) || refund.Method != "POST" {
				t.Errorf("request %q, want it as it came", refund.Request.Body)
			}
			for i, got := range []string{refund.Request.Opened, refund.Response.Opened} {
				if i < len(tt.opened) && !strings.Contains(got, tt.opened[i]) {
					t.Errorf("opened: %q, want %s", got, tt.opened[i])
				}
			}
		})
	}
}

// One request that would be accepted, and one thing of it changed: what was refused is there, with
// the check that it did not pass.
func TestRefusedCallsAreInTheJournalWithWhatWasWrong(t *testing.T) {
	const body = `{"out_trade_no":"T00001","out_refund_no":"R1","amount":{"refund":100,"total":10000,"currency":"CNY"}}`
	v3 := func(change func(*http.Request)) func(*sandboxtest.World) *http.Request {
		return func(w *sandboxtest.World) *http.Request {
			r := w.Request("POST", sandboxtest.RefundsPath, body)
			change(r)
			return r
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	replace := func(before, after string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), before, after, 1))
		}
	}
	v2 := func(path, root string, change func(*http.Request)) func(*sandboxtest.World) *http.Request {
		return func(w *sandboxtest.World) *http.Request {
			signed := strings.Replace(string(w.Signed(w.GlobalRefund(map[string]string{"out_trade_no": "T00001"}))), "<refund_fee>", root, 1)
			r := w.RequestV2(path, []byte(signed))
			change(r)
			return r
		}
	}
	same := func(*http.Request) {}
	for name, tt := range map[string]struct {
		request func(*sandboxtest.World) *http.Request
		status  int
		code    string
		failed  string
	}{
		"v3, signature": {v3(replace(`signature="`, `signature="AAAA`)), 401, "SIGN_ERROR", "signature"},
		"v3, serial":    {v3(replace(`serial_no="`, `serial_no="0`)), 401, "SIGN_ERROR", "serial"},
		"v3, merchant":  {v3(replace(`mchid="1900000001"`, `mchid="1900000002"`)), 404, "MCH_NOT_EXISTS", "merchant"},
		"v3, scheme":    {v3(header("Authorization", "Bearer eyJhbGciOi")), 401, "SIGN_ERROR", "scheme"},
		"v3, form":      {v3(header("Authorization", "")), 401, "SIGN_ERROR", "authorization"},
		"v3, headers":   {v3(header("Accept", "")), 400, "INVALID_REQUEST", "headers"},
		"v3, media":     {v3(header("Content-Type", "text/plain")), 415, "UNSUPPORTED_MEDIA", "content_type"},
		"v3, body": {func(w *sandboxtest.World) *http.Request {
			return w.Request("POST", sandboxtest.RefundsPath, strings.Replace(body, "100,", `"100",`, 1))
		}, 400, "PARAM_ERROR", "body"},
		"v3, no such path":   {func(w *sandboxtest.World) *http.Request { return w.Request("GET", "/v3/x", "") }, 404, "RESOURCE_NOT_EXISTS", ""},
		"v2, signature":      {v2(sandboxtest.RefundV2, "<refund_fee>1", same), 200, "FAIL", "signature"},
		"v2, XML":            {v2(sandboxtest.RefundV2, "<", same), 200, "FAIL", "xml"},
		"v2, no certificate": {v2(sandboxtest.RefundV2, "<refund_fee>", func(r *http.Request) { r.TLS = nil }), 400, "400", "certificate"},
		"gateway, signature": {func(w *sandboxtest.World) *http.Request {
			r := w.Invoke(nil)
			r.Header.Set("User-Agent", "x")
			return r
		}, 200, "SIGN_PARAM_INVALID", "signature"},
		"gateway, secret id":   {func(w *sandboxtest.World) *http.Request { r := w.Invoke(nil); replace("AKID", "AKIE")(r); return r }, 200, "SIGN_PARAM_INVALID", "authorization"},
		"gateway, environment": {func(w *sandboxtest.World) *http.Request { return w.Invoke(map[string]any{"envName": "x"}) }, 200, "INVALID_ENV", "environment"},
		"module, body": {func(w *sandboxtest.World) *http.Request {
			return w.Invoke(map[string]any{"function_name": "cloudbase_module", "request_data": `{"name":"wxpay_refund","data":{"out_refund_no":"R1"}}`})
		}, 200, "PARAM_ERROR", "body"},
		"WeCom, token": {func(*sandboxtest.World) *http.Request {
			return httptest.NewRequest("POST", sandboxtest.WeComPath+"?access_token=x", strings.NewReader(sandboxtest.WeComRefund))
		}, 200, "40014", "token"},
		"WeCom, secret": {func(w *sandboxtest.World) *http.Request {
			return httptest.NewRequest("GET", sandboxtest.AccessPath+"?corpsecret=x&corpid="+w.SettingsOf("wecom")["WECOM_CORPID"], nil)
		}, 200, "40001", "corpsecret"},
	} {
		t.Run(name, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Order("T00001")
			r := tt.request(w)
			sandboxtest.Serve(w.Sandbox.WeChat(), r)
			x := newest(w)
			if x.Status != tt.status || !x.Refused || x.Code != tt.code || strings.Join(x.failed(), " ") != tt.failed {
				t.Errorf("got %d, refused %t, %s, failed %v, want %d %s %s\n%+v", x.Status, x.Refused, x.Code, x.failed(), tt.status, tt.code, tt.failed, x)
			}
			if all := journal(w, "&refused=true"); len(all) != 1 {
				t.Errorf("%d refused exchanges, want this one", len(all))
			}
		})
	}
}

// A stale signature is refused for its age, which is shown.
func TestTheAgeOfASignatureIsInTheJournal(t *testing.T) {
	w := sandboxtest.New(t)
	sandboxtest.Serve(w.Sandbox.WeChat(), w.GatewayRequest("application/json", []byte("{}"), nil, time.Now().Add(-time.Hour)))
	if x := newest(w); len(x.Checks) == 0 || !slices.Contains(x.Checks, check{"timestamp", false, "1h0m0s old"}) {
		t.Errorf("checks %+v, want the timestamp an hour old", x.Checks)
	}
}

// What is sent after a fault has changed it is what stands there, opened where it can be.
func TestEveryNotificationIsInTheJournalAsItWasSent(t *testing.T) {
	for name, tt := range map[string]struct {
		fault, answer string
		channel       string
		failed        string
		opened        bool
	}{
		"v3":               {"", `{"code":"SUCCESS"}`, "apiv3", "", true},
		"v3, refused":      {"", `{"code":"FAIL"}`, "apiv3", "acknowledgement", true},
		"v3, tampered":     {"tamper", `{"code":"FAIL"}`, "apiv3", "signature seal fault", false},
		"v3, stale":        {"stale", `{"code":"FAIL"}`, "apiv3", "timestamp fault", true},
		"v3, wrong serial": {"wrong_serial", `{"code":"FAIL"}`, "apiv3", "signature fault", true},
		"v2":               {"", sandboxtest.AckV2, "global", "", true},
		"v2, tampered":     {"tamper", sandboxtest.AckV2, "global", "seal fault acknowledgement", false},
		"the template's":   {"", `{"result":{"code":"SUCCESS"}}`, "cloudbase", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Relayed()
			w.Order("T00001")
			status := map[bool]int{true: 401, false: 200}[strings.Contains(tt.answer, `"FAIL"`)]
			w.Answering(status, tt.answer)
			if tt.fault != "" {
				w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q}`, tt.fault), 200)
			}
			upstreams[tt.channel].refund(w, map[string]string{"out_trade_no": "T00001"}, "R1", 100)
			w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
			all := journal(w, "&kind=notification")
			posts := w.Receiver.Received()
			if len(all) != 1 || len(posts) != 1 {
				t.Fatalf("%d notifications in the journal, %d posted, want one", len(all), len(posts))
			}
			x := all[0]
			if x.OutRefundNo != "R1" || x.Method != "POST" || x.Request.Body != string(posts[0].Body) || x.header("Request-ID") != posts[0].Header.Get("Request-Id") ||
				x.header("Wechatpay-Signature") != posts[0].Header.Get("Wechatpay-Signature") {
				t.Errorf("got %+v, want it as it was sent", x)
			}
			if x.Response.Body != tt.answer || x.Status != status || x.Fault != tt.fault || strings.Join(x.failed(), " ") != tt.failed || x.Refused != (tt.failed != "") {
				t.Errorf("got %+v, failed %v, want %d and failed %s", x, x.failed(), status, tt.failed)
			}
			if rightly := tt.fault != "" && status == 401; x.Rightly != rightly || slices.ContainsFunc(x.Checks, func(c check) bool { return c.What == "refusal" }) != rightly {
				t.Errorf("got %+v, want it refused rightly: %t", x, rightly)
			}
			if got := strings.Contains(x.Request.Opened, "R1"); got != tt.opened {
				t.Errorf("opened %q, want it opened: %t", x.Request.Opened, tt.opened)
			}
			var listed struct {
				Deliveries []struct{ Attempts []struct{ Exchange string } }
			}
			w.Control("GET", "/_sandbox/deliveries", "", 200).Decode(t, &listed)
			if got := listed.Deliveries[0].Attempts[0].Exchange; got != x.ID {
				t.Errorf("the attempt names exchange %q, want %s", got, x.ID)
			}
		})
	}
}

// Each check of a notification says what was found, not what should have been.
func TestTheChecksOfANotificationSayWhatIsWrong(t *testing.T) {
	for fault, want := range map[string][]check{
		"":       {{"timestamp", true, "signed 0 s before it was sent; from 300 s on it is to be refused"}, {"seal", true, "opens with the merchant's key"}},
		"stale":  {{"timestamp", false, "signed 600 s before it was sent; from 300 s on it is to be refused"}, {"refusal", true, "refused with status 401, as it must be"}},
		"tamper": {{"seal", false, "does not open with the merchant's key"}, {"refusal", true, "refused with status 401, as it must be"}},
	} {
		w := sandboxtest.New(t)
		w.Order("T00001")
		w.Answering(401, `{"code":"FAIL"}`)
		if fault != "" {
			w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q}`, fault), 200)
		}
		upstreams["apiv3"].refund(w, map[string]string{"out_trade_no": "T00001"}, "R1", 100)
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
		x := journal(w, "&kind=notification")[0]
		for _, c := range want {
			if !slices.Contains(x.Checks, c) {
				t.Errorf("%s: checks %+v, want %+v", fault, x.Checks, c)
			}
		}
	}
}

// A fault that takes the connection leaves an exchange without an answer.
func TestWhatBreaksTheConnectionIsInTheJournal(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T00001")
	w.Control("POST", "/_sandbox/faults", `{"upstream":"reset_after","count":1}`, 200)
	server := httptest.NewServer(w.Sandbox.WeChat())
	defer server.Close()
	r := w.Request("POST", sandboxtest.RefundsPath, `{"out_trade_no":"T00001","out_refund_no":"R1","amount":{"refund":1,"total":10000,"currency":"CNY"}}`)
	sent, err := http.NewRequestWithContext(t.Context(), r.Method, server.URL+sandboxtest.RefundsPath, r.Body)
	if err != nil {
		t.Fatal(err)
	}
	sent.Header = r.Header
	if res, err := http.DefaultClient.Do(sent); err == nil {
		res.Body.Close()
		t.Fatalf("answered with %d, want a broken connection", res.StatusCode)
	}
	for end := time.Now().Add(5 * time.Second); len(journal(w, "")) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	x := newest(w)
	if x.Status != 0 || x.Fault != "reset_after" || x.OutRefundNo != "R1" || !slices.Contains(x.Checks, check{"answer", false, "no answer: reset_after"}) {
		t.Errorf("got %+v, want no answer because of reset_after", x)
	}
}

// With every door asked and every secret sent where it belongs and where it does not, none is
// in the journal.
func TestNoSecretIsInTheJournal(t *testing.T) {
	w := sandboxtest.New(t)
	w.Relayed()
	w.Order("T00001")
	w.Order("T1")
	var n int
	for _, u := range upstreams {
		n++
		u.refund(w, map[string]string{"out_trade_no": "T00001"}, fmt.Sprintf("R%d", n), 100)
		u.query(w, fmt.Sprintf("R%d", n))
	}
	w.Call("GET", "/v3/certificates", "")
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	token := fmt.Sprint(w.Token(nil).Field("access_token"))
	var credentials map[string]string
	w.Control("GET", "/_sandbox/credentials", "", 200).Decode(t, &credentials)
	secret := map[string]string{
		"token": token, "session": "CANARYsession1", "bearer": "CANARYbearer1", "cookie": "CANARYcookie1", "openid": "oCANARYopenid0000000000000001",
		"another corpsecret": "CANARYcorpsecret1", "password": "CANARYpassword1",
		"card": "622202CANARY", "payer": "CANARY张三",
	}
	for _, name := range []string{"private_key", "apiv3_key", "api_key", "client_key", "corpsecret", "secret_key", "cloudbase_apikey"} {
		lines := strings.Split(strings.TrimSpace(credentials[name]), "\n")
		if secret[name] = lines[len(lines)/2]; len(secret[name]) < 16 {
			t.Fatalf("no %s among the credentials", name)
		}
	}
	var everything []byte
	for name, value := range secret {
		if name == "openid" || name == "token" || strings.Contains(value, "CANARY") {
			continue
		}
		r := w.Request("POST", "/v3/x?a="+url.QueryEscape(value), value)
		r.Header.Set("X-Anything", value)
		sandboxtest.Serve(w.Sandbox.WeChat(), r)
		everything = append(everything, value...)
	}
	w.WeComAs(token, sandboxtest.WeComPath, `{"note":"`+token+`"}`)
	w.Token(url.Values{"corpsecret": {secret["another corpsecret"]}})
	r := w.Invoke(map[string]any{"wxCloudSessionToken": secret["session"], "request_data": `{"password":"` + secret["password"] + `","bank_account":"` + secret["card"] + `","real_name":"` + secret["payer"] + `"}`})
	r.Header.Set("Cookie", "a="+secret["cookie"])
	r.Header.Set("X-Wx-Openid", secret["openid"])
	sandboxtest.Serve(w.Sandbox.WeChat(), r)
	r = w.Request("GET", "/v3/certificates", "")
	r.Header.Set("Authorization", "Bearer "+secret["bearer"])
	sandboxtest.Serve(w.Sandbox.WeChat(), r)
	form := "--b\r\nContent-Disposition: form-data; name=\"wxCloudSessionToken\"\r\n\r\n" + secret["session"] + "\r\n--b--\r\n"
	sandboxtest.Serve(w.Sandbox.WeChat(), w.GatewayRequest("multipart/form-data; boundary=b", []byte(form), nil, time.Now()))

	all := journal(w, "")
	if len(all) < 20 || len(everything) == 0 {
		t.Fatalf("only %d exchanges went through", len(all))
	}
	written, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range secret {
		// A line of a PEM is no secret that is known by its name, and is never sent; the test has sent it.
		if name == "private_key" || name == "client_key" {
			continue
		}
		if strings.Contains(string(written), value) {
			t.Errorf("the journal holds %s", name)
		}
	}
	if !strings.Contains(string(written), "WECHATPAY2-SHA256-RSA2048 mchid") {
		t.Error("the journal holds no signature, which is no secret")
	}
}
