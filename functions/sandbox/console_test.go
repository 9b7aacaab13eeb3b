//go:build heavy

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"wxrefund/shared/console"
	"wxrefund/shared/console/consoletest"
)

// The whole story by clicks, in a real browser. A newcomer's first refund is at the
// beginning, and timed from before the program starts.
func TestTheWholeStoryByClicks(t *testing.T) {
	consoletest.Chromium(t)
	began := time.Now()
	p := start(t, "-timer=false") // it is run by a button
	b := browse(t, p, 1440, 900)
	b.Sees("h2", "Start here")
	b.Shot("empty")
	b.Click("#first-step", "Make an order and refund it")
	b.Sees(".detail .head .pill", "Refunded")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the first refund took %v, want less than a minute", took)
	} else {
		t.Logf("the first refund, from the program's start to its settlement: %v", took.Round(time.Millisecond))
	}
	for _, step := range []struct {
		name string
		do   func(*tab)
	}{
		{"the timeline", seesTimeline},
		{"a part", refundsPart},
		{"the list", findsRefunds},
		{"refused notifications", seesRefusals},
		{"the schedule", seesSchedule},
		{"a lost notification", losesNotification},
		{"what went over the line", seesCalls},
		{"an unknown outcome", breaksAnswer},
		{"other ends", endsOtherwise},
		{"hostile mode", switchesHostility},
		{"keys", seesKeys},
		{"snippets", copiesSnippets},
		{"what it looks like", looks},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(b.in(t)) }) {
			break // the next steps stand on this one
		}
	}
	b.in(t).Clean()
}

// pill waits for a state of the refund that is shown.
func (b *tab) pill(state string) {
	b.t.Helper()
	b.Sees(".detail .head .pill", state)
}

// clocks moves the virtual clock on by a button.
func (b *tab) clocks(button string) {
	b.t.Helper()
	before := ask[string](b, "document.querySelector('#calls .reply')?.innerText ?? ''")
	b.Click("#clock button", button)
	b.Until("the clock has moved", fmt.Sprintf("/\"complete\": true/.test(document.querySelector('#calls .reply')?.innerText) && document.querySelector('#calls .reply')?.innerText !== %q", before))
}

// fault makes something go wrong for a new refund, and waits until that is shown.
func (b *tab) fault(name string) {
	b.t.Helper()
	before := ask[string](b, "document.querySelector('.rows .number')?.innerText ?? ''")
	b.Click("nav a", "Faults")
	b.Click(".fault", name)
	b.Until("a new refund is shown", fmt.Sprintf("location.hash.startsWith('#/refunds/') && document.querySelector('.rows .number')?.innerText !== %q", before))
}

func seesTimeline(b *tab) {
	for _, line := range []string{
		"Claimed ¥1.00, before sending (by a server)", "Sent to WeChat Pay", "Accepted the refund", "Recorded as in progress",
		"Settled as SUCCESS", "Notified: REFUND.SUCCESS", "Settled as refunded (from the notification)",
	} {
		b.Sees(".timeline li", line)
	}
	b.Sees(".timeline .answer", "200")
	b.Sees(".timeline .answer", " ms")
	b.Sees(".timeline .answer", "SUCCESS · 成功")
	b.Sees(".bar", "Refunded ¥1.00")
	b.Sees(".bar", "Remaining ¥0.00")
	b.Sees(".records", "¥0.00")
}

