//go:build heavy

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"wxrefund/shared/console/consoletest"
)

// becomes plays another one, by the keyboard alone.
func (b *tab) becomes(role string) {
	b.t.Helper()
	b.Reach("#view .chip", role)
	b.Press(kb.Enter)
	b.Until("it is "+role, fmt.Sprintf("document.querySelector('#view .chip[aria-pressed=true]')?.innerText.startsWith(%q)", role))
}

// The buyer applies, operator A rejects and approves, what A proposes B allows; each sees what
// he is told, at every width, in both languages, by day and by night.
func TestOnePersonPlaysTheBuyerAndBothOperators(t *testing.T) {
	consoletest.Chromium(t)
	p := start(t, "-timer=false", "-hostile=false", "-pace", "0s", "-speed", "1")
	b := browse(t, p, 1440, 900)
	b.Click("nav a", "Applications")
	b.Sees("h2", "Applications")
	b.Sees("#view", "A server may do everything")
	b.becomes("Buyer · oBuyer")
	b.Sees("#view h3", "What the buyer is told")
	b.Click("#view button", "Make an order and apply")
	b.Sees(".application .pill", "Pending")
	b.Sees("#calls pre", "-H 'X-WX-OPENID: oBuyer'")
	b.Fill("input[name=amount]", "0.40")
	b.Click("#view button", "Apply")
	b.Until("there are two", "document.querySelectorAll('.application').length === 2")
	b.Click(".application button", "Withdraw")
	b.Sees(".application .pill", "Withdrawn")
	b.Fill("input[name=amount]", "no money")
	b.Click("#view button", "Apply")
	b.Sees("#toast", "An amount above zero is needed")

	b.becomes("Operator A")
	b.Sees("#view h3", "All applications")
	b.Click(".application button", "Reject")
	b.Sees("#toast", "A rejection needs a reason")
	b.Fill(".application input", "it was used")
	b.Click(".application button", "Reject")
	b.Sees(".application .pill", "Rejected")
	b.becomes("Buyer")
	b.Click("#view button", "Make an order and apply")
	b.Sees(".application .pill", "Pending")
	b.becomes("Operator A")
	b.Click(".application button", "Approve")
	b.Until("it is approved", "['Approved', 'Refunded'].includes(document.querySelector('.application .pill')?.innerText)")

	// A large refund of A's waits for B.
	b.Click("nav a", "Refunds")
	b.Fill("input[name=total]", "600")
	b.Click("button", "Make an order and refund it")
	b.Sees(".application .head", "¥600.00")
	b.Sees("#calls .reply", `"code": 202`)
	b.Click(".application button", "Approve")
	b.Sees("#toast", "403")
	b.Until("the role stands in the header too", "document.getElementById('role').value === 'operatorA'")
	b.Reach("#role", "Operator")
	b.Press(kb.ArrowDown)
	b.Until("it is the other one", "document.querySelector('#view .chip[aria-pressed=true]')?.innerText.startsWith('Operator B')")
	b.Sees("#view", "What one of them has proposed")
	b.Click(".application button", "Approve")
	b.Until("it is approved", "['Approved', 'Refunded'].includes(document.querySelector('.application .pill')?.innerText)")

	for _, language := range []string{"en", "zh-CN"} {
		b.Until("the language is "+language, fmt.Sprintf("document.documentElement.lang === %q", language))
		for role := range strings.FieldsSeq("buyer operatorA") {
			b.Click("[data-role="+role+"]", "")
			for _, width := range []int64{390, 768, 1000, 1440} {
				b.Resize(width, 900)
				what := fmt.Sprintf("applications-%s-%s-%d", role, language, width)
				b.Fits(what)
				if got := ask[int64](b, "innerWidth"); got > width { // a phone shows what is wider smaller
					t.Errorf("%s: takes %d px", what, got)
				}
				for _, scheme := range []string{"dark", "light"} {
					b.Scheme(scheme)
					b.Readable(what + "-" + scheme)
					b.Shot(what + "-" + scheme)
				}
			}
		}
		b.Click("#language", "")
	}
	b.Clean()
}

// An operator has the money of an abnormal refund sent elsewhere, and the shop's own account
// is told apart: the payer has nothing then.
func TestTheMoneyOfAnAbnormalRefundIsSentElsewhere(t *testing.T) {
	consoletest.Chromium(t)
	p := start(t, "-timer=false", "-hostile=false", "-pace", "0s", "-speed", "1")
	b := browse(t, p, 1440, 900)
	for _, to := range []string{"USER_BANK_CARD", "MERCHANT_BANK_CARD"} {
		b.Click("nav a", "Faults")
		b.Click(".fault", "ABNORMAL")
		b.Sees(".detail .head .pill", "Abnormal")
		if to == "USER_BANK_CARD" {
			b.Choose("select[name=type]", to)
			b.Click("form button", "Send")
			b.Sees("#toast", "400 PARAM_ERROR") // a card takes all three
			b.Fill("input[name=bank_type]", "ICBC_DEBIT")
			b.Fill("input[name=bank_account]", "6222 0212 3456 7890 123")
			b.Fill("input[name=real_name]", "张三")
			for _, width := range []int64{390, 1440} {
				b.Resize(width, 900)
				b.Fits(fmt.Sprintf("abnormal-%d", width))
				b.Shot(fmt.Sprintf("abnormal-%d", width))
			}
		} else {
			b.Choose("select[name=type]", to)
		}
		b.Click("form button", "Send")
		b.Sees("#calls .reply", `"code": 0`)
		b.Sees(".timeline li", "Has the money sent elsewhere: "+to)
		b.clocks("+1 day")
		b.Click("button", "Query")
		b.pill("Refunded")
		kept := ask[bool](b, "document.querySelector('.detail').innerText.includes(\"the payer has nothing of it yet\")")
		if want := to == "MERCHANT_BANK_CARD"; kept != want {
			t.Errorf("%s: that the shop has the money is said: %v, want %v", to, kept, want)
		}
	}
	b.Sees(".rows .flag", "With the shop")
	b.Clean()
}
