package channel

import "wxrefund/shared/refund"

// The error tables of the v2 systems, a row a code.
//
// A code that asks to repeat with the same number says nothing certain of this
// attempt, so it is unavailable and the reconciler repeats it; after "too many"
// it waits a minute. A code that is in no table is unavailable as well: it is
// asked about, and never taken for a failure.
var (
	// cloudpayRefundErrors: seed 000, with what v2's own document has besides.
	cloudpayRefundErrors = map[string]meaning{
		"SYSTEMERROR":           {refund.CodeUnavailable, refund.SameNumber},
		"BIZERR_NEED_RETRY":     {refund.CodeUnavailable, refund.SameNumber},
		"TRADE_OVERDUE":         {refund.CodeRejected, refund.Never}, // older than a year: refund by other means
		"ERROR":                 {refund.CodeRejected, refund.AfterFix},
		"USER_ACCOUNT_ABNORMAL": {refund.CodeRejected, refund.Never}, // the payer's account is closed
		"INVALID_REQ_TOO_MUCH":  {refund.CodeUnavailable, refund.Later},
		"NOTENOUGH":             {refund.CodeRejected, refund.AfterFix}, // top up the balance first
		"INVALID_TRANSACTIONID": {refund.CodeInvalid, refund.AfterFix},
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix},
		"APPID_NOT_EXIST":       {refund.CodeRejected, refund.AfterFix},
		"MCHID_NOT_EXIST":       {refund.CodeRejected, refund.AfterFix},
		"REQUIRE_POST_METHOD":   {refund.CodeRejected, refund.AfterFix},
		"SIGNERROR":             {refund.CodeRejected, refund.AfterFix},
		"XML_FORMAT_ERROR":      {refund.CodeRejected, refund.AfterFix},
		"FREQUENCY_LIMITED":     {refund.CodeUnavailable, refund.Later},
		"NOAUTH":                {refund.CodeRejected, refund.AfterFix}, // our IP address

		"INVALID_REQUEST":     {refund.CodeRejected, refund.Never},
		"ORDERNOTEXIST":       {refund.CodeNotFound, refund.AfterFix},
		"REFUND_FEE_MISMATCH": {refund.CodeRejected, refund.Never},
	}

	// queryErrors: seed 001, which Global's query shares.
	queryErrors = map[string]meaning{
		"SYSTEMERROR":           {refund.CodeUnavailable, refund.SameNumber},
		"REFUNDNOTEXIST":        {refund.CodeNotFound, refund.AfterFix},
		"INVALID_TRANSACTIONID": {refund.CodeInvalid, refund.AfterFix},
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix}, // an offset beyond the total, among others
		"APPID_NOT_EXIST":       {refund.CodeRejected, refund.AfterFix},
		"MCHID_NOT_EXIST":       {refund.CodeRejected, refund.AfterFix},
		"REQUIRE_POST_METHOD":   {refund.CodeRejected, refund.AfterFix},
		"SIGNERROR":             {refund.CodeRejected, refund.AfterFix},
		"XML_FORMAT_ERROR":      {refund.CodeRejected, refund.AfterFix},
	}

	// globalRefundErrors: seed 002.
	globalRefundErrors = map[string]meaning{
		"SYSTEMERROR":           {refund.CodeUnavailable, refund.SameNumber},
		"BIZERR_NEED_RETRY":     {refund.CodeUnavailable, refund.SameNumber},
		"TRADE_OVERDUE":         {refund.CodeRejected, refund.Never},
		"ERROR":                 {refund.CodeRejected, refund.AfterFix},
		"USER_ACCOUNT_ABNORMAL": {refund.CodeRejected, refund.Never},
		"INVALID_REQ_TOO_MUCH":  {refund.CodeUnavailable, refund.Later},
		"NOTENOUGH":             {refund.CodeRejected, refund.Later}, // wait for unsettled money
		"INVALID_TRANSACTIONID": {refund.CodeInvalid, refund.AfterFix},
		"PARAM_ERROR":           {refund.CodeInvalid, refund.AfterFix},
		"APPID_NOT_EXIST":       {refund.CodeRejected, refund.AfterFix},
		"MCHID_NOT_EXIST":       {refund.CodeRejected, refund.AfterFix},
		"APPID_MCHID_NOT_MATCH": {refund.CodeRejected, refund.AfterFix},
		"REQUIRE_POST_METHOD":   {refund.CodeRejected, refund.AfterFix},
		"SIGNERROR":             {refund.CodeRejected, refund.AfterFix},
		"XML_FORMAT_ERROR":      {refund.CodeRejected, refund.AfterFix},
		"INVALID_REQUEST":       {refund.CodeRejected, refund.Never}, // only in an example: fully refunded already

		// Not in seed 002 but in the document of v2, which Global shares.
		"ORDERNOTEXIST":       {refund.CodeNotFound, refund.AfterFix},
		"REFUND_FEE_MISMATCH": {refund.CodeRejected, refund.Never},
		"FREQUENCY_LIMITED":   {refund.CodeUnavailable, refund.Later},
		"NOAUTH":              {refund.CodeRejected, refund.AfterFix},
	}
)
