package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// D4, D5: with everything exercised at debug level, no secret and no personal
// datum in full stands in the log, in an error or in a reply to whoever may not.
// There is one exception: a denial's record holds the openid that was denied, so
// that it can be copied into REFUND_OPERATORS.
func TestNothingSecretIsLoggedOrAnswered(t *testing.T) {
	t.Parallel()
	const (
		stranger = "oCANARYstranger0000000000001"
		operator = "oCANARYoperator0000000000001"
		reason   = "CANARY reason that only the payer should read"
	)
	// It answers with what it was sent, as who debugs has his do.
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if event, _ := io.ReadAll(r.Body); strings.Contains(string(event), "fail") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	t.Cleanup(echo.Close)
	p := startWith(t, func(name string) string {
		if name == "LOG_LEVEL" {
			return "debug"
		}
		return ""
	}, "-speed", "600", "-operators", operator, "-function", "down=http://127.0.0.1:1/", "-function", "echo="+echo.URL)
	var said []string // replies to those who may not, and refusals
	say := func(s string) { said = append(said, s) }

	refund := func(o order, no string, fen int) string {
		return fmt.Sprintf(`{"type":"wxpay_refund","out_trade_no":%q,"out_refund_no":%q,"reason":%q,"amount":{"refund":%d,"total":100,"currency":"CNY"}}`, o.OutTradeNo, no, reason, fen)
	}
	for i, fault := range []string{
		``, `{"upstream":"500_after","count":1}`, `{"upstream":"bad_signature","count":1}`, `{"upstream":"unsigned","count":1}`,
		`{"upstream":"reset_after","count":1}`, `{"err_code":"NOT_ENOUGH","count":1}`, `{"notify":"tamper","count":1}`,
		`{"notify":"signtest","count":1}`, `{"notify":"wrong_serial","count":1}`, `{"notify":"stale","count":1}`,
	} {
		o, no := p.order(), fmt.Sprintf("R%d", i)
		if fault != "" {
			p.control("POST", "/_sandbox/faults", fault, nil)
		}
		first := p.dispatch(refund(o, no, 60), "X-WX-OPENID", operator, "X-WX-SOURCE", "wx_client")
		say(first.Message)
		say(p.call("wxpayFunctions", refund(o, no, 50)))                                                                 // conflict
		say(p.call("wxpayFunctions", refund(o, no, 60), "X-WX-OPENID", stranger, "X-WX-SOURCE", "wx_client"))            // denied
		say(p.call("wxpayFunctions", `{"type":"wxpay_refund_query","out_refund_no":"`+no+`"}`, "X-WX-OPENID", stranger)) // denied
		say(p.call("notify", `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"`+no+`"}}`, "X-WX-OPENID", stranger))
		say(p.call("wxpayFunctions", strings.Replace(refund(o, no, 60), `"amount"`, `"Amount"`, 1)))
		p.dispatch(refund(o, no, 60))
	}
	_, down := p.request("POST", "/functions/down", "{}") // with the server token
	say(down)
	_, failed := p.request("POST", "/functions/echo", `{"fail":true}`)
	say(failed)
	if _, whole := p.request("POST", "/functions/echo", "{}"); !strings.Contains(whole, "Bearer "+p.variables()["REFUND_SERVER_TOKEN"]) {
		t.Errorf("the echo is not what the function has answered: %s", whole)
	}
	var held struct {
		Refunds []struct {
			Status              string
			UserReceivedAccount string `json:"user_received_account"`
		}
	}
	await(t, "every notification", func() bool {
		p.control("GET", "/_sandbox/refunds", "", &held)
		for _, r := range held.Refunds {
			if r.Status != "SUCCESS" {
				return false
			}
		}
		return len(held.Refunds) > 0
	})
	_, body := p.request("POST", "/notify", `{"canary":1}`, "Wechatpay-Signature", "x")
	say(body)

	var credentials map[string]string
	p.control("GET", "/_sandbox/credentials", "", &credentials)
	secret := map[string]string{"server token": p.variables()["REFUND_SERVER_TOKEN"], "stranger": stranger, "operator": operator, "reason": reason, "Authorization": "WECHATPAY2-SHA256-RSA2048 mchid"}
	for _, name := range []string{"private_key", "apiv3_key", "api_key", "client_key", "corpsecret", "secret_key", "cloudbase_apikey"} {
		value := credentials[name]
		if value == "" {
			t.Fatalf("no %s among the credentials", name)
		}
		for i, line := range strings.Split(strings.TrimSpace(value), "\n") {
			if !strings.HasPrefix(line, "-----") && len(line) > 8 {
				secret[fmt.Sprintf("%s line %d", name, i)] = line
			}
		}
	}
	for i, r := range held.Refunds {
		if r.UserReceivedAccount == "" {
			t.Fatalf("refund %d: no personal data went through", i)
		}
		secret[fmt.Sprintf("account %d", i)] = r.UserReceivedAccount
	}
	for _, x := range p.journal("kind=function") {
		if strings.Contains(fmt.Sprintf("%+v", x), secret["server token"]) {
			t.Errorf("the journal holds the server token: %+v", x)
		}
	}
	log := p.stderr.String()
	if !strings.Contains(log, `"level":"DEBUG"`) && !strings.Contains(log, `"level":"INFO"`) {
		t.Fatalf("nothing was logged: %s", log)
	}
	if !strings.Contains(log, "oC****01") {
		t.Error("the masked openid is not in the log")
	}
	if log = withoutDeniedOpenIDs(log); log == p.stderr.String() {
		t.Error("no denial holds the openid that was denied")
	}
	for name, value := range secret {
		if strings.Contains(log, value) {
			t.Errorf("the log holds %s", name)
		}
		quoted, _ := json.Marshal(value)
		for _, s := range said {
			if strings.Contains(s, value) || strings.Contains(s, strings.Trim(string(quoted), `"`)) {
				t.Errorf("a refusal holds %s: %s", name, s)
			}
		}
	}
}

// withoutDeniedOpenIDs takes the one attribute that may hold an openid in full out
// of the records that may have it.
func withoutDeniedOpenIDs(log string) string {
	denied := regexp.MustCompile(`("msg":"denied",(?:"out_refund_no":"[^"]*",)?"caller":"user [^"]*"),"openid":"[^"]*"`)
	return denied.ReplaceAllString(log, "$1")
}