func refundsPart(b *tab) {
	b.Fill("input[name=total]", "12.50")
	b.Click("button", "Make the order only")
	b.Sees(".bar", "Remaining ¥12.50")
	b.Until("what can be copied makes the same order", "document.querySelector('#calls pre')?.innerText.includes(`\"out_trade_no\":\"${document.querySelector('.detail .numbers .number').innerText}\"`)")
	b.Fill("form.again input", "13")
	b.Click("button", "Refund this amount")
	b.Sees("#toast", "400 PARAM_ERROR")
	b.Fill("form.again input", "no money")
	b.Click("button", "Refund this amount")
	b.Sees("#toast", "An amount above zero is needed")
	b.Fill("form.again input", "99999999999")
	b.Click("button", "Refund this amount")
	b.Sees("#toast", "at most ten digits")
	b.Fill("form.again input", "4.20")
	b.Click("button", "Refund this amount")
	b.Sees(".bar", "Remaining ¥8.30")
	b.clocks("+10 min")
	b.pill("Refunded")
	b.Sees(".bar", "Refunded ¥4.20")
	b.Shot("part")
	b.Click("button", "Refund all that is left")
	b.Sees(".bar", "Remaining ¥0.00")
	b.Sees(".rows", "¥8.30")
	b.Click("button", "Repeat the same call")
	b.Until("the repeat is answered", "/\"code\": 0/.test(document.querySelector('#calls .reply')?.innerText)")
	b.Click("button", "Query")
	b.Until("the query is answered", "/wxpay_refund_query/.test(document.querySelector('#calls pre')?.innerText) && /\"code\": 0/.test(document.querySelector('#calls .reply')?.innerText)")
	b.Click("button", "Settle as SUCCESS")
	b.pill("Refunded")
}

func findsRefunds(b *tab) {
	var first struct {
		Refunds []map[string]any
	}
	b.control("GET", "/_sandbox/refunds", "", &first)
	for _, field := range []string{"out_refund_no", "refund_id", "out_trade_no", "transaction_id"} {
		b.Fill("#search", fmt.Sprint(first.Refunds[0][field]))
		b.Until("the search by "+field+" finds one", "document.querySelectorAll('.list .rows li').length === 1")
		b.Sees(".list .rows .number", fmt.Sprint(first.Refunds[0]["out_refund_no"]))
	}
	b.Fill("#search", "no such number")
	b.Sees(".list", "Nothing matches.")
	b.Until("there is no file of nothing", "!document.querySelector('.csv')")
	b.Fill("#search", kb.Delete)
	for filter, want := range map[string]int{"Abnormal": 0, "Refunded": 3, "Open": 0, "All": 3} {
		b.Click(".list .chip", filter)
		b.Until(fmt.Sprintf("%s lists %d", filter, want), fmt.Sprintf("document.querySelectorAll('.list .rows li').length === %d", want))
	}
	b.Click(".list .chip", "All")
	b.Click(".filters summary", "More filters")
	b.Fill("[data-query=max]", "abc")
	b.Sees(".filters .reason", "An amount above zero is needed")
	b.Until("the field says why", "document.getElementById(document.querySelector('[data-query=max]').getAttribute('aria-describedby')).innerText !== ''")
	b.Fill("[data-query=max]", kb.Delete)
	b.Until("nothing is wrong any more", "!document.querySelector('.filters .reason, .filters [aria-invalid]')")
	b.Click(".filters summary", "More filters")
}

func seesRefusals(b *tab) {
	for _, refused := range [][2]string{
		{"Stale signature", "signature is ten minutes old"}, {"Change its body", "its body was changed"},
		{"Probe with a false signature", "one of WeChat Pay's probes"}, {"Unknown serial", "names a key by a serial that does not exist"},
	} {
		b.fault(refused[0])
		b.clocks("+10 min")
		b.Sees(".timeline .reason", refused[1])
		b.Sees(".timeline .answer .code-pill.good", "401") // as it must be
		b.Until("no alarm is raised over it", "document.querySelector('.timeline .reason.rightly') && !document.querySelector('.timeline .bad')")
		b.pill("Refunded") // by the repeat, which is genuine
		b.Sees(".notification .pill", "Delivered")
	}
	for figure, want := range map[string]string{"open": "0", "undelivered": "0", "gap": "¥0.00"} {
		b.Sees(".figures [data-key="+figure+"]", want)
	}
	b.Resize(1440, 1130)
	b.Shot("console") // the picture in README
	b.Resize(1440, 900)
}

