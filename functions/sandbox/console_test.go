//go:build heavy

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// The whole story by clicks, in a real browser. A newcomer's first refund is at the
// beginning, and timed from before the program starts.
func TestTheWholeStoryByClicks(t *testing.T) {
	chromium(t)
	began := time.Now()
	p := start(t, "-timer=false") // it is run by a button
	b := browse(t, p, 1440, 900)
	b.sees("h2", "Start here")
	b.shot("empty")
	b.click("#first-step", "Make an order and refund it")
	b.sees(".detail .head .pill", "Refunded")
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
	b.in(t).clean()
}

// pill waits for a state of the refund that is shown.
func (b *tab) pill(state string) {
	b.t.Helper()
	b.sees(".detail .head .pill", state)
}

// clocks moves the virtual clock on by a button.
func (b *tab) clocks(button string) {
	b.t.Helper()
	before := ask[string](b, "document.querySelector('#calls .reply')?.innerText ?? ''")
	b.click("#clock button", button)
	b.until("the clock has moved", fmt.Sprintf("/\"complete\": true/.test(document.querySelector('#calls .reply')?.innerText) && document.querySelector('#calls .reply')?.innerText !== %q", before))
}

// fault makes something go wrong for a new refund, and waits until that is shown.
func (b *tab) fault(name string) {
	b.t.Helper()
	before := ask[string](b, "document.querySelector('.rows .number')?.innerText ?? ''")
	b.click("nav a", "Faults")
	b.click(".fault", name)
	b.until("a new refund is shown", fmt.Sprintf("location.hash.startsWith('#/refunds/') && document.querySelector('.rows .number')?.innerText !== %q", before))
}

func seesTimeline(b *tab) {
	for _, line := range []string{
		"Claimed ¥1.00, before sending (by a server)", "Sent to WeChat Pay", "Accepted the refund", "Recorded as in progress",
		"Settled as SUCCESS", "Notified: REFUND.SUCCESS", "Settled as refunded (from the notification)",
	} {
		b.sees(".timeline li", line)
	}
	b.sees(".timeline .answer", "200")
	b.sees(".timeline .answer", " ms")
	b.sees(".timeline .answer", "SUCCESS · 成功")
	b.sees(".bar", "Refunded ¥1.00")
	b.sees(".bar", "Remaining ¥0.00")
	b.sees(".records", "¥0.00")
}

func refundsPart(b *tab) {
	b.fill("input[name=total]", "12.50")
	b.click("button", "Make the order only")
	b.sees(".bar", "Remaining ¥12.50")
	b.until("what can be copied makes the same order", "document.querySelector('#calls pre')?.innerText.includes(`\"out_trade_no\":\"${document.querySelector('.detail .numbers .number').innerText}\"`)")
	b.fill("form.again input", "13")
	b.click("button", "Refund this amount")
	b.sees("#toast", "400 PARAM_ERROR")
	b.fill("form.again input", "no money")
	b.click("button", "Refund this amount")
	b.sees("#toast", "An amount above zero is needed")
	b.fill("form.again input", "99999999999")
	b.click("button", "Refund this amount")
	b.sees("#toast", "at most ten digits")
	b.fill("form.again input", "4.20")
	b.click("button", "Refund this amount")
	b.sees(".bar", "Remaining ¥8.30")
	b.clocks("+10 min")
	b.pill("Refunded")
	b.sees(".bar", "Refunded ¥4.20")
	b.shot("part")
	b.click("button", "Refund all that is left")
	b.sees(".bar", "Remaining ¥0.00")
	b.sees(".rows", "¥8.30")
	b.click("button", "Repeat the same call")
	b.until("the repeat is answered", "/\"code\": 0/.test(document.querySelector('#calls .reply')?.innerText)")
	b.click("button", "Query")
	b.until("the query is answered", "/wxpay_refund_query/.test(document.querySelector('#calls pre')?.innerText) && /\"code\": 0/.test(document.querySelector('#calls .reply')?.innerText)")
	b.click("button", "Settle as SUCCESS")
	b.pill("Refunded")
}

