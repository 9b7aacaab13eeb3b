package main

import (
	"fmt"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// applied has a buyer apply for a refund of an order that the buyer has paid, and returns
// the application.
func (w *world) applied(order string, fen int64) string {
	w.t.Helper()
	w.settings["REFUND_SELF"] = "propose"
	w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"total":10000,"openid":"oBuyerWhoMustNotBeShown"}`, order), 200)
	var a refund.Application
	w.service(func(s *refund.Service) {
		var err error
		a, err = s.Apply(w.t.Context(), refund.Caller{Kind: refund.User, OpenID: "oBuyerWhoMustNotBeShown"},
			refund.ApplyRequest{OutTradeNo: order, Reason: "不想要了", Amount: refund.ApplyAmount{Refund: fen}})
		if err != nil {
			w.t.Fatal(err)
		}
	})
	return a.ID
}

// A buyer's application is listed, shown and decided, by people whom the history names. Who
// the buyer is stands in what is asked for about one application, and in the export for an
// audit, as for refunds: nowhere else.
func TestApplicationsAreListedShownAndDecided(t *testing.T) {
	w := newWorld(t, "apiv3")
	w.operate("applications").want(codeDone, "0 of 0")
	one, two := w.applied("order-1", 100), w.applied("order-2", 250)
	w.operate("applications").want(codeDone, "2 of 2", one, two, "1.00 CNY", "pending", "不想要了", "user oB").lacks("oBuyerWhoMustNotBeShown")
	w.operate("applications", "-limit", "1").want(codeDone, "1 of 2", "more: -offset 1")
	w.operate("applications", "-state", "rejected").want(codeDone, "0 of 0")
	w.operate("applications", "-state", "open").want(codeUsage, `-state: there is no state "open"; there are pending, approved,`)
	w.operate("applications", "-limit", "51").want(codeUsage, "-limit must be between 1 and 50")
	w.operate("applications", "-csv", "-json").want(codeUsage, "two forms")

	w.operate("application", one).want(codeDone, one, "state           pending", "1.00 CNY of 100.00 CNY", "order-1", "不想要了", "pending by user oBuyerWhoMustNotBeShown")
	w.operate("application").want(codeUsage, "the id of an application is missing")
	w.operate("application", "B0").want(codeFinding, "there is no application")
	w.operate("approve", "B0", "-yes").want(codeFinding, "there is no application")

	w.operate("approve", one).want(codeFinding, "nothing was done: this would refund 1.00 CNY of order order-1, which cost 100.00 CNY, as user", "needs -yes").lacks("oBuyerWhoMustNotBeShown")
	w.operateWith(t.Context(), terminal{strings.NewReader("yes\n")}, "approve", one).want(codeFinding, "Type "+one+" to go on", "nothing was done")
	w.operate("approve", one, "-yes", "-reason", "checked").want(codeDone, one+" is approved: ", " is PROCESSING.").lacks("oBuyerWhoMustNotBeShown")
	w.operate("approve", one, "-yes").want(codeDone, " is PROCESSING.") // the same again refunds once
	w.operate("reject", one, "-yes").want(codeFinding, "this application is approved, and its refund", "is made or may be")
	w.operate("reject", two, "-yes", "-reason", "replaced").want(codeDone, two+" is rejected: nothing is refunded.")
	w.operate("approve", two, "-yes").want(codeFinding, two+" is decided: it is rejected")
	w.operate("application", one).want(codeDone, "approved by operator alice", "checked")

	o := w.operate("applications", "-json").want(codeDone).lacks("oBuyerWhoMustNotBeShown").object()
	all := o["applications"].([]any)
	if o["total"] != 2.0 || len(all) != 2 || all[1].(map[string]any)["application_id"] != one || all[0].(map[string]any)["state"] != "REJECTED" {
		t.Errorf("got %v", o)
	}
	sheet := w.operate("applications", "-csv").want(codeDone, one, two, "APPROVED", "2.50", "rejected by operator alice", "user oBuyerWhoMustNotBeShown")
	if rows := strings.Count(sheet.stdout, "\r\n"); rows != 3 {
		t.Errorf("got %d rows, want the names and two:\n%s", rows, sheet.stdout)
	}
	w.operate("list", "-order", "order-1").want(codeDone, "1 of 1")
	w.operate("list", "-order", "order-2").want(codeDone, "0 of 0")
}

// What one person may not refund alone becomes an application, which is no failure; the
// other person's approval refunds it under its number, once.
func TestARefundThatNeedsTwoIsApprovedByAnother(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_APPROVAL_FEN"] = "5000"
	args := []string{"refund", "-out-refund-no", "big", "-out-trade-no", "order-1", "-amount", "5001", "-total", "10000", "-reason", "damaged", "-yes"}
	got := w.operate(args...).want(codeDone, "big is not refunded yet: ", "somebody else: operate approve P")
	id := strings.TrimSpace(got.stdout[strings.LastIndex(got.stdout, " "):])
	w.operate(args...).want(codeDone, "big is not refunded yet: ", id) // the same
	o := w.operate(append(args, "-json")...).want(codeDone).object()
	if o["code"] != 202.0 || o["data"].(map[string]any)["application_id"] != id {
		t.Errorf("got %v", o)
	}
	w.operate("list").want(codeDone, "0 of 0")
	for _, command := range []string{"show", "query", "explain"} {
		w.operate(command, "big").want(codeFinding, "no refund big is on record here: it was proposed, and operate application "+id)
	}
	w.operate("verify").want(codeDone)
	for _, command := range []string{"application", "approve", "reject", "withdraw"} {
		w.operate(command, "big", "-yes").want(codeFinding, "big is a refund's number; its application is "+id)
	}
	for _, command := range []string{"show", "query", "explain"} {
		w.operate(command, id).want(codeFinding, id+" is an application and no refund's number: operate application "+id+" shows it")
	}
	w.operate("approve", id, "-yes").want(codeFinding, "cannot approve it")
	w.operate("approve", id, "-yes", "-as", "bob").want(codeDone, id+" is approved: big is PROCESSING.")
	w.operate(args...).want(codeDone, "big is PROCESSING: 50.01 CNY")
	w.operate("list").want(codeDone, "1 of 1")
	w.operate("show", "big").want(codeDone, "by operator bob", id+"; operate application "+id+" has who wanted it")
	w.operate("application", id).want(codeDone, "made by       operator alice", "approved by operator bob", "big is PROCESSING")
}

// What somebody has proposed is taken back by that person alone, while it waits; its number
// stays used.
func TestAProposalIsTakenBackByWhoMadeIt(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_APPROVAL_FEN"] = "5000"
	args := []string{"refund", "-out-refund-no", "big", "-out-trade-no", "order-1", "-amount", "5001", "-total", "10000", "-yes"}
	got := w.operate(args...).want(codeDone, "big is not refunded yet: ")
	id := strings.TrimSpace(got.stdout[strings.LastIndex(got.stdout, " "):])
	applied := w.applied("order-2", 100)
	w.operate("reject", id, "-yes").want(codeFinding, "cannot reject it, but withdraw it")
	for _, other := range []string{id, applied} {
		w.operate("withdraw", other, "-yes", "-as", "bob").want(codeFinding, other+" was not proposed by you, operator bob")
	}
	w.operate("withdraw", id).want(codeFinding, "nothing was done: this would take back what you have proposed: 50.01 CNY of order order-1", "needs -yes")
	w.operate("application", id).want(codeDone, "pending by operator alice").lacks("withdrawn")
	w.operate("withdraw", id, "-yes", "-as", "Alice", "-reason", "wrong order").want(codeDone, id+" is withdrawn: nothing is refunded.")
	w.operate("withdraw", id, "-yes").want(codeFinding, id+" is decided: it is withdrawn")
	w.operate("application", id).want(codeDone, "withdrawn by operator Alice: wrong order")
	w.operate("approve", id, "-yes", "-as", "bob").want(codeFinding, id+" is decided: it is withdrawn")
	w.operate(args...).want(codeFinding, "use a new refund number")
	w.operate("list").want(codeDone, "0 of 0")
}

// An abnormal refund is finished with what flags and standard input say of a card, which is
// shown nowhere.
func TestAbnormalRefundIsFinished(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	for i, no := range []string{"r1", "r2"} {
		w.operate(refundArgs(fmt.Sprintf("order-%d", i+1), no, "-yes")...).want(codeDone)
	}
	carried := false
	w.service(func(s *refund.Service) { carried = s.Channel.Spec().Abnormal })
	if carried {
		w.operate("abnormal", "r1", "-type", "MERCHANT_BANK_CARD", "-yes").want(codeFinding, "only an abnormal one can be finished so")
	}
	for _, no := range []string{"r1", "r2"} {
		w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"ABNORMAL"}`, 200)
	}
	const card, holder = "6222020000000001234", "张三"
	typed := `{"bank_account":"` + card + `","real_name":"` + holder + `"}`
	silent := func(r result) {
		t.Helper()
		for _, secret := range []string{card, "1234", holder} {
			r.lacks(secret)
		}
	}
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"abnormal"}, "the number of a refund is missing"},
		{"", []string{"abnormal", "r1"}, "type is required"},
		{"", []string{"abnormal", "r1", "-type", "CARD"}, "type must be USER_BANK_CARD or MERCHANT_BANK_CARD"},
		{"", []string{"abnormal", "r1", "-type", "USER_BANK_CARD"}, "bank_type is required with the type USER_BANK_CARD; bank_account is required"},
		{"", []string{"abnormal", "r1", "-type", "MERCHANT_BANK_CARD", "-real-name", holder}, "real_name must not stand with the type MERCHANT_BANK_CARD"},
		{"[]", []string{"abnormal", "r1", "-type", "USER_BANK_CARD", "-f", "-"}, "-f: that is no JSON object"},
		{"{", []string{"abnormal", "r1", "-type", "USER_BANK_CARD", "-f", "-"}, "-f: that is not JSON"},
		{typed, []string{"abnormal", "r1", "-type", "USER_BANK_CARD", "-bank-type", "ICBC_DEBIT", "-real-name", holder, "-f", "-"}, "real_name is said on the command line, too"},
		{strings.Replace(typed, card, card+"x", 1), []string{"abnormal", "r1", "-type", "USER_BANK_CARD", "-bank-type", "ICBC_DEBIT", "-f", "-"}, "bank_account must be digits alone"},
	} {
		silent(w.operateWith(t.Context(), strings.NewReader(c.stdin), append(c.args, "-yes")...).want(codeUsage, c.want))
	}
	silent(w.operate("abnormal", "r2", "-type", "USER_BANK_CARD", "-bank-type", "ICBC_DEBIT", "-bank-account", card, "-real-name", holder).
		want(codeFinding, "this would have the 1.00 CNY of r2 sent to a debit card of the buyer (ICBC_DEBIT)", "needs -yes"))
	w.operate("abnormal", "r9", "-type", "MERCHANT_BANK_CARD", "-yes").want(codeFinding, "no refund r9 is on record here")
	if !carried {
		w.operate("abnormal", "r1", "-type", "MERCHANT_BANK_CARD", "-yes").want(codeFinding, "has no call that finishes an abnormal refund")
		return
	}
	silent(w.operateWith(t.Context(), strings.NewReader(typed), "abnormal", "r2", "-type", "USER_BANK_CARD", "-bank-type", "ICBC_DEBIT", "-f", "-", "-yes").
		want(codeDone, "r2 is PROCESSING: WeChat Pay has taken it"))
	w.operate("show", "r2").want(codeDone).lacks(card).lacks(holder)
	w.operate("abnormal", "r1", "-type", "MERCHANT_BANK_CARD", "-yes").want(codeDone, "r1 is ")
}

// An approval that has certainly led to no refund is taken back here, too: what is approved
// is refunded in the end, so that nobody may refund otherwise before.
func TestAnApprovalThatLedToNoRefundIsTakenBack(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_APPROVAL_FEN"] = "5000"
	got := w.operate("refund", "-out-refund-no", "big", "-out-trade-no", "order-1", "-amount", "6000", "-total", "10000", "-yes").want(codeDone)
	id := strings.TrimSpace(got.stdout[strings.LastIndex(got.stdout, " "):])
	w.operate("refund", "-out-refund-no", "small", "-out-trade-no", "order-1", "-amount", "5000", "-total", "10000", "-yes", "-as", "carol").want(codeDone)
	w.operate("approve", id, "-yes", "-as", "bob").want(codeFinding) // nothing is left for it
	w.operate("reject", id, "-as", "bob").want(codeFinding, "this would take back the approval of 60.00 CNY")
	w.operate("explain", "approved_unrefunded").want(codeDone, "Before you refund otherwise, `operate reject ID`")
	w.operate("reject", id, "-yes", "-as", "bob").want(codeDone, id+" is rejected: nothing is refunded.")
	w.operate("reject", id, "-yes", "-as", "bob").want(codeFinding, id+" is decided: it is rejected")
}
