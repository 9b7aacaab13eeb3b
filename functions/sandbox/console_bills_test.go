//go:build heavy

package main

import (
	"fmt"
	"testing"

	"wxrefund/shared/console/consoletest"
)

// The headline says whether WeChat Pay's bill of the day that ended last and the ledger
// agree, at every width, in both languages, by day and by night.
func TestTheHeadlineSaysWhetherTheBooksAgree(t *testing.T) {
	consoletest.Chromium(t)
	p := start(t, "-timer=false", "-hostile=false")
	p.control("POST", "/_sandbox/clock", `{"to":"12:00"}`, nil)
	o := p.order()
	p.succeed(refundEvent(o, "R1", 60))
	b := browse(t, p, 1440, 900)
	b.Sees("#clock", "10:00")
	b.clocks("10:00")
	b.Sees(".bill.unread h2", "has not been read yet")
	p.control("POST", "/_sandbox/faults", `{"bill":"bad_row","count":1}`, nil)
	p.call("reconcile", `{}`)
	b.Sees(".bill.unreadable h2", "cannot be used")
	b.Sees(".bill", "line 2")
	b.clocks("+1 day")
	p.call("reconcile", `{}`)
	b.Sees(".bill h2", "WeChat's bill and the ledger agree")
	b.Sees(".bill .files", "Download the bill: refunds and payments · movements of the account")
	for _, language := range []string{"en", "zh-CN"} {
		b.Until("the language is "+language, fmt.Sprintf("document.documentElement.lang === %q", language))
		for _, width := range []int64{390, 768, 1024, 1440} {
			b.Resize(width, 900)
			what := fmt.Sprintf("bill-%s-%d", language, width)
			b.Fits(what)
			for _, scheme := range []string{"dark", "light"} {
				b.Scheme(scheme)
				b.Readable(what + "-" + scheme)
				b.Shot(what + "-" + scheme)
			}
		}
		b.Click("#language", "")
	}
	b.Clean()
}
