package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// An exchange is one of the journal, as the console reads it.
type exchange struct {
	ID, Kind, Method, Path, Code, Fault string
	Status                              int
	OutRefundNo                         string `json:"out_refund_no"`
	Refused                             bool
	Request, Response                   struct{ Body, Opened string }
	Checks                              []struct {
		What, Detail string
		OK           bool
	}
	Caller *struct{ OpenID, Source string }
}

// journal lists the newest exchanges in full, the newest first.
func (p *program) journal(query string) (out []exchange) {
	p.t.Helper()
	var page struct{ Exchanges []exchange }
	p.control("GET", "/_sandbox/view/exchanges?limit=200&"+query, "", &page)
	for _, x := range page.Exchanges {
		var full exchange
		p.control("GET", "/_sandbox/view/exchanges/"+x.ID, "", &full)
		out = append(out, full)
	}
	return out
}

// A refund's page has all of it: the call of our function, the two calls of WeChat's side that this made,
// the question about the order and the refund, and the notification, which our side's listener does not show for a second time.
func TestARefundsExchangesAreAllThere(t *testing.T) {
	for channel, path := range map[string][2]string{
		"apiv3":     {"/v3/pay/transactions/out-trade-no/", "/v3/refund/domestic/refunds"},
		"cloudbase": {"/admin", "/admin"}, "cloudpay": {"/admin", "/admin"}, "global": {"/pay/orderquery", "/secapi/pay/refund"},
		"wecom": {"/cgi-bin/miniapppay/get_order?access_token=****", "/cgi-bin/miniapppay/refund?access_token=****"},
	} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-channel", channel, "-speed", "0.001", "-hostile=false", "-timer=false")
			p.succeed(refundEvent(p.order(), "R-1", 60))
			p.control("POST", "/_sandbox/refunds/R-1/settle", `{"status":"SUCCESS"}`, nil)
			p.succeed(queryEvent("out_refund_no", "R-1"))
			var got []string
			for _, x := range p.journal("refund=R-1") {
				got = append(got, fmt.Sprintf("%s %s %d %t", x.Kind, x.Path, x.Status, x.Refused))
			}
			slices.Reverse(got)
			begins := len(got) > 2 && got[0] == "function /functions/wxpayFunctions 200 false"
			for i, p := range path {
				begins = begins && strings.HasPrefix(got[1+i], "call "+p) && strings.HasSuffix(got[1+i], " 200 false")
			}
			if !begins {
				t.Fatalf("got %v, want it to begin with our function and the calls of %v", got, path)
			}
			notified := slices.ContainsFunc(got, func(s string) bool {
				return strings.HasPrefix(s, "notification /") && strings.HasSuffix(s, " 200 false")
			})
			if notified != (channel != "wecom") { // which notifies nobody
				t.Errorf("got %v, want the notification once", got)
			}
			for _, s := range got {
				if strings.HasPrefix(s, "function /notify") || strings.HasPrefix(s, "function /functions/notify") {
					t.Errorf("got %v: the notification is there for a second time", got)
				}
			}
		})
	}
}

// What we refuse is there, with who called and why not.
func TestCallsThatWeRefusedAreInTheJournal(t *testing.T) {
	t.Parallel()
	const stranger = "oStranger00000000000000000001"
	p := start(t, "-speed", "0.001", "-timer=false", "-operators", "oOperator0000000000000000001")
	o := p.order()
	p.succeed(refundEvent(o, "R1", 60))
	for _, tt := range []struct {
		name                     string
		function, event          string
		header                   []string
		status                   int
		code, number, check, who string
	}{
		{"403", "wxpayFunctions", refundEvent(o, "R2", 1), []string{"X-WX-OPENID", stranger, "X-WX-SOURCE", "wx_client"}, 200, "NOAUTH", "R2", "identity", "oS****01"},
		{"409", "wxpayFunctions", refundEvent(o, "R3", 50), nil, 200, "", "R3", "", ""},
		{"400", "wxpayFunctions", `{"type":"wxpay_refund","out_refund_no":"R4"}`, nil, 200, "", "R4", "", ""},
		{"another host", "wxpayFunctions", refundEvent(o, "R5", 1), []string{"Host", "evil.example"}, 403, "403", "R5", "", ""},
		{"a client's notify", "notify", `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"R6"}}`, []string{"X-WX-OPENID", stranger}, 200, "FAIL", "R6", "identity", "oS****01"},
	} {
		status, body := p.request("POST", "/functions/"+tt.function, tt.event, tt.header...)
		all := p.journal("kind=function&refused=true")
		if status != tt.status || len(all) == 0 {
			t.Fatalf("%s: got %d %s, %d in the journal", tt.name, status, body, len(all))
		}
		x := all[0]
		var failed []string
		for _, c := range x.Checks {
			if !c.OK {
				failed = append(failed, c.What)
			}
		}
		if x.Status != tt.status || x.OutRefundNo != tt.number || !x.Refused || tt.code != "" && x.Code != tt.code || x.Code == "" ||
			strings.Join(failed, " ") != tt.check || x.Request.Body != tt.event || x.Response.Body != body {
			t.Errorf("%s: got %+v, want %s about %s, failed %q", tt.name, x, tt.code, tt.number, tt.check)
		}
		if x.Caller == nil || x.Caller.OpenID != tt.who {
			t.Errorf("%s: called by %+v, want %q", tt.name, x.Caller, tt.who)
		}
		if written, _ := json.Marshal(x); strings.Contains(string(written), stranger) {
			t.Errorf("%s: the openid is there in full: %s", tt.name, written)
		}
	}
	// Nobody's notification: refused, and of a listener of ours.
	p.request("POST", "/notify", `{"canary":1}`, "Wechatpay-Signature", "x")
	if x := p.journal("kind=function&refused=true")[0]; x.Path != "/notify" || x.Code != "400" && x.Code != "401" {
		t.Errorf("got %+v, want the notification that nobody signed", x)
	}
}