func seesSchedule(b *tab) {
	b.Click("nav a", "Faults")
	b.Click(".options label", "always")
	b.fault("Stale signature")
	b.clocks("+10 min")
	b.Sees(".notification .pill", "Pending")
	b.Until("the strip has sixteen steps", "document.querySelectorAll('.notification .strip li').length === 16")
	b.Until("some are refused and one is next", "document.querySelectorAll('.strip .refused').length >= 3 && document.querySelectorAll('.strip .next').length === 1")
	b.Sees(".notification .countdown", "in ")
	before := ask[string](b, "document.querySelector('.countdown')?.innerText ?? ''")
	b.Until("it counts down", fmt.Sprintf("document.querySelector('.countdown')?.innerText !== %q", before))
	b.Shot("schedule")
	sent := ask[int](b, "document.querySelectorAll('.strip .refused').length")
	b.Click("button", "Advance to it")
	b.Until("one more is refused", fmt.Sprintf("document.querySelectorAll('.strip .refused').length > %d", sent))
	b.Click("nav a", "Faults")
	b.Sees(".active", "stale")
	b.Click("button", "Remove all")
	b.Until("no fault is in force", "!document.querySelector('.active')")
	b.Click("nav a", "Notifications")
	b.Click(".chip", "Pending")
	b.Until("one is pending", "document.querySelectorAll('.notification').length === 1")
	b.Click(".notification button", "Resend")
	b.Sees(".wide", "Nothing matches") // among those that are pending
	b.Click(".chip", "Delivered")
	b.Sees(".notification", "REFUND.SUCCESS")
	b.Click(".notification a", "-r1")
	b.pill("Refunded")
}

func losesNotification(b *tab) {
	b.Click("nav a", "Faults")
	b.Click(".options label", "once")
	b.fault("Lose it")
	b.pill("In progress")
	b.clocks("+10 min")
	b.Sees(".notification .pill", "Lost")
	b.Sees(".records", "−¥0.60")
	b.Sees(".summary", "¥0.60")
	b.Click("button", "Run the timer")
	b.pill("Refunded")
	b.Sees(".timeline", "Settled as refunded (from a query)")
	b.Until("no difference is left", "!document.querySelector('.records')?.innerText.includes('−¥0.60')")
}

// newestNotification is the exchange in which the last notification went.
func (b *tab) newestNotification() string {
	b.t.Helper()
	var page struct{ Exchanges []struct{ ID string } }
	b.control("GET", "/_sandbox/view/exchanges?kind=notification&limit=1", "", &page)
	if len(page.Exchanges) == 0 {
		b.t.Fatal("no notification has been recorded")
	}
	return page.Exchanges[0].ID
}

// seesCalls reads a notification as it was sent, and one that was refused.
func seesCalls(b *tab) {
	b.Click(".detail .exchanges a", "/functions/wxpayFunctions")
	b.Sees(".head h2", "Call of your function")
	b.Sees(".message .code", `"wxpay_refund"`)
	b.Click("nav a", "Calls")
	b.Click(".chip", "Notification")
	b.Until("only notifications are listed", "document.querySelectorAll('.exchanges .about').length > 0 && [...document.querySelectorAll('.exchanges .about')].every((e) => e.innerText === 'Notification')")
	b.Click(".chip", "Only refused")
	b.Until("only refused ones are listed", "document.querySelectorAll('.exchanges .code-pill').length > 0 && [...document.querySelectorAll('.exchanges .code-pill')].every((e) => e.innerText === '401')")
	b.Click(".exchanges li > a", "/notify")
	b.Sees(".checks .not", "not ok")
	b.Sees(".checks .ok", "Refused, rightly")
	b.Sees(".message", "Wechatpay-Signature")
	b.Sees(".message h4", "Body, as it was sent")
	b.Sees(".message h4", "Opened")
	b.Sees(".bodies .code", `"out_refund_no"`)
	b.Shot("call")
	b.Click("dd a", "-r1")
	b.pill("Refunded")
}

func breaksAnswer(b *tab) {
	b.fault("Connection breaks, but accepted")
	b.Sees("#toast", "503")
	b.Sees(".timeline", "the outcome is unknown")
	b.clocks("+10 min")
	b.pill("Refunded")
	b.Click("nav a", "Faults")
	b.Choose("#err-code", "NOT_ENOUGH")
	b.Click("form.again button", "Add")
	b.pill("Refused")
	b.Sees(".detail .reason", "NOT_ENOUGH")
	b.Sees(".timeline", "Recorded WeChat Pay's refusal: NOT_ENOUGH")
}

