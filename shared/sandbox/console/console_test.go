package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"wxrefund/shared/console"
	"wxrefund/shared/console/consoletest"
	"wxrefund/shared/sandbox/sandboxtest"
)

// D11: the page and its parts are served with a policy that lets them load nothing else,
// and are to be stored nowhere.
func TestThePageIsServedUnderAStrictPolicy(t *testing.T) {
	w := sandboxtest.New(t)
	tests := []struct {
		path, kind string
		status     int
	}{
		{"/", "text/html; charset=utf-8", 200},
		{"/_sandbox/console/app.js", "text/javascript; charset=utf-8", 200},
		{"/_sandbox/console/style.css", "text/css; charset=utf-8", 200},
		{"/_sandbox/console/zh.json", "application/json; charset=utf-8", 200},
		{"/_sandbox/console/icon.svg", "image/svg+xml", 200},
		{"/_sandbox/console/", "application/json; charset=utf-8", 404},
		{"/_sandbox/console/none.js", "application/json; charset=utf-8", 404},
		{"/_sandbox/console/x/app.js", "application/json; charset=utf-8", 404},
		{"/_sandbox/console/../console.go", "application/json; charset=utf-8", 404},
	}
	for _, tt := range tests {
		a := sandboxtest.Serve(w.Sandbox.Console(), sandboxtest.ControlRequest("GET", tt.path, ""))
		if a.Status != tt.status || a.Header.Get("Content-Type") != tt.kind {
			t.Errorf("%s: got %d %s, want %d %s", tt.path, a.Status, a.Header.Get("Content-Type"), tt.status, tt.kind)
		}
		if got := fmt.Sprint(a.Header["Cache-Control"], a.Header["X-Content-Type-Options"], a.Header["Referrer-Policy"]); got != "[no-store] [nosniff] [no-referrer]" {
			t.Errorf("%s: headers: got %s", tt.path, got)
		}
		policy := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !slices.Contains(strings.Split(policy, "; "), want) {
				t.Errorf("%s: the policy %q lacks %s", tt.path, policy, want)
			}
		}
		for _, never := range []string{"unsafe", "*", "http:", "https:", "data:"} {
			if strings.Contains(policy, never) {
				t.Errorf("%s: the policy %q has %s", tt.path, policy, never)
			}
		}
	}
}

// D11: a link may lead to the page; nobody else's page may read what it shows.
func TestOtherSitesMayLinkToThePageButNotReadIt(t *testing.T) {
	w := sandboxtest.New(t)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	tests := []struct {
		name       string
		change     func(*http.Request)
		page, data int
	}{
		{"as it is", func(*http.Request) {}, 200, 200},
		{"the page itself", set("Sec-Fetch-Site", "same-origin"), 200, 200},
		{"a link on another site", set("Sec-Fetch-Site", "cross-site"), 200, 403},
		{"another port of this machine", set("Sec-Fetch-Site", "same-site"), 200, 403},
		{"a name that was rebound", func(r *http.Request) { r.Host = "evil.example" }, 403, 403},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 403, 403},
	}
	for _, tt := range tests {
		for path, want := range map[string]int{"/": tt.page, "/_sandbox/state": tt.data, "/_sandbox/events": tt.data} {
			h := w.Sandbox.Control()
			if path == "/" {
				h = w.Sandbox.Console()
			} else if path == "/_sandbox/events" && want == 200 {
				continue // it does not end; TestWatchersAreSentEachChange reads it
			}
			r := sandboxtest.ControlRequest("GET", path, "")
			tt.change(r)
			if a := sandboxtest.Serve(h, r); a.Status != want {
				t.Errorf("%s, %s: got %d, want %d", tt.name, path, a.Status, want)
			}
		}
	}
}

// own are the files that only this page has, and both are all that it loads.
func own(t *testing.T) map[string]string {
	t.Helper()
	return consoletest.Assets(t, os.DirFS("."))
}

func both(t *testing.T) map[string]string {
	t.Helper()
	all := consoletest.Assets(t, console.Files())
	maps.Copy(all, own(t))
	return all
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	consoletest.LoadsNothingFromElsewhere(t, own(t), "/_sandbox/console/")
}

