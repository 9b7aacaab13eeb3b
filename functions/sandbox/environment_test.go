package main

import (
	"context"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// environment looks names up in a map.
func environment(of map[string]string) func(string) string {
	return func(name string) string { return of[name] }
}

// -notify is the address that refunds of our side name, and that the merchant platform
// has for those by hand.
func TestNotificationsGoToAnAddressOfOnesOwn(t *testing.T) {
	t.Parallel()
	own := receive(t, `{"code":"SUCCESS"}`)
	p := start(t, "-speed", "600", "-timer=false", "-notify", own.URL+"/mine")
	if got := p.variables()["WXPAY_NOTIFY_URL"]; got != own.URL+"/mine" {
		t.Errorf("WXPAY_NOTIFY_URL of a function: got %s", got)
	}
	o := p.order()
	p.succeed(refundEvent(o, "R1", 60))
	p.control("POST", "/_sandbox/refunds", `{"out_trade_no":"`+o.OutTradeNo+`","out_refund_no":"hand-1","amount":10}`, nil)
	for _, no := range []string{"R1", "hand-1"} {
		await(t, "the notification of "+no, func() bool {
			d := p.deliveries(no)
			return len(d) == 1 && d[0].State == "delivered"
		})
	}
	if n, head, _ := own.got(); n < 2 || head.Get("Wechatpay-Signature") == "" {
		t.Errorf("%d notifications came, the last with %v", n, head)
	}
	const hint = "give -function notify=URL"
	if strings.Contains(p.stderr.String(), hint) || !strings.Contains(start(t, "-channel", "cloudpay", "-notify", own.URL).stderr.String(), hint) {
		t.Error("the log must point to -function where notifications are calls, and there alone")
	}
}

// -webhook is told of each settled refund. Its receiver can verify that, since the secret
// is among the credentials and in the environment of a function; one that is made here is
// in the log as well. One that is set already stays, and is not for a log.
func TestAWebhookOfOnesOwnIsToldAndCanVerify(t *testing.T) {
	t.Parallel()
	const set = "whsec_c2VjcmV0IG9mIG1pbmUsIGxvbmcgZW5vdWdoLg=="
	for _, env := range []map[string]string{nil, {"NOTIFY_WEBHOOK_SECRET": set}} {
		own := receive(t, "")
		p := startWith(t, environment(env), "-speed", "300", "-webhook", own.URL+"/hook?key=1")
		var c struct {
			WebhookSecret string `json:"webhook_secret"`
		}
		p.control("GET", "/_sandbox/credentials", "", &c)
		if env != nil && c.WebhookSecret != set || !strings.HasPrefix(c.WebhookSecret, "whsec_") {
			t.Errorf("the secret: got %q", c.WebhookSecret)
		}
		if strings.Contains(p.stderr.String(), c.WebhookSecret) != (env == nil) || p.variables()["NOTIFY_WEBHOOK_SECRET"] != c.WebhookSecret || p.variables()["NOTIFY_WEBHOOK_URL"] != own.URL+"/hook?key=1" {
			t.Errorf("the secret %s is not where it can be found", c.WebhookSecret)
		}
		p.succeed(refundEvent(p.order(), "R1", 60))
		await(t, "the webhook", func() bool { n, _, _ := own.got(); return n > 0 })
		_, head, body := own.got()
		hook, err := standardwebhooks.NewWebhook(c.WebhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify([]byte(body), head); err != nil || !strings.Contains(body, `"out_refund_no":"R1"`) {
			t.Errorf("%v: %s", err, body)
		}
	}
	if _, body := start(t).request("GET", "/_sandbox/credentials", ""); strings.Contains(body, "webhook_secret") {
		t.Error("there is a secret without a webhook")
	}
}

// Policy and deliveries come from the environment, as for a deployed function; a flag goes
// before. Who we are and where WeChat is does not.
func TestTheEnvironmentCountsAsForADeployedFunction(t *testing.T) {
	t.Parallel()
	told := receive(t, `{"code":"SUCCESS"}`)
	env := environment(map[string]string{
		"REFUND_OPERATORS": "oOperator", "REFUND_MAX_FEN": "50", "REFUND_PACE": "0s", "REFUND_CLIENT_SOURCES": "my_app",
		"NOTIFY_FUNCTIONS": "scf:orderCallback", "WXPAY_MCHID": "1999999999", "WXPAY_BASE_URL": "https://api.example", "LEDGER_URL": "sqlite:/nonexistent/x.db",
	})
	p := startWith(t, env, "-timer=false", "-function", "orderCallback="+told.URL, "-subscribers", "-speed", "300")
	o := p.order()
	for _, tt := range []struct {
		no     string
		fen    int64
		header []string
		code   int
	}{
		{"E1", 50, []string{"X-WX-OPENID", "oOperator"}, 0},
		{"E2", 50, nil, 0}, // at once: no pace, on either side
		{"E3", 51, []string{"X-WX-OPENID", "oOperator"}, 403},
		{"E4", 1, []string{"X-WX-SOURCE", "my_app"}, 403},
	} {
		if got := p.dispatch(refundEvent(o, tt.no, tt.fen), tt.header...); got.Code != tt.code {
			t.Errorf("%s: got %+v, want code %d", tt.no, got, tt.code)
		}
	}
	await(t, "the merchant's function and an example to be told", func() bool {
		n, _, _ := told.got()
		heard := p.heard().Subscribers
		return n > 0 && len(heard) > 0 && len(heard[0].Heard) > 0
	})

	q := startWith(t, env, "-timer=false", "-speed", "0.001", "-operators", "oDeputy", "-pace", "1m")
	o = q.order()
	for _, tt := range []struct {
		no, openid string
		code       int
	}{{"F1", "oDeputy", 0}, {"F2", "oDeputy", 429}, {"F3", "oOperator", 403}} {
		if got := q.dispatch(refundEvent(o, tt.no, 1), "X-WX-OPENID", tt.openid); got.Code != tt.code {
			t.Errorf("%s: got %+v, want code %d", tt.no, got, tt.code)
		}
	}
	for name, want := range map[string]string{"REFUND_OPERATORS": "oDeputy", "REFUND_PACE": "1m0s"} {
		if got := q.variables()[name]; got != want {
			t.Errorf("%s for a function of its own: got %q, want %q", name, got, want)
		}
	}
}

// What buyers and operators may do can be tried at once; whoever sets it, as for a deployed
// function, gets what he sets.
func TestBuyersAndTwoOperatorsAreThereUnlessSomebodySaysOtherwise(t *testing.T) {
	t.Parallel()
	const operators, self, approval = "REFUND_OPERATORS", "REFUND_SELF", "REFUND_APPROVAL_FEN"
	for _, tt := range []struct {
		env          map[string]string
		args         []string
		want         string // of the three, as a function of its own is told
		buyer, owner int    // the codes of a buyer's application, and of a refund by oOperatorA
	}{
		{nil, nil, "oOperatorA,oOperatorB propose 50000", 0, 0},
		{nil, []string{"-operators", ""}, " propose 50000", 0, 403},
		{map[string]string{operators: "oMe", self: "off", approval: "7"}, nil, "oMe off 7", 403, 403},
		{map[string]string{"REFUND_VERIFY_ORDER": "off", approval: "7"}, nil, "oOperatorA,oOperatorB  7", 403, 202},
	} {
		p := startWith(t, environment(tt.env), append([]string{"-timer=false", "-pace", "0s"}, tt.args...)...)
		v := p.variables()
		if got := v[operators] + " " + v[self] + " " + v[approval]; got != tt.want {
			t.Errorf("%v %v: got %q, want %q", tt.env, tt.args, got, tt.want)
		}
		var o order
		p.control("POST", "/_sandbox/orders", `{"total":100,"openid":"oBuyer"}`, &o)
		apply := event("wxpay_refund_apply", map[string]any{"out_trade_no": o.OutTradeNo, "amount": map[string]any{"refund": 10}, "reason": "r"})
		if got := p.dispatch(apply, "X-WX-OPENID", "oBuyer"); got.Code != tt.buyer {
			t.Errorf("%v %v: an application: got %+v, want %d", tt.env, tt.args, got, tt.buyer)
		}
		if got := p.dispatch(refundEvent(o, "R1", 60), "X-WX-OPENID", "oOperatorA"); got.Code != tt.owner {
			t.Errorf("%v %v: a refund: got %+v, want %d", tt.env, tt.args, got, tt.owner)
		}
	}
}

// What a deployed function would refuse is refused here, in one line with all of it.
func TestTheEnvironmentIsRefusedAsForADeployedFunction(t *testing.T) {
	t.Setenv("REFUND_MAXFEN", "5") // whose name is looked at in the process, as a function does
	for _, tt := range []struct {
		env  map[string]string
		args []string
		says []string
	}{
		{map[string]string{"REFUND_PACE": "1"}, nil, []string{"REFUND_PACE must be a time such as 60s or 1m"}},
		{map[string]string{"REFUND_PACE": "-1m", "REFUND_MAX_FEN": "0"}, nil, []string{"REFUND_PACE must be", "REFUND_MAX_FEN must be"}},
		{map[string]string{"REFUND_OPERATORS": "undefined"}, nil, []string{"REFUND_OPERATORS is the word undefined"}},
		{map[string]string{"REFUND_SERVER_SOURCES": "wx_client"}, nil, []string{"REFUND_SERVER_SOURCES"}},
		{map[string]string{"REFUND_SERVER_TOKEN": "short"}, nil, []string{"REFUND_SERVER_TOKEN"}},
		{map[string]string{"REFUND_TRUST_FUNCTIONS": "yes", "NOTIFY_FUNCTIONS": "mine"}, nil, []string{"REFUND_TRUST_FUNCTIONS", "NOTIFY_FUNCTIONS"}},
		{map[string]string{"NOTIFY_WEBHOOK_URL": "https://shop.example/"}, nil, []string{"NOTIFY_WEBHOOK_SECRET is missing"}},
		{map[string]string{"REFUND_MAXFEN": "5"}, nil, []string{"REFUND_MAXFEN is not a setting: did you mean REFUND_MAX_FEN?"}},
		{nil, []string{"-webhook", "http://shop.example/"}, []string{"NOTIFY_WEBHOOK_URL must be an https address, or http on this machine"}},
		{nil, []string{"-notify", "http://shop.example/?a=b"}, []string{"-notify"}},
	} {
		var stdout, stderr buffer
		args := append([]string{"-listen", "127.0.0.1:0", "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0"}, tt.args...)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		code := run(ctx, args, environment(tt.env), &stdout, &stderr)
		cancel()
		if code != 2 || stdout.String() != "" || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%v %q: got %d, %q, %q; want 2 and one line", tt.env, tt.args, code, &stdout, &stderr)
		}
		for _, says := range tt.says {
			if !strings.Contains(stderr.String(), says) {
				t.Errorf("%v %q: got %q, want %q", tt.env, tt.args, &stderr, says)
			}
		}
	}
}

// A ledger that an earlier run has left is told of before the first call; a new one is not.
func TestAnOldLedgerIsToldOf(t *testing.T) {
	t.Parallel()
	ledger := "sqlite:" + t.TempDir() + "/ledger.db"
	for _, old := range []bool{false, true} {
		p := start(t, "-ledger", ledger)
		if got := strings.Contains(p.stderr.String(), "this ledger has been used before"); got != old {
			t.Errorf("the log tells of an old ledger: %v, want %v", got, old)
		}
		p.stop()
	}
}