func endsOtherwise(b *tab) {
	b.fault("ABNORMAL")
	b.pill("Abnormal")
	b.Click("button", "Settle as SUCCESS")
	b.pill("Refunded")
	b.fault("CLOSED")
	b.pill("Closed")
	b.Sees(".bar", "Remaining ¥1.00")
	b.fault("Made by hand")
	b.Sees(".timeline", "made by hand on the merchant platform")
	b.clocks("+10 min")
	b.pill("Refunded")
	b.Fill("form.again input", "0.40")
	b.Click("button", "By hand on the merchant platform")
	b.Sees(".bar", "Remaining ¥0.00")
}

func switchesHostility(b *tab) {
	b.Click("nav a", "Faults")
	b.Until("it is on", "document.querySelector('[role=switch]')?.ariaChecked === 'true'")
	b.Click("[role=switch]", "Hostile mode")
	b.Until("it is off", "document.querySelector('[role=switch]')?.ariaChecked === 'false'")
	b.fault("ABNORMAL")
	b.pill("Abnormal")
	b.clocks("+10 min")
	const told = "document.querySelectorAll('.timeline .notified, .timeline .answer').length"
	b.Until("it is told", told+" >= 2")
	if got := ask[int](b, told); got != 2 { // the line and its answer
		b.t.Errorf("not hostile: got %d, want one notification", got)
	}
}

func seesKeys(b *tab) {
	var secret map[string]string
	b.control("GET", "/_sandbox/credentials", "", &secret)
	b.Click("nav a", "Keys")
	b.Sees(".keys", "min")
	b.Sees(".keys", "In use")
	b.Sees(".secrets", "••••")
	b.Click("button", "Rotate")
	b.Sees(".keys", "Being replaced")
	text := ask[string](b, "document.documentElement.outerHTML")
	for _, name := range []string{"apiv3_key", "api_key", "corpsecret", "secret_key", "cloudbase_apikey"} {
		if strings.Contains(text, secret[name]) {
			b.t.Errorf("%s is on the page before anybody asked", name)
		}
	}
	b.Click("button", "Show them")
	b.Sees(".secrets", secret["apiv3_key"])
	b.Click("button", "Hide them")
	b.Until("it is hidden", fmt.Sprintf("!document.documentElement.outerHTML.includes(%q)", secret["apiv3_key"]))
}

func copiesSnippets(b *tab) {
	b.Click("nav a", "Refunds")
	b.Fill("input[name=total]", "0.03")
	b.Click("#first-step", "")
	b.Sees("#calls pre", "curl -d '{\n  \"type\": \"wxpay_refund\",")
	b.Sees("#calls pre", "}' \\\n  "+b.ready.Listen+"/functions/wxpayFunctions")
	b.Sees("#calls pre", `"refund": 3`)
	b.pill("Refunded") // the page has moved to the refund by then, and stays
	b.Click("#calls .chip", "wx.cloud.callFunction")
	b.Sees("#calls pre", "await wx.cloud.callFunction({\n  name: 'wxpayFunctions',\n  data: {\n    type: 'wxpay_refund',")
	b.Click("#calls button", "Copy")
	b.Until("something is copied, or marked to be", "document.querySelector('#toast').innerText === 'Copied.' || getSelection().toString().includes('callFunction')")
	b.Click("#calls .chip", "curl")
}

