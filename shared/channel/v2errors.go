package channel

import "wxrefund/shared/refund"

// The error tables of the v2 systems, a row a code.
//
// A code that asks to repeat with the same number says nothing certain of this
// attempt, so it is unavailable and the reconciler repeats it; after "too many"
// it waits a minute. A code that is in no table is unavailable as well: it is
// asked about, and never taken for a failure.

// cloudpayRefundErrors: seed 000, with what v2's own document has besides.
func cloudpayRefundErrors() map[string]meaning {
	return map[string]meaning{
		"SYSTEMERROR":           {refund.CodeUnavailable, refund.SameNumber, false}, // the refund may have been made
		"BIZERR_NEED_RETRY":     {refund.CodeUnavailable, refund.SameNumber, false}, // another request for the order was under way
		"TRADE_OVERDUE":         {refund.CodeRejected, refund.Never, false},         // older than a year, and grows no younger: refund by other means
		"ERROR":                 {refund.CodeRejected, refund.LaterOrFix, true},     // a business error, of the order as it is now or of the number: the text says which
		"USER_ACCOUNT_ABNORMAL": {refund.CodeRejected, refund.Never, false},         // the payer's account is closed for good
		"INVALID_REQ_TOO_MUCH":  {refund.CodeUnavailable, refund.Later, false},      // blocked for a minute
		"NOTENOUGH":             {refund.CodeRejected, refund.Later, false},         // top up the balance, then the same again
		"INVALID_TRANSACTIONID": {refund.CodeInvalid, refund.AfterFix, false},       // malformed
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix, false},       // malformed
		"APPID_NOT_EXIST":       {refund.CodeRejected, refund.LaterOrFix, false},    // our settings, or the platform's
		"MCHID_NOT_EXIST":       {refund.CodeRejected, refund.LaterOrFix, false},    // the same
		"REQUIRE_POST_METHOD":   {refund.CodeRejected, refund.AfterFix, false},      // malformed, by us or the platform
		"SIGNERROR":             {refund.CodeRejected, refund.LaterOrFix, false},    // the platform's key, or ours
		"XML_FORMAT_ERROR":      {refund.CodeRejected, refund.AfterFix, false},      // malformed
		"FREQUENCY_LIMITED":     {refund.CodeUnavailable, refund.Later, false},      // too many refunds of old orders
		"NOAUTH":                {refund.CodeRejected, refund.LaterOrFix, false},    // our permission or IP address

		"INVALID_REQUEST":     {refund.CodeRejected, refund.LaterOrFix, true},  // a business rule, as the order is now; or other content under the number
		"ORDERNOTEXIST":       {refund.CodeNotFound, refund.LaterOrFix, false}, // no such order, or one that has just been paid
		"REFUND_FEE_MISMATCH": {refund.CodeRejected, refund.LaterOrFix, true},  // another amount than the number or the order has
	}
}

// queryErrors: seed 001, which Global's query shares. What refuses the question
// (permission, signature, settings) says nothing of the refund, and is never
// "not found".
func queryErrors() map[string]meaning {
	return map[string]meaning{
		"SYSTEMERROR":           {refund.CodeUnavailable, refund.SameNumber, false},
		"REFUNDNOTEXIST":        {refund.CodeNotFound, refund.LaterOrFix, false}, // not yet, or not at all
		"ORDERNOTEXIST":         {refund.CodeNotFound, refund.LaterOrFix, false}, // no order, and so no refund of it
		"INVALID_TRANSACTIONID": {refund.CodeInvalid, refund.AfterFix, false},
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix, false}, // an offset beyond the total, among others
		"APPID_NOT_EXIST":       {refund.CodeRejected, refund.LaterOrFix, false},
		"MCHID_NOT_EXIST":       {refund.CodeRejected, refund.LaterOrFix, false},
		"APPID_MCHID_NOT_MATCH": {refund.CodeRejected, refund.LaterOrFix, false},
		"REQUIRE_POST_METHOD":   {refund.CodeRejected, refund.AfterFix, false},
		"SIGNERROR":             {refund.CodeRejected, refund.LaterOrFix, false},
		"XML_FORMAT_ERROR":      {refund.CodeRejected, refund.AfterFix, false},
		"NOAUTH":                {refund.CodeRejected, refund.LaterOrFix, false},
		"FREQUENCY_LIMITED":     {refund.CodeUnavailable, refund.Later, false},
		"INVALID_REQ_TOO_MUCH":  {refund.CodeUnavailable, refund.Later, false},
	}
}

// globalRefundErrors: seed 002. What is not said here is as in seed 000.
func globalRefundErrors() map[string]meaning {
	return map[string]meaning{
		"SYSTEMERROR":           {refund.CodeUnavailable, refund.SameNumber, false},
		"BIZERR_NEED_RETRY":     {refund.CodeUnavailable, refund.SameNumber, false},
		"TRADE_OVERDUE":         {refund.CodeRejected, refund.Never, false},
		"ERROR":                 {refund.CodeRejected, refund.LaterOrFix, true},
		"USER_ACCOUNT_ABNORMAL": {refund.CodeRejected, refund.Never, false},
		"INVALID_REQ_TOO_MUCH":  {refund.CodeUnavailable, refund.Later, false},
		"NOTENOUGH":             {refund.CodeRejected, refund.Later, false}, // wait for unsettled money
		"INVALID_TRANSACTIONID": {refund.CodeInvalid, refund.AfterFix, false},
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix, false},
		"APPID_NOT_EXIST":       {refund.CodeRejected, refund.LaterOrFix, false},
		"MCHID_NOT_EXIST":       {refund.CodeRejected, refund.LaterOrFix, false},
		"APPID_MCHID_NOT_MATCH": {refund.CodeRejected, refund.LaterOrFix, false}, // our settings, or a binding that is not done yet
		"REQUIRE_POST_METHOD":   {refund.CodeRejected, refund.AfterFix, false},
		"SIGNERROR":             {refund.CodeRejected, refund.LaterOrFix, false}, // our key or sign type, perhaps of this one instance
		"XML_FORMAT_ERROR":      {refund.CodeRejected, refund.AfterFix, false},
		"INVALID_REQUEST":       {refund.CodeRejected, refund.LaterOrFix, true}, // only in an example: fully refunded already

		// Not in seed 002 but in the document of v2, which Global shares.
		"ORDERNOTEXIST":       {refund.CodeNotFound, refund.LaterOrFix, false},
		"REFUND_FEE_MISMATCH": {refund.CodeRejected, refund.LaterOrFix, true},
		"FREQUENCY_LIMITED":   {refund.CodeUnavailable, refund.Later, false},
		"NOAUTH":              {refund.CodeRejected, refund.LaterOrFix, false},
	}
}
