//go:build heavy

package operator_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"wxrefund/shared/console"
	"wxrefund/shared/console/consoletest"
	"wxrefund/shared/needs"
)

// postgres is a ledger on a server, in a schema of its own.
func postgres(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(needs.Env(t, "LEDGER_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	return fresh(t, u)
}

// The whole console by clicks, over PostgreSQL: what is wrong is said first, each figure
// leads to its list, and what is decided is done once the number is typed.
func TestTheConsoleByClicks(t *testing.T) {
	consoletest.Chromium(t)
	w := open(t, postgres(t), true)
	e := w.fill(120)
	b := consoletest.Browse(t, w.url, w.console.Path(), 1440, 900)
	if at := consoletest.Ask[string](b, "location.href"); strings.Contains(at, "token") {
		t.Errorf("the address still has the token: %s", at)
	}
	b.Sees(".answer", "Needs a person: ")
	b.Sees(".verdict", "The timer is behind")
	for name, want := range map[string]int{"doubt": len(e.doubt), "undelivered": len(e.owed), "funds": len(e.waiting), "abnormal": len(e.abnormal)} {
		b.Sees(".figures [data-key="+name+"] .value", fmt.Sprint(want))
	}
	b.Shot("op-now")
	b.Click(".figures [data-key=doubt] a", "In doubt")
	b.Until("the list has those in doubt", fmt.Sprintf("document.querySelectorAll('.list .rows li').length === %d", len(e.doubt)))
	b.Sees(".pager .range", fmt.Sprintf("1–%d of %d", len(e.doubt), len(e.doubt)))

	pages(b)
	decides(b, w, e)
	applications(b, w)
	looks(b, []view{
		{"now", "#/now"}, {"list", "#/refunds"}, {"refund", "#/refunds/" + e.owed[0]}, {"waiting", "#/refunds/" + e.waiting[0]},
		{"abnormal", "#/refunds/" + e.abnormal[0]}, {"order", "#/orders/S2026001003"}, {"alarms", "#/alarms"},
		{"applications", "#/applications"}, {"application", "#/applications/" + w.applied("A9", 700)},
	})
	b.Clean()
}

// pages goes through the list there and back, by its links, and searches it.
func pages(b *consoletest.Tab) {
	b.T.Helper()
	b.Click("nav a", "Refunds")
	b.Sees(".pager .range", "1–50 of 137")
	first := consoletest.Ask[string](b, "document.querySelector('.rows .number').innerText")
	b.Click(".pager .step", "›")
	b.Sees(".pager .range", "51–100 of 137")
	b.Click(".pager .step", "›")
	b.Sees(".pager .range", "101–137 of 137")
	b.Until("there is nothing more", "document.querySelector('.pager .step:last-child').ariaDisabled === 'true'")
	b.Click(".pager .step", "‹")
	b.Sees(".pager .range", "51–100 of 137")
	b.Click(".pager .step", "‹")
	b.Sees(".pager .range", "1–50 of 137")
	b.Sees(".rows .number", first)
	b.Slash()
	b.Press("RF2026001001")
	b.Until("two are found", "document.querySelectorAll('.list .rows li').length === 2")
	b.Fill("#search", "no-such-number")
	b.Sees(".list", "Nothing matches.")
	b.Until("there is no file of nothing", "!document.querySelector('.csv')")
	b.Click(".chip", "All")
}

// decides withdraws and releases a claim, and acknowledges an alarm.
func decides(b *consoletest.Tab, w *world, e ends) {
	b.T.Helper()
	no := e.doubt[1]
	b.Fill("#search", no)
	b.Click(".rows a", no)
	b.Sees(".detail .head .pill", "Claimed")
	b.Sees(".timeline", "No answer that can be believed")
	b.Click(".detail button", "Ask WeChat Pay")
	b.Sees(".records", "not known")
	b.Shot("op-detail")
	b.Click(".detail button", "Withdraw")
	b.Sees("#ask", "This refund is never submitted again.")
	b.Until("the field has the focus", "document.activeElement.name === 'confirm'")
	b.Shot("op-ask")
	b.Press("something else")
	b.Click("#ask button", "Withdraw")
	b.Sees("#ask .reason", "Nothing was done.")
	b.Fill("#ask [name=confirm]", no)
	b.Press("\r")
	b.Until("the question is closed", "!document.querySelector('#ask').open")
	b.Sees(".timeline", "Not to be sent again")
	w.Advance("10m")
	b.Click(".detail button", "Release")
	b.Fill("#ask [name=confirm]", no)
	b.Click("#ask button", "Release")
	b.Sees(".detail .head .pill", "Refused")

	b.Click("nav a", "Alarms")
	b.Sees(".alarms li", e.abnormal[0])
	before := consoletest.Ask[int](b, "document.querySelectorAll('.alarms > li').length")
	b.Shot("op-alarms")
	b.Click(".alarms button", "Acknowledge")
	b.Fill("#ask [name=note]", "told the shop")
	b.Fill("#ask [name=confirm]", consoletest.Ask[string](b, "document.querySelector('#ask code').innerText"))
	b.Click("#ask button", "Acknowledge")
	b.Until("one less is listed", fmt.Sprintf("document.querySelectorAll('.alarms > li').length === %d", before-1))
}

// applications lists what buyers have applied for, and decides about it.
func applications(b *consoletest.Tab, w *world) {
	b.T.Helper()
	one, two := w.applied("A1", 1234), w.applied("A2", 250)
	b.Click("nav a", "Applications")
	b.Until("two are listed", "document.querySelectorAll('.list .rows li').length === 2")
	b.Click(".rows a", one)
	b.Sees(".detail .head .pill", "Pending")
	b.Sees(".detail .means", "Nothing is refunded yet.")
	b.Shot("op-application")
	b.Click(".detail button", "Approve")
	b.Sees("#ask", "12.34")
	b.Fill("#ask [name=note]", "checked")
	b.Fill("#ask [name=confirm]", one)
	b.Click("#ask button", "Approve")
	b.Sees(".detail .head .pill", "Approved")
	b.Sees(".timeline", "checked")
	b.Click(".rows a", two)
	b.Click(".detail button", "Reject")
	b.Fill("#ask [name=confirm]", two)
	b.Press("\r")
	b.Sees(".detail .head .pill", "Rejected")
	b.Click(".chip", "Pending")
	b.Sees(".list", "Nothing matches.")
}

// A view is one of the page's, by its address.
type view struct{ name, hash string }

// looks goes through views: at each width and in both languages nothing is cut off or
// left without words, and in both schemes everything can be read.
func looks(b *consoletest.Tab, views []view) {
	b.T.Helper()
	consoletest.Ask[bool](b, "sessionStorage.clear() === undefined")
	keys := map[string]bool{}
	for _, words := range []map[string]string{
		consoletest.Words(b.T, consoletest.Assets(b.T, os.DirFS(".")), "en.json"), consoletest.Words(b.T, consoletest.Assets(b.T, console.Files()), "common.en.json"),
	} {
		for name := range words {
			keys[name] = strings.Contains(name, ".")
		}
	}
	for _, language := range []string{"en", "zh-CN"} {
		b.Until("the language is "+language, fmt.Sprintf("document.documentElement.lang === %q", language))
		for _, width := range []int64{1440, 375, 320} { // the last: the narrowest that pages are made for (WCAG 2.2, 1.4.10)
			b.Resize(width, map[int64]int64{1440: 900, 375: 812, 320: 640}[width])
			for _, v := range views {
				consoletest.Ask[bool](b, fmt.Sprintf("new Promise((done) => { location.hash = %q; setTimeout(() => done(true), 150) })", v.hash))
				b.Until("it is there", "!document.querySelector('#title')?.innerText.includes('One moment') && !document.querySelector('[aria-busy]')")
				what := fmt.Sprintf("op-%s-%d-%s", language, width, v.name)
				b.Fits(what)
				for _, word := range strings.Fields(consoletest.Ask[string](b, "document.body.innerText")) {
					if keys[word] {
						b.T.Errorf("%s: %s is not put into words", what, word)
					}
				}
				for _, scheme := range []string{"dark", "light"} {
					b.Scheme(scheme)
					b.Readable(what + "-" + scheme)
					b.Shot(what + "-" + scheme + "-full")
				}
			}
		}
		b.Click("#language", "")
	}
}

// The first screen says whether the books agree, and leads to the day that does not, with
// what is not equal on it.
func TestTheBooksByClicks(t *testing.T) {
	consoletest.Chromium(t)
	w := open(t, file(t), false)
	b := consoletest.Browse(t, w.url, w.console.Path(), 1440, 900)
	b.Sees(".answer .books", "No bill has been read yet")
	agrees := w.books()
	consoletest.Ask[bool](b, "dispatchEvent(new Event('visibilitychange')) && document.dispatchEvent(new Event('visibilitychange'))")
	b.Sees(".answer .books", "The books of "+agrees+" agree: 2 in the bill, ¥93.50.")
	apart := w.apart()
	b.Sees(".verdict", "WeChat Pay's bill does not agree with the books, or could not be read: "+apart)
	b.Sees(".answer .books", "agree: nothing was refunded.")
	b.Click(".answer .books a", apart)
	b.Sees(".detail .means", "The books of "+apart+" do not agree")
	b.Sees(".detail .alarms", "Only in the ledger")
	b.Until("thirty days are listed", "document.querySelectorAll('.list .rows li').length === 30")
	b.Click(".list .rows a", agrees)
	b.Sees(".detail .means", "The books of "+agrees+" agree")
	b.Sees(".detail .alarms", "Only in the bill, taken over")
	b.Click(".detail .alarms a", "by-hand-1")
	b.Sees(".timeline", "Asked for on the merchant platform: 90.00 CNY left BASIC")
	looks(b, []view{{"books-now", "#/now"}, {"books", "#/books"}, {"book", "#/books/" + agrees}, {"book-apart", "#/books/" + apart}, {"book-hand", "#/refunds/by-hand-1"}})
	b.Clean()
}

// fresh makes a schema in a database of PostgreSQL, and takes it away after the test.
func fresh(t *testing.T, u *url.URL) string {
	t.Helper()
	name := "console_" + strings.ToLower(rand.Text())
	run := func(ctx context.Context, statement string) {
		admin, err := pgx.Connect(ctx, u.String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = admin.Close(ctx) }()
		if _, err := admin.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	run(t.Context(), "CREATE SCHEMA "+name)
	t.Cleanup(func() { run(context.Background(), "DROP SCHEMA "+name+" CASCADE") })
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}
