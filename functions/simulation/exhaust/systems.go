package exhaust

import (
	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

// letters says what notifications of a system are worth.
type letters int

const (
	none   letters = iota // there are none
	signed                // WeChat Pay has signed them
	relays                // the platform passes them on, unsigned
)

// A system is one of the five upstream systems: what its channel makes of its answers. A
// test holds it against the channel itself over the sandbox.
type system struct {
	name    string
	spec    refund.Spec
	letters letters
	v2      bool // it speaks of an accepted refund as accepted only, and asks by every number
	present bool // a repeat tells the refund as it stands now
	one     bool // of two order numbers it sends WeChat's alone
	byTrade bool // orders have one number, the merchant's

	refusals map[rule]refund.Error
	notFound refund.Error
}

// Systems are the names of the five.
func Systems() []string { return []string{"apiv3", "cloudbase", "cloudpay", "global", "wecom"} }

func systemOf(name string) *system {
	v3 := func(code refund.Code, upstream string, taken bool) refund.Error {
		return refund.Error{Code: code, Next: refund.LaterOrFix, Upstream: upstream, MaybeNumberTaken: taken}
	}
	business := v3(refund.CodeRejected, "INVALID_REQUEST", true)
	noSuch := v3(refund.CodeNotFound, "RESOURCE_NOT_EXISTS", false)
	ofV3 := map[rule]refund.Error{content: business, noOrder: noSuch, noTrade: noSuch, invalid: business, nothingLeft: business, tooMuch: business}
	malformed := refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix, Upstream: "INVALID_TRANSACTIONID"}
	ofV2 := map[rule]refund.Error{content: business, noOrder: v3(refund.CodeNotFound, "ORDERNOTEXIST", false), noTrade: malformed, invalid: business, nothingLeft: business, tooMuch: business}
	noRefund := v3(refund.CodeNotFound, "REFUNDNOTEXIST", false)
	corp := func(code string) refund.Error {
		return refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Upstream: code, MaybeNumberTaken: true}
	}
	var s *system
	switch name {
	case "apiv3":
		s = &system{spec: (&channel.APIv3{}).Spec(), letters: signed, present: true, refusals: ofV3, notFound: noSuch}
	case "cloudbase":
		s = &system{spec: (&channel.CloudBase{}).Spec(), letters: relays, present: true, refusals: ofV3, notFound: noSuch}
		s.spec.Bills = []refund.BillKind{refund.TradeBill} // by keys of APIv3 beside it
	case "cloudpay":
		s = &system{spec: (&channel.CloudPay{}).Spec(), letters: relays, v2: true, one: true, refusals: ofV2, notFound: noRefund}
	case "global":
		s = &system{spec: (&channel.Global{}).Spec(), letters: signed, v2: true, one: true, refusals: ofV2, notFound: noRefund}
	case "wecom":
		s = &system{spec: (&channel.WeCom{}).Spec(), letters: none, byTrade: true, notFound: v3(refund.CodeNotFound, "720509", false), refusals: map[rule]refund.Error{
			content: corp("720502"), noOrder: v3(refund.CodeNotFound, "720501", false), noTrade: corp("720501"), invalid: corp("720502"), nothingLeft: corp("720503"), tooMuch: corp("720504"),
		}}
	default:
		panic("exhaust: no system is called " + name)
	}
	s.name = name
	// Rates are of real time, and tested elsewhere; so is the pace of one order.
	s.spec.Rate, s.spec.BadRate, s.spec.Pace = 0, 0, 0
	return s
}

// sent is what the system gets of a request.
func (s *system) sent(req refund.Request) refund.Request {
	switch {
	case s.one && req.TransactionID != "":
		req.OutTradeNo = ""
	case s.byTrade:
		req.TransactionID = ""
	}
	return req
}

func (s *system) refusal(no rule) *refund.Error {
	e := s.refusals[no]
	e.Message = "WeChat Pay refused"
	return &e
}

// told is the refund as the system tells of it.
func (s *system) told(h held, o order, status refund.Status) refund.Refund {
	r := refund.Refund{
		RefundID: "50" + h.req.OutRefundNo, OutRefundNo: h.req.OutRefundNo, TransactionID: o.transaction, OutTradeNo: o.trade,
		Status: status, Amount: refund.Amount{Total: o.total, Refund: h.req.Amount.Refund, Currency: "CNY"},
	}
	if status == refund.StatusSuccess {
		r.SuccessTime = "2026-11-22T10:05:00+08:00"
	}
	return r
}

// accepted is the answer to a request that was accepted, now or before.
func (s *system) accepted(h held, o order) refund.Refund {
	if s.present {
		return s.told(h, o, h.status())
	}
	return s.told(h, o, refund.StatusProcessing)
}

func lost() *refund.Error {
	return &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
}

func tooMany() *refund.Error {
	return &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Upstream: "FREQUENCY_LIMITED", Message: "too many"}
}

func notEnough() *refund.Error {
	return &refund.Error{Code: refund.CodeRejected, Next: refund.Later, Upstream: "NOT_ENOUGH", NotEnough: true, Message: "the balance is too low"}
}