// looks goes through all views: at both widths and in both languages nothing is cut
// off or left without words, and in both schemes everything can be read.
func looks(b *tab) {
	ask[bool](b, "document.querySelector('nav a').click() === undefined")
	b.Click(".rows a", "")
	views := []struct{ name, hash string }{
		{"list", "#/refunds"}, {"detail", ask[string](b, "location.hash")},
		{"notifications", "#/notifications"}, {"calls", "#/exchanges"}, {"call", "#/exchanges/" + b.newestNotification()},
		{"faults", "#/faults"}, {"keys", "#/keys"},
	}
	keys := wordKeys(b.t)
	for _, language := range []string{"en", "zh-CN"} {
		b.Until("the language is "+language, fmt.Sprintf("document.documentElement.lang === %q", language))
		for _, width := range []int64{1440, 375} {
			b.Resize(width, map[int64]int64{1440: 900, 375: 812}[width])
			for _, v := range views {
				ask[bool](b, fmt.Sprintf("new Promise((done) => { location.hash = %q; setTimeout(() => done(true), 20) })", v.hash))
				what := fmt.Sprintf("%s-%d-%s", language, width, v.name)
				b.Fits(what)
				text := ask[string](b, "document.body.innerText")
				for _, word := range strings.Fields(text) {
					if keys[word] {
						b.t.Errorf("%s: %s is not put into words", what, word)
					}
				}
				if english := regexp.MustCompile(`\b(the|Refund|Notification|Order|Make|Settle)\b`); language != "en" && v.name == "keys" && english.MatchString(text) {
					b.t.Errorf("%s: English: %q", what, english.FindString(text))
				}
				for _, scheme := range []string{"dark", "light"} {
					b.Scheme(scheme)
					if language == "en" && width == 1440 {
						b.Readable(what + "-" + scheme)
					}
					b.Shot(what + "-" + scheme)
				}
			}
		}
		b.Click("#language", "")
	}
}

// wordKeys are the names of the page's sentences, which nobody should get to see.
func wordKeys(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for _, words := range []map[string]string{
		consoletest.Words(t, consoletest.Assets(t, os.DirFS("../../shared/sandbox/console")), "en.json"),
		consoletest.Words(t, consoletest.Assets(t, console.Files()), "common.en.json"),
	} {
		for name := range words {
			keys[name] = strings.Contains(name, ".")
		}
	}
	return keys
}

// Each subscriber that took the event is on the timeline, and one that has not yet.
func TestEachDeliveryToASubscriberIsOnTheTimeline(t *testing.T) {
	consoletest.Chromium(t)
	b := browse(t, start(t, "-subscribers"), 1440, 900)
	b.Click("nav a", "Faults")
	b.Click(".fault", "Stop the timer") // which would deliver it before a slow page has shown that it was not
	b.Sees(".active", "timer stop · until removed")
	b.Click("nav a", "Refunds")
	b.Click("#first-step", "")
	b.pill("Refunded")
	for _, line := range []string{"Could not deliver yet to scf:failingSubscriber", "Delivered to scf:goodSubscriber", "Delivered to scf:slowSubscriber"} {
		b.Sees(".timeline .ours", line)
	}
	b.Click("#clock a", "Faults")
	b.Click(".active button", "Remove")
	b.Until("the timer runs again", "!document.querySelector('#clock').innerText.includes('stands still')")
	b.Click("nav a", "Refunds")
	b.Click(".list .rows a", "Refunded")
	b.Sees(".timeline .ours", "Delivered to scf:failingSubscriber")
	b.Shot("subscribers")
	b.Clean()
}

// A refund whose notification is lost heals by itself, unless the timer is stopped.
func TestALostNotificationHealsUnlessTheTimerIsStopped(t *testing.T) {
	consoletest.Chromium(t)
	b := browse(t, start(t), 1440, 900)
	b.Click("nav a", "Faults")
	b.Click(".fault", "Stop the timer")
	b.Sees(".active", "timer stop · until removed")
	b.Sees("#clock", "Your timer stands still.")
	b.fault("Lose it")
	b.clocks("+10 min")
	b.Sees(".notification .pill", "Lost")
	b.pill("In progress")
	b.Click("#clock a", "Faults")
	b.Click(".active button", "Remove")
	b.Until("it runs again", "!document.querySelector('#clock').innerText.includes('stands still')")
	b.Click("nav a", "Refunds")
	b.Sees(".list .rows", "Refunded")
	b.Clean()
}

// A page whose sandbox has ended says so, and breaks nowhere.
func TestAPageOutlivesItsSandbox(t *testing.T) {
	consoletest.Chromium(t)
	p := start(t)
	b := browse(t, p, 1440, 900)
	b.Click("#first-step", "")
	b.pill("Refunded")
	b.Sees(".list .rows", "Refunded")
	p.stop()
	b.Sees("#link", "Connecting")
	for _, button := range []string{"Query", "Repeat the same call", "Run the timer"} {
		b.Click(".detail button", button)
		b.Sees("#toast", "The sandbox does not answer.")
		b.Sees(".list .reason", "The sandbox does not answer.")
		b.Sees(".list .rows", "Refunded") // what was there still is
	}
	b.Forget("net::ERR_")
	b.Clean()
}