func findsRefunds(b *tab) {
	var first struct {
		Refunds []map[string]any
	}
	b.control("GET", "/_sandbox/refunds", "", &first)
	for _, field := range []string{"out_refund_no", "refund_id", "out_trade_no", "transaction_id"} {
		b.fill("#search", fmt.Sprint(first.Refunds[0][field]))
		b.until("the search by "+field+" finds one", "document.querySelectorAll('.list .rows li').length === 1")
		b.sees(".list .rows .number", fmt.Sprint(first.Refunds[0]["out_refund_no"]))
	}
	b.fill("#search", "no such number")
	b.sees(".list", "Nothing matches.")
	b.until("there is no file of nothing", "!document.querySelector('.csv')")
	b.fill("#search", kb.Delete)
	for filter, want := range map[string]int{"Abnormal": 0, "Refunded": 3, "Open": 0, "All": 3} {
		b.click(".list .chip", filter)
		b.until(fmt.Sprintf("%s lists %d", filter, want), fmt.Sprintf("document.querySelectorAll('.list .rows li').length === %d", want))
	}
	b.click(".list .chip", "All")
	b.click(".filters summary", "More filters")
	b.fill("[data-query=max]", "abc")
	b.sees(".filters .reason", "An amount above zero is needed")
	b.until("the field says why", "document.getElementById(document.querySelector('[data-query=max]').getAttribute('aria-describedby')).innerText !== ''")
	b.fill("[data-query=max]", kb.Delete)
	b.until("nothing is wrong any more", "!document.querySelector('.filters .reason, .filters [aria-invalid]')")
	b.click(".filters summary", "More filters")
}

func seesRefusals(b *tab) {
	for _, refused := range [][2]string{
		{"Stale signature", "signature is ten minutes old"}, {"Change its body", "its body was changed"},
		{"Probe with a false signature", "one of WeChat Pay's probes"}, {"Unknown serial", "names a key by a serial that does not exist"},
	} {
		b.fault(refused[0])
		b.clocks("+10 min")
		b.sees(".timeline .reason", refused[1])
		b.sees(".timeline .answer .code-pill.good", "401") // as it must be
		b.until("no alarm is raised over it", "document.querySelector('.timeline .reason.rightly') && !document.querySelector('.timeline .bad')")
		b.pill("Refunded") // by the repeat, which is genuine
		b.sees(".notification .pill", "Delivered")
	}
	for figure, want := range map[string]string{"open": "0", "undelivered": "0", "gap": "¥0.00"} {
		b.sees(".figures [data-key="+figure+"]", want)
	}
	b.resize(1440, 1130)
	b.shot("console") // the picture in README
	b.resize(1440, 900)
}

func seesSchedule(b *tab) {
	b.click("nav a", "Faults")
	b.click(".options label", "always")
	b.fault("Stale signature")
	b.clocks("+10 min")
	b.sees(".notification .pill", "Pending")
	b.until("the strip has sixteen steps", "document.querySelectorAll('.notification .strip li').length === 16")
	b.until("some are refused and one is next", "document.querySelectorAll('.strip .refused').length >= 3 && document.querySelectorAll('.strip .next').length === 1")
	b.sees(".notification .countdown", "in ")
	before := ask[string](b, "document.querySelector('.countdown')?.innerText ?? ''")
	b.until("it counts down", fmt.Sprintf("document.querySelector('.countdown')?.innerText !== %q", before))
	b.shot("schedule")
	sent := ask[int](b, "document.querySelectorAll('.strip .refused').length")
	b.click("button", "Advance to it")
	b.until("one more is refused", fmt.Sprintf("document.querySelectorAll('.strip .refused').length > %d", sent))
	b.click("nav a", "Faults")
	b.sees(".active", "stale")
	b.click("button", "Remove all")
	b.until("no fault is in force", "!document.querySelector('.active')")
	b.click("nav a", "Notifications")
	b.click(".chip", "Pending")
	b.until("one is pending", "document.querySelectorAll('.notification').length === 1")
	b.click(".notification button", "Resend")
	b.sees(".wide", "Nothing matches") // among those that are pending
	b.click(".chip", "Delivered")
	b.sees(".notification", "REFUND.SUCCESS")
	b.click(".notification a", "-r1")
	b.pill("Refunded")
}