func TestBothLanguagesSayTheSame(t *testing.T) {
	// The reason of a refund is what the shop's customers read: Chinese in both.
	consoletest.BothLanguagesSayTheSame(t, consoletest.Words(t, own(t), "en.json"), consoletest.Words(t, own(t), "zh.json"), "reason")
}

func TestWhatIsSaidWithANumberCanBeReadInOneWay(t *testing.T) {
	consoletest.ReadsInOneWay(t, consoletest.Words(t, own(t), "en.json"), consoletest.Words(t, own(t), "zh.json"))
}

// What the page says is in the tables, and there is nothing in its own that it does not say.
func TestEverySentenceOfThePageIsUsed(t *testing.T) {
	// Sentences about things that have names: every one that the state can hold.
	var state struct {
		Known map[string][]string
	}
	sandboxtest.New(t).Control("GET", "/_sandbox/state", "", 200).Decode(t, &state)
	faults := slices.Concat(state.Known["upstream"], state.Known["notify"], state.Known["bill"], []string{"stop"})
	families := map[string][]string{
		"fault.": faults, "teaches.": faults,
		"state.":     {"paid", "claimed", "processing", "success", "closed", "abnormal", "rejected"},
		"means.":     {"claimed", "processing", "success", "closed", "abnormal", "rejected"},
		"delivery.":  {"pending", "delivered", "failed", "lost"},
		"key.":       {"merchant", "certificate", "public_key"},
		"do.settle.": {"SUCCESS", "CLOSED", "ABNORMAL"},
		"ours.":      {"claimed", "sent", "processing", "success", "closed", "abnormal", "unanswered", "refused", "contradiction", "released", "withdrawn", "taken", "owed", "delivered", "undelivered", "given_up", "finishing"},
		"wechat.":    {"accepted", "by_hand", "settled", "notified", "lost"},
		"who.":       {"ours", "wechat"},
		"detail.":    {"server", "reply", "letter", "query"},
		"cause.": {
			"body_changed", "probe", "unknown_serial", "stale", "new_key", "either_key", "believed", "no_answer", "malformed", "not_verified",
			"too_large", "unavailable", "not_success", "status",
		},
		"link.": {"live", "waiting"}, "applies.": {"once", "half", "always"}, "faults.on.": {"apply", "query", "bill"}, "bill.file.": {"trade", "BASIC"},
		"bill.":   {"agrees", "waiting", "differs", "unread", "reading", "unreadable", "unavailable"},
		"filter.": {"all", "open", "success", "abnormal", "ended", "since", "until", "min", "max", "doubt", "undelivered", "owed", "difference"}, "clock.": {"1m", "10m", "1h", "24h4m"},
		"bar.": {"refunded", "open", "remaining"}, "records.": {"held", "arrived", "ours", "wechat", "difference"},
		"empty.step": {"1", "2", "3"}, "empty.text": {"1", "2", "3"},
		"scenario.": {"abnormal", "closed", "byHand", "abnormal.teaches", "closed.teaches", "byHand.teaches", "untold", "untold.teaches"},
		"unit.":     {"y", "d", "h", "m", "s"}, "short.unit.": {"y", "d", "h", "m", "s"},
		"summary.": {"refunds", "open", "doubt", "undelivered", "owed", "gap"},
		"list.":    {"previous", "next", "refunds", "orders"}, "day.": {"accepted", "settled", "in_doubt", "hour"},
		"exchange.": {"call", "notification", "function", "request", "response"},
		"check.":    {"signature", "timestamp", "serial", "certificate", "token", "body", "identity", "headers", "content_type", "scheme", "authorization", "merchant", "xml", "seal", "fault", "answer", "acknowledgement", "refusal", "corpid", "corpsecret", "environment"},
		"merchant.": {"certificate", "switching", "public-key"}, "role.": {"server", "server.may", "buyer", "buyer.may", "operatorA", "operatorA.may", "operatorB", "operatorB.may"},
		"application.": {"PENDING", "APPROVED", "REJECTED", "WITHDRAWN", "EXPIRED", "REFUNDED"}, "abnormal.": {"USER_BANK_CARD", "MERCHANT_BANK_CARD", "bank_type", "bank_account", "real_name"},
	}
	en, common := consoletest.Words(t, own(t), "en.json"), consoletest.Words(t, both(t), "common.en.json")
	consoletest.EverySentenceIsUsed(t, consoletest.Said(t, both(t), families, en), en, common)
}
