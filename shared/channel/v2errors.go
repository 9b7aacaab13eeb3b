package channel

import (
	"cmp"
	"time"

	"wxrefund/shared/refund"
)

// A v2Call is a call of a v2 system; several together are a set.
type v2Call uint

const (
	cloudPayRefund v2Call = 1 << iota // document CloudPay.refund
	globalRefund                      // document WeChat Pay Global, Submit Refund
	v2Query                           // document CloudPay.queryRefund, whose codes Global's query shares
	v2OrderQuery                      // document CloudPay.queryOrder, and v2's own

	v2Refunds = cloudPayRefund | globalRefund
	v2All     = v2Refunds | v2Query | v2OrderQuery
)

// A v2Meaning is what an error code means, in answer to which calls.
type v2Meaning struct {
	of v2Call
	meaning
}

// v2Errors is the error table of the v2 systems: of the three documents, and of
// v2's own, which both systems share.
//
// A code that asks to repeat with the same number says nothing certain of this
// attempt, so it is unavailable and the reconciler repeats it; after "too many"
// it waits a minute. A code that a call's document does not have is unavailable as
// well: it is asked about, and never taken for a failure.
//
// What refuses a question (permission, signature, settings) says nothing of the
// refund, and is never "not found".
func v2Errors() map[string]v2Meaning {
	return map[string]v2Meaning{
		"SYSTEMERROR":           {v2All, meaning{refund.CodeUnavailable, refund.SameNumber, false}},     // the refund may have been made
		"BIZERR_NEED_RETRY":     {v2Refunds, meaning{refund.CodeUnavailable, refund.SameNumber, false}}, // another request for the order was under way
		"TRADE_OVERDUE":         {v2Refunds, meaning{refund.CodeRejected, refund.Never, false}},         // older than a year, and grows no younger: refund by other means
		"ERROR":                 {v2Refunds, meaning{refund.CodeRejected, refund.LaterOrFix, true}},     // a business error, of the order as it is now or of the number: the text says which
		"USER_ACCOUNT_ABNORMAL": {v2Refunds, meaning{refund.CodeRejected, refund.Never, false}},         // the payer's account is closed for good
		"INVALID_REQ_TOO_MUCH":  {v2All, meaning{refund.CodeUnavailable, refund.Later, false}},          // blocked for a minute
		"NOTENOUGH":             {v2Refunds, meaning{refund.CodeRejected, refund.Later, false}},         // top up the balance, or wait for unsettled money, then the same again
		"INVALID_TRANSACTIONID": {v2All, meaning{refund.CodeInvalid, refund.AfterFix, false}},           // malformed
		"PARAM_ERROR":           {v2All, meaning{refund.CodeInvalid, refund.AfterFix, false}},           // malformed; of a query, an offset beyond the total, among others
		"APPID_NOT_EXIST":       {v2All, meaning{refund.CodeRejected, refund.LaterOrFix, false}},        // our settings, or the platform's
		"MCHID_NOT_EXIST":       {v2All, meaning{refund.CodeRejected, refund.LaterOrFix, false}},        // the same
		"REQUIRE_POST_METHOD":   {v2All, meaning{refund.CodeRejected, refund.AfterFix, false}},          // malformed, by us or the platform
		"SIGNERROR":             {v2All, meaning{refund.CodeRejected, refund.LaterOrFix, false}},        // the platform's key, or our key or sign type, perhaps of this one instance
		"XML_FORMAT_ERROR":      {v2All, meaning{refund.CodeRejected, refund.AfterFix, false}},          // malformed
		"FREQUENCY_LIMITED":     {v2All, meaning{refund.CodeUnavailable, refund.Later, false}},          // too many refunds of old orders
		"NOAUTH":                {v2All, meaning{refund.CodeRejected, refund.LaterOrFix, false}},        // our permission or IP address
		"INVALID_REQUEST":       {v2Refunds, meaning{refund.CodeRejected, refund.LaterOrFix, true}},     // a business rule, as the order is now; or other content under the number
		"ORDERNOTEXIST":         {v2All, meaning{refund.CodeNotFound, refund.LaterOrFix, false}},        // no such order, or one that has just been paid; and so no refund of it
		"REFUND_FEE_MISMATCH":   {v2Refunds, meaning{refund.CodeRejected, refund.LaterOrFix, true}},     // another amount than the number or the order has

		"APPID_MCHID_NOT_MATCH": {globalRefund | v2Query | v2OrderQuery, meaning{refund.CodeRejected, refund.LaterOrFix, false}}, // our settings, or a binding that is not done yet
		"REFUNDNOTEXIST":        {v2Query, meaning{refund.CodeNotFound, refund.LaterOrFix, false}},                               // not yet, or not at all
	}
}

// v2Error reads the refusal in an answer whose result_code is not SUCCESS. Only
// with FAIL is a code certain.
func v2Error(fields map[string]string, call v2Call) *refund.Error {
	code := printable(fields["err_code"], 32)
	m := v2Errors()[code]
	if m.of&call == 0 || fields["result_code"] != "FAIL" {
		e := unknown("WeChat Pay answered without a result that is documented", nil)
		e.Upstream = code
		return e
	}
	e := m.refusal(code, "WeChat Pay refused: "+cmp.Or(printable(fields["err_code_des"], 200), code))
	if m.code == refund.CodeUnavailable {
		e.Message = "WeChat Pay could not say" + outcomeOpen
	}
	if m.next == refund.Later && m.code == refund.CodeUnavailable {
		e.RetryAfter = time.Minute
	}
	return e
}
