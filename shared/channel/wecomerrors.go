package channel

import (
	"fmt"
	"strconv"
	"time"

	"wxrefund/shared/refund"
)

// wecomErrors is the table of errcode, judged by number and never by text
// (WeCom's page of global error codes, document 90313). What it says of
// permissions, addresses and fields comes before a refund is looked at, and so is
// certain. A code that is not here, 7205xx among them, is unavailable: the list of
// those is not public, and some of the page's others are about answers.
func wecomErrors() map[int]meaning {
	return map[int]meaning{
		-1:    {refund.CodeUnavailable, refund.SameNumber, false}, // busy
		45009: {refund.CodeUnavailable, refund.Later, false},      // too many calls
		45033: {refund.CodeUnavailable, refund.Later, false},      // too many at once

		// Our settings, and what an administrator may or may not have allowed.
		40001:   {refund.CodeRejected, refund.LaterOrFix, false}, // secret; of a call it says that the token died, see expired
		40013:   {refund.CodeRejected, refund.LaterOrFix, false}, // corpid
		40056:   {refund.CodeRejected, refund.LaterOrFix, false}, // agentid
		40091:   {refund.CodeRejected, refund.LaterOrFix, false}, // secret
		41001:   {refund.CodeRejected, refund.LaterOrFix, false}, // token missing
		41002:   {refund.CodeRejected, refund.LaterOrFix, false}, // corpid missing
		41004:   {refund.CodeRejected, refund.LaterOrFix, false}, // secret missing
		41011:   {refund.CodeRejected, refund.LaterOrFix, false}, // agentid missing
		48002:   {refund.CodeRejected, refund.LaterOrFix, false}, // the application may not call this
		48003:   {refund.CodeRejected, refund.LaterOrFix, false}, // suite
		48004:   {refund.CodeRejected, refund.LaterOrFix, false}, // authorisation withdrawn or never given
		48005:   {refund.CodeRejected, refund.LaterOrFix, false}, // the call was abolished
		48006:   {refund.CodeRejected, refund.LaterOrFix, false}, // permission lapsed for want of use
		50001:   {refund.CodeRejected, refund.LaterOrFix, false}, // domain not registered
		50002:   {refund.CodeRejected, refund.LaterOrFix, false}, // member out of scope
		50003:   {refund.CodeRejected, refund.LaterOrFix, false}, // the application is switched off
		60011:   {refund.CodeRejected, refund.LaterOrFix, false}, // no privilege
		60020:   {refund.CodeRejected, refund.LaterOrFix, false}, // our IP address, perhaps of this one instance
		60021:   {refund.CodeRejected, refund.LaterOrFix, false}, // out of the application's sight
		90206:   {refund.CodeRejected, refund.LaterOrFix, false}, // the mini-program is not bound to the corp
		90207:   {refund.CodeRejected, refund.LaterOrFix, false}, // appid of the mini-program
		90208:   {refund.CodeRejected, refund.LaterOrFix, false}, // the same, another's
		90308:   {refund.CodeRejected, refund.LaterOrFix, false}, // our IP address
		92000:   {refund.CodeRejected, refund.LaterOrFix, false}, // out of the application's sight
		92002:   {refund.CodeRejected, refund.LaterOrFix, false}, // another corp's
		301002:  {refund.CodeRejected, refund.LaterOrFix, false}, // no permission for this application
		2000002: {refund.CodeRejected, refund.LaterOrFix, false}, // corpid

		// Malformed, and stays so.
		40035: {refund.CodeInvalid, refund.AfterFix, false},  // a parameter
		40058: {refund.CodeInvalid, refund.AfterFix, false},  // a parameter; the text says which
		40063: {refund.CodeInvalid, refund.AfterFix, false},  // a parameter is empty
		40068: {refund.CodeInvalid, refund.AfterFix, false},  // a tag
		43002: {refund.CodeRejected, refund.AfterFix, false}, // not by POST
		44004: {refund.CodeInvalid, refund.AfterFix, false},  // a text is empty
		45002: {refund.CodeInvalid, refund.AfterFix, false},  // a text is too long
		47001: {refund.CodeInvalid, refund.AfterFix, false},  // JSON

		// "out_trade_no not exists under mchid": no such order, or one that has just
		// been paid. For a query's "no such refund" see Query.
		720501: {refund.CodeNotFound, refund.LaterOrFix, false},
	}
}

// wecomNoOrder is the one code of the family about refunds whose text is public.
const wecomNoOrder = "720501"

// expired are the codes of a token that has died early: another one may do.
func expired(code int) bool { return code == 40014 || code == 42001 || code == 40001 }

// aboutRefunds reports whether an errcode is of the family about refunds, 7205xx.
func aboutRefunds(errcode string) bool {
	n, err := strconv.Atoi(errcode)
	return err == nil && n/100 == 7205
}

func wecomError(code int) *refund.Error {
	m, ok := wecomErrors()[code]
	if !ok {
		m = meaning{refund.CodeUnavailable, refund.SameNumber, false}
	}
	e := m.refusal(fmt.Sprint(code), fmt.Sprintf("WeCom refused with errcode %d", code))
	if m.code == refund.CodeUnavailable {
		e.Message = fmt.Sprintf("WeCom answered errcode %d", code) + outcomeOpen
	}
	if m.code == refund.CodeUnavailable && m.next == refund.Later {
		e.RetryAfter = time.Minute
	}
	return e
}