// The timer's runs are there when they did something.
func TestOnlyRunsOfTheTimerThatDidSomethingAreInTheJournal(t *testing.T) {
	t.Parallel()
	p := start(t, "-speed", "0.001", "-hostile=false")
	o := p.order()
	p.pass("5m")
	time.Sleep(300 * time.Millisecond) // the timer looks ten times a second
	if all := p.journal("kind=function"); len(all) != 0 {
		t.Errorf("with nothing to do: got %+v, want nothing", all)
	}
	p.control("POST", "/_sandbox/faults", `{"notify":"lose"}`, nil)
	p.succeed(refundEvent(o, "R1", 60))
	p.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, nil)
	p.pass("10m")
	var runs []exchange
	await(t, "the timer", func() bool {
		p.pass("1m") // its first run, which asks for bills, may have been under way
		runs = slices.DeleteFunc(p.journal("kind=function"), func(x exchange) bool { return x.Method != "TIMER" })
		return len(runs) > 0
	})
	if x := runs[0]; x.Path != "/functions/reconcile" || x.Refused || !strings.Contains(x.Response.Body, `"settled":1`) {
		t.Errorf("got %+v, want the run that settled R1", x)
	}
}

// A lost notification heals by itself, unless the timer is stopped: then by hand, and by itself
// again once the fault is gone.
func TestAStoppedTimerLeavesALostNotificationUnhealed(t *testing.T) {
	t.Parallel()
	p := start(t, "-speed", "600", "-hostile=false") // a virtual minute is a tenth of a second
	p.control("POST", "/_sandbox/faults", `{"notify":"lose"}`, nil)
	lost := func(no string) order {
		o := p.order()
		p.succeed(refundEvent(o, no, 60))
		p.control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, nil)
		return o
	}
	heals := func(o order, no string) {
		t.Helper()
		await(t, no, func() bool { return p.recorded(o)[no] == "SUCCESS" })
	}
	timer := func() bool {
		var state struct{ Timer bool }
		p.control("GET", "/_sandbox/state", "", &state)
		return state.Timer
	}
	heals(lost("R1"), "R1")
	if !timer() {
		t.Error("the state says that the timer is stopped")
	}

	var fault struct{ ID, Timer string }
	p.control("POST", "/_sandbox/faults", `{"timer":"stop"}`, &fault)
	if timer() || fault.Timer != "stop" {
		t.Errorf("got %+v, want the state to say that the timer is stopped", fault)
	}
	stopped := lost("R2")
	p.pass("1h")
	time.Sleep(time.Second) // ten runs, if it ran
	if got := p.recorded(stopped)["R2"]; got != "PROCESSING" {
		t.Errorf("R2: got %s, want it PROCESSING while the timer is stopped", got)
	}
	p.call("reconcile", "{}")
	if got := p.recorded(stopped)["R2"]; got != "SUCCESS" {
		t.Errorf("R2: got %s, want it settled by hand", got)
	}

	last := lost("R3")
	p.control("DELETE", "/_sandbox/faults/"+fault.ID, "", nil)
	heals(last, "R3")
	if !timer() {
		t.Error("the state says that the timer is stopped still")
	}

	// With a count it misses so many runs.
	p.control("POST", "/_sandbox/faults", `{"timer":"stop","count":2}`, nil)
	await(t, "the fault to be used up", timer)
	status, body := p.request("POST", "/_sandbox/faults", `{"timer":"halt"}`)
	if status != 400 || !strings.Contains(body, "/timer") {
		t.Errorf("another word: got %d %s, want 400 naming it", status, body)
	}
}

// A payer's card goes through the function that mini-programs call, and is kept nowhere.
func TestTheJournalKeepsNoCard(t *testing.T) {
	t.Parallel()
	p := start(t, "-timer=false")
	p.call("wxpayFunctions", `{"type":"wxpay_refund_abnormal","data":{"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT",
		"bank_account" : "6222021234567890123","real_name":"张\"三"}}`, "X-WX-OPENID", "oOperatorA")
	var list struct{ Exchanges []struct{ ID string } }
	p.control("GET", "/_sandbox/view/exchanges", "", &list)
	if len(list.Exchanges) == 0 {
		t.Fatal("there is nothing in the journal")
	}
	var x struct{ Request struct{ Body string } }
	p.control("GET", "/_sandbox/view/exchanges/"+list.Exchanges[0].ID, "", &x)
	if body := x.Request.Body; !strings.Contains(body, `"bank_account" : "****","real_name":"****"}}`) || strings.Contains(body, "6222") || strings.Contains(body, "三") {
		t.Errorf("the journal has %s", body)
	}
}