// Other money keeps its own decimals, and v2's notifications are read like APIv3's.
func TestOtherCurrenciesKeepTheirDecimals(t *testing.T) {
	consoletest.Chromium(t)
	b := browse(t, start(t, "-channel", "global"), 1440, 900)
	for currency, want := range map[string][3]string{"JPY": {"100", "JPY\u00a0100", "JPY\u00a00"}, "USD": {"1234.50", "USD\u00a01,234.50", "USD\u00a00.00"}} {
		b.Fill("input[name=total]", want[0])
		b.Choose("select[name=currency]", currency)
		b.Click("#first-step", "")
		b.Sees(".detail .sum", want[1])
		b.clocks("+10 min")
		b.pill("Refunded")
		b.Sees(".timeline .answer", "SUCCESS · OK")
		b.Sees(".bar", "Refunded "+want[1])
		b.Sees(".records .equal", want[2])
	}
	b.Fill("input[name=total]", "1.5")
	b.Choose("select[name=currency]", "JPY")
	b.Click("#first-step", "")
	b.Sees("#toast", "no more decimals")
	b.Clean()
}

// The same by keyboard alone, on a small screen.
func TestTheStoryByKeyboardOnASmallScreen(t *testing.T) {
	consoletest.Chromium(t)
	b := browse(t, start(t), 375, 812)
	b.Press(kb.Tab)
	b.Reach(".skip", "Skip to the content")
	b.Press(kb.Enter)
	b.Reach("input[name=total]", "")
	b.Press("2.50") // Tab has selected what stands there
	b.Reach("button", "Make the order only")
	b.Press(kb.Enter)
	b.Sees(".bar", "Remaining ¥2.50")
	b.Until("what is new has the focus", "document.activeElement.id === 'title'")
	b.Reach("form.again input", "")
	b.Press("1" + kb.Enter)
	b.Sees(".bar", "Remaining ¥1.50")
	b.Until("the change is announced", "document.getElementById('live').innerText.includes('In progress')")
	b.Sees("#did", "Done.") // the card that says more is out of sight
	b.Sees("#did .number", "POST /functions/wxpayFunctions · 200")
	b.Reach("#did button", "Show")
	b.Press(kb.Enter)
	b.Until("the card has the focus, and is in sight", "document.activeElement.id === 'calls-title' && document.activeElement.getBoundingClientRect().top < innerHeight")
	b.Reach("#clock button", "+10 min")
	b.Press(kb.Enter)
	b.pill("Refunded")
	b.Until("the end is announced", "document.getElementById('live').innerText.includes('Refunded')")
	b.Until("the focus has not moved", "document.activeElement.dataset.by === '10m'")

	b.Reach("nav a", "Faults")
	b.Press(kb.Enter)
	b.Until("what was done is not carried to another page", "document.getElementById('did').offsetHeight === 0")
	b.Reach("[role=switch]", "Hostile mode")
	b.Press(" ")
	b.Until("hostile mode is off", "document.activeElement.ariaChecked === 'false'")
	b.Reach(".fault", "Unknown serial")
	b.Until("the focus is to be seen", "parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2")
	b.Press(kb.Enter)
	b.pill("In progress")
	b.Reach("#clock button", "+10 min")
	b.Press(kb.Enter)
	b.Sees(".timeline .reason", "serial that does not exist")

	b.Reach(".back", "All refunds")
	b.Press(kb.Enter)
	b.Sees(".rows", "¥0.60")
	b.Slash()
	b.Until("/ leads to the search", "document.activeElement.id === 'search' && document.activeElement.value === ''")
	b.Press("-r1")
	b.Reach(".rows a", "¥1.00")
	b.Press(kb.Enter)
	b.pill("Refunded")
	b.Reach("#language", "中文")
	b.Press(kb.Enter)
	b.pill("已退款")
	b.Clean()
}