func losesNotification(b *tab) {
	b.click("nav a", "Faults")
	b.click(".options label", "once")
	b.fault("Lose it")
	b.pill("In progress")
	b.clocks("+10 min")
	b.sees(".notification .pill", "Lost")
	b.sees(".records", "−¥0.60")
	b.sees(".summary", "¥0.60")
	b.click("button", "Run the timer")
	b.pill("Refunded")
	b.sees(".timeline", "Settled as refunded (from a query)")
	b.until("no difference is left", "!document.querySelector('.records')?.innerText.includes('−¥0.60')")
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
	b.click(".detail .exchanges a", "/functions/wxpayFunctions")
	b.sees(".head h2", "Call of your function")
	b.sees(".message .code", `"wxpay_refund"`)
	b.click("nav a", "Calls")
	b.click(".chip", "Notification")
	b.until("only notifications are listed", "document.querySelectorAll('.exchanges .about').length > 0 && [...document.querySelectorAll('.exchanges .about')].every((e) => e.innerText === 'Notification')")
	b.click(".chip", "Only refused")
	b.until("only refused ones are listed", "document.querySelectorAll('.exchanges .code-pill').length > 0 && [...document.querySelectorAll('.exchanges .code-pill')].every((e) => e.innerText === '401')")
	b.click(".exchanges li > a", "/notify")
	b.sees(".checks .not", "not ok")
	b.sees(".checks .ok", "Refused, rightly")
	b.sees(".message", "Wechatpay-Signature")
	b.sees(".message h4", "Body, as it was sent")
	b.sees(".message h4", "Opened")
	b.sees(".bodies .code", `"out_refund_no"`)
	b.shot("call")
	b.click("dd a", "-r1")
	b.pill("Refunded")
}

func breaksAnswer(b *tab) {
	b.fault("Connection breaks, but accepted")
	b.sees("#toast", "503")
	b.sees(".timeline", "the outcome is unknown")
	b.clocks("+10 min")
	b.pill("Refunded")
	b.click("nav a", "Faults")
	b.choose("#err-code", "NOT_ENOUGH")
	b.click("form.again button", "Add")
	b.pill("Refused")
	b.sees(".detail .reason", "NOT_ENOUGH")
	b.sees(".timeline", "Recorded WeChat Pay's refusal: NOT_ENOUGH")
}

func endsOtherwise(b *tab) {
	b.fault("ABNORMAL")
	b.pill("Abnormal")
	b.click("button", "Settle as SUCCESS")
	b.pill("Refunded")
	b.fault("CLOSED")
	b.pill("Closed")
	b.sees(".bar", "Remaining ¥1.00")
	b.fault("Made by hand")
	b.sees(".timeline", "made by hand on the merchant platform")
	b.clocks("+10 min")
	b.pill("Refunded")
	b.fill("form.again input", "0.40")
	b.click("button", "By hand on the merchant platform")
	b.sees(".bar", "Remaining ¥0.00")
}

func switchesHostility(b *tab) {
	b.click("nav a", "Faults")
	b.until("it is on", "document.querySelector('[role=switch]')?.ariaChecked === 'true'")
	b.click("[role=switch]", "Hostile mode")
	b.until("it is off", "document.querySelector('[role=switch]')?.ariaChecked === 'false'")
	b.fault("ABNORMAL")
	b.pill("Abnormal")
	b.clocks("+10 min")
	if got := ask[int](b, "document.querySelectorAll('.timeline .notified, .timeline .answer').length"); got != 2 { // the line and its answer
		b.t.Errorf("not hostile: got %d, want one notification", got)
	}
}

func seesKeys(b *tab) {
	var secret map[string]string
	b.control("GET", "/_sandbox/credentials", "", &secret)
	b.click("nav a", "Keys")
	b.sees(".keys", "min")
	b.sees(".keys", "In use")
	b.sees(".secrets", "••••")
	b.click("button", "Rotate")
	b.sees(".keys", "Being replaced")
	text := ask[string](b, "document.documentElement.outerHTML")
	for _, name := range []string{"apiv3_key", "api_key", "corpsecret", "secret_key"} {
		if strings.Contains(text, secret[name]) {
			b.t.Errorf("%s is on the page before anybody asked", name)
		}
	}
	b.click("button", "Show them")
	b.sees(".secrets", secret["apiv3_key"])
	b.click("button", "Hide them")
	b.until("it is hidden", fmt.Sprintf("!document.documentElement.outerHTML.includes(%q)", secret["apiv3_key"]))
}

func copiesSnippets(b *tab) {
	b.click("nav a", "Refunds")
	b.fill("input[name=total]", "0.03")
	b.click("#first-step", "")
	b.sees("#calls pre", "curl -d '{\n  \"type\": \"wxpay_refund\",")
	b.sees("#calls pre", "}' \\\n  "+b.ready.Listen+"/functions/wxpayFunctions")
	b.sees("#calls pre", `"refund": 3`)
	b.click("#calls .chip", "wx.cloud.callFunction")
	b.sees("#calls pre", "await wx.cloud.callFunction({\n  name: 'wxpayFunctions',\n  data: {\n    type: 'wxpay_refund',")
	b.click("#calls button", "Copy")
	b.until("something is copied, or marked to be", "document.querySelector('#toast').innerText === 'Copied.' || getSelection().toString().includes('callFunction')")
	b.click("#calls .chip", "curl")
}

