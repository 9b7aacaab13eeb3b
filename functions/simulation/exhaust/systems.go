package exhaust

import (
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

// letters says what notifications of a system are worth.
type letters int

const (
	none   letters = iota // there are none
	signed                // WeChat Pay has signed and sealed them
	sealed                // it has sealed them alone, so that they are believed as far as a question confirms them
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
	brief   bool // that a request was accepted is told with its number and amount alone
	one     bool // of two order numbers it sends WeChat's alone
	byTrade bool // orders have one number, the merchant's
	served  bool // by a service provider, so that no request repeats what the merchant refunds by hand

	refusals map[rule]refund.Error
	mishaps  map[mishap]refund.Error
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
	odd := func(many, poor, sign string) map[mishap]refund.Error {
		return map[mishap]refund.Error{
			tooMany:   {Code: refund.CodeUnavailable, Next: refund.Later, Upstream: many, RetryAfter: time.Minute},
			notEnough: {Code: refund.CodeRejected, Next: refund.Later, Upstream: poor, NotEnough: true},
			signature: v3(refund.CodeRejected, sign, false),
		}
	}
	oddV3, oddV2 := odd("FREQUENCY_LIMITED", "NOT_ENOUGH", "SIGN_ERROR"), odd("FREQUENCY_LIMITED", "NOTENOUGH", "SIGNERROR")
	noRefund := v3(refund.CodeNotFound, "REFUNDNOTEXIST", false)
	corp := func(code string) refund.Error {
		return refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Upstream: code, MaybeNumberTaken: true}
	}
	ofCorp := odd("45009", "720507", "60020")
	ofCorp[notEnough] = corp("720507") // a code that is not public
	var s *system
	switch name {
	case "apiv3":
		s = &system{spec: (&channel.APIv3{}).Spec(), letters: signed, present: true, mishaps: oddV3, refusals: ofV3, notFound: noSuch}
	case "cloudbase":
		s = &system{spec: (&channel.CloudBase{}).Spec(), letters: relays, present: true, mishaps: oddV3, refusals: ofV3, notFound: noSuch}
		s.spec.Bills = []refund.BillKind{refund.TradeBill} // by keys of APIv3 beside it
	case "cloudpay":
		s = &system{spec: (&channel.CloudPay{}).Spec(), letters: relays, v2: true, one: true, served: true, mishaps: oddV2, refusals: ofV2, notFound: noRefund}
	case "global":
		s = &system{spec: (&channel.Global{}).Spec(), letters: sealed, v2: true, one: true, mishaps: oddV2, refusals: ofV2, notFound: noRefund}
	case "wecom":
		s = &system{spec: (&channel.WeCom{}).Spec(), letters: none, byTrade: true, brief: true, mishaps: ofCorp, notFound: v3(refund.CodeNotFound, "720509", false), refusals: map[rule]refund.Error{
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
	r := s.told(h, o, h.status())
	switch {
	case s.brief:
		r = refund.Refund{OutRefundNo: r.OutRefundNo, Status: refund.StatusProcessing, Amount: refund.Amount{Refund: r.Amount.Refund, Currency: r.Amount.Currency}}
	case !s.present:
		r = s.told(h, o, refund.StatusProcessing)
	}
	return r
}

// A mishap is an answer that has nothing to do with what was asked for.
type mishap int

const (
	tooMany   mishap = iota // 429, or what stands for it: the request is not carried out
	notEnough               // the merchant's balance is too low
	signature               // the request's signature is refused
)

// lost is what is made of no answer.
func lost() *refund.Error {
	return &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
}

func (s *system) mishap(m mishap) *refund.Error {
	e := s.mishaps[m]
	e.Message = "WeChat Pay does not carry it out"
	return &e
}

// found is the answer to a question about a number.
func (r *run) found(h *held) (refund.Page, *refund.Error) {
	if h == nil {
		e := r.x.system.notFound
		e.Message = "no such refund"
		return refund.Page{}, &e
	}
	o, _ := find(r.x.orders(), h.req)
	return refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{r.x.system.told(*h, *o, h.status())}}, nil
}