// looks goes through all views: at both widths and in both languages nothing is cut
// off or left without words, and in both schemes everything can be read.
func looks(b *tab) {
	ask[bool](b, "document.querySelector('nav a').click() === undefined")
	b.click(".rows a", "")
	views := []struct{ name, hash string }{
		{"list", "#/refunds"}, {"detail", ask[string](b, "location.hash")},
		{"notifications", "#/notifications"}, {"calls", "#/exchanges"}, {"call", "#/exchanges/" + b.newestNotification()},
		{"faults", "#/faults"}, {"keys", "#/keys"},
	}
	keys := wordKeys(b.t)
	for _, language := range []string{"en", "zh-CN"} {
		b.until("the language is "+language, fmt.Sprintf("document.documentElement.lang === %q", language))
		for _, width := range []int64{1440, 375} {
			b.resize(width, map[int64]int64{1440: 900, 375: 812}[width])
			for _, v := range views {
				ask[bool](b, fmt.Sprintf("new Promise((done) => { location.hash = %q; setTimeout(() => done(true), 20) })", v.hash))
				what := fmt.Sprintf("%s-%d-%s", language, width, v.name)
				b.fits(what)
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
					b.scheme(scheme)
					if language == "en" && width == 1440 {
						b.readable(what + "-" + scheme)
					}
					b.shot(what + "-" + scheme)
				}
			}
		}
		b.click("#language", "")
	}
}

// wordKeys are the names of the page's sentences, which nobody should get to see.
func wordKeys(t *testing.T) map[string]bool {
	t.Helper()
	var words map[string]string
	file, err := os.ReadFile("../../shared/sandbox/console/assets/en.json")
	if err != nil || json.Unmarshal(file, &words) != nil {
		t.Fatal("no words", err)
	}
	keys := map[string]bool{}
	for name := range words {
		keys[name] = strings.Contains(name, ".")
	}
	return keys
}

// readable wants every text that is shown to stand out from what is behind it.
func (b *tab) readable(what string) {
	b.t.Helper()
	for _, bad := range ask[[]string](b, `(() => {
		const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 }
		const read = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number)
		const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
		const behind = (e) => {
			for (; e; e = e.parentElement) {
				const c = read(getComputedStyle(e).backgroundColor)
				if (c.length === 3 || c[3] === 1) return c
			}
			return [255, 255, 255]
		}
		const bad = new Set()
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
		while (texts.nextNode()) {
			const e = texts.currentNode.parentElement
			if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest('.hidden, noscript, option, .skip')) continue
			const [a, b] = [light(read(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x)
			const ratio = (a + 0.05) / (b + 0.05)
			if (ratio < 4.5) bad.add(e.className + ' ' + texts.currentNode.data.trim().slice(0, 30) + ': ' + ratio.toFixed(2))
		}
		return [...bad]
	})()`) {
		b.t.Errorf("%s: hard to read: %s", what, bad)
	}
}

// Each subscriber that took the event is on the timeline, and one that has not yet.
func TestEachDeliveryToASubscriberIsOnTheTimeline(t *testing.T) {
	chromium(t)
	b := browse(t, start(t, "-subscribers"), 1440, 900)
	b.click("#first-step", "")
	b.pill("Refunded")
	for _, line := range []string{"Could not deliver yet to scf:failingSubscriber", "Delivered to scf:goodSubscriber", "Delivered to scf:slowSubscriber", "Delivered to scf:failingSubscriber"} {
		b.sees(".timeline .ours", line)
	}
	b.shot("subscribers")
	b.clean()
}

// A refund whose notification is lost heals by itself, unless the timer is stopped.
func TestALostNotificationHealsUnlessTheTimerIsStopped(t *testing.T) {
	chromium(t)
	b := browse(t, start(t), 1440, 900)
	b.click("nav a", "Faults")
	b.click(".fault", "Stop the timer")
	b.sees(".active", "timer stop · until removed")
	b.sees("#clock", "Your timer stands still.")
	b.fault("Lose it")
	b.clocks("+10 min")
	b.sees(".notification .pill", "Lost")
	b.pill("In progress")
	b.click("#clock a", "Faults")
	b.click(".active button", "Remove")
	b.until("it runs again", "!document.querySelector('#clock').innerText.includes('stands still')")
	b.click("nav a", "Refunds")
	b.sees(".list .rows", "Refunded")
	b.clean()
}

// A page whose sandbox has ended says so, and breaks nowhere.
func TestAPageOutlivesItsSandbox(t *testing.T) {
	chromium(t)
	p := start(t)
	b := browse(t, p, 1440, 900)
	b.click("#first-step", "")
	b.pill("Refunded")
	b.sees(".list .rows", "Refunded")
	p.stop()
	b.sees("#link", "Connecting")
	for _, button := range []string{"Query", "Repeat the same call", "Run the timer"} {
		b.click(".detail button", button)
		b.sees("#toast", "The sandbox does not answer.")
		b.sees(".list .reason", "The sandbox does not answer.")
		b.sees(".list .rows", "Refunded") // what was there still is
	}
	b.forget("net::ERR_")
	b.clean()
}

// Other money keeps its own decimals, and v2's notifications are read like APIv3's.
func TestOtherCurrenciesKeepTheirDecimals(t *testing.T) {
	chromium(t)
	b := browse(t, start(t, "-channel", "global"), 1440, 900)
	for currency, want := range map[string][3]string{"JPY": {"100", "JPY\u00a0100", "JPY\u00a00"}, "USD": {"1234.50", "USD\u00a01,234.50", "USD\u00a00.00"}} {
		b.fill("input[name=total]", want[0])
		b.choose("select[name=currency]", currency)
		b.click("#first-step", "")
		b.sees(".detail .sum", want[1])
		b.clocks("+10 min")
		b.pill("Refunded")
		b.sees(".timeline .answer", "SUCCESS · OK")
		b.sees(".bar", "Refunded "+want[1])
		b.sees(".records .equal", want[2])
	}
	b.fill("input[name=total]", "1.5")
	b.choose("select[name=currency]", "JPY")
	b.click("#first-step", "")
	b.sees("#toast", "no more decimals")
	b.clean()
}

// The same by keyboard alone, on a small screen.
func TestTheStoryByKeyboardOnASmallScreen(t *testing.T) {
	chromium(t)
	b := browse(t, start(t), 375, 812)
	b.press(kb.Tab)
	b.reach(".skip", "Skip to the content")
	b.press(kb.Enter)
	b.reach("input[name=total]", "")
	b.press("2.50") // Tab has selected what stands there
	b.reach("button", "Make the order only")
	b.press(kb.Enter)
	b.sees(".bar", "Remaining ¥2.50")
	b.until("what is new has the focus", "document.activeElement.id === 'title'")
	b.reach("form.again input", "")
	b.press("1" + kb.Enter)
	b.sees(".bar", "Remaining ¥1.50")
	b.until("the change is announced", "document.getElementById('live').innerText.includes('In progress')")
	b.sees("#did", "Done.") // the card that says more is out of sight
	b.sees("#did .number", "POST /functions/wxpayFunctions · 200")
	b.reach("#did button", "Show")
	b.press(kb.Enter)
	b.until("the card has the focus, and is in sight", "document.activeElement.id === 'calls-title' && document.activeElement.getBoundingClientRect().top < innerHeight")
	b.reach("#clock button", "+10 min")
	b.press(kb.Enter)
	b.pill("Refunded")
	b.until("the end is announced", "document.getElementById('live').innerText.includes('Refunded')")
	b.until("the focus has not moved", "document.activeElement.dataset.by === '10m'")

	b.reach("nav a", "Faults")
	b.press(kb.Enter)
	b.until("what was done is not carried to another page", "document.getElementById('did').offsetHeight === 0")
	b.reach("[role=switch]", "Hostile mode")
	b.press(" ")
	b.until("hostile mode is off", "document.activeElement.ariaChecked === 'false'")
	b.reach(".fault", "Unknown serial")
	b.until("the focus is to be seen", "parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2")
	b.press(kb.Enter)
	b.pill("In progress")
	b.reach("#clock button", "+10 min")
	b.press(kb.Enter)
	b.sees(".timeline .reason", "serial that does not exist")

	b.reach(".back", "All refunds")
	b.press(kb.Enter)
	b.sees(".rows", "¥0.60")
	b.slash()
	b.until("/ leads to the search", "document.activeElement.id === 'search' && document.activeElement.value === ''")
	b.press("-r1")
	b.reach(".rows a", "¥1.00")
	b.press(kb.Enter)
	b.pill("Refunded")
	b.reach("#language", "中文")
	b.press(kb.Enter)
	b.pill("已退款")
	b.clean()
}
