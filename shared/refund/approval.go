package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// This file is about four eyes: what one person may not refund alone waits for another's
// approval, as an application.

// approvalWindow is the time over which one person's refunds of one order are summed up.
const approvalWindow = 24 * time.Hour

// claimant is whose refund a claim counts as, where one person may refund only so much
// alone: what tells two people apart, and does not say who they are. "" for a server. An openid
// is of one program only, so that the program tells nobody apart: not every way here names it.
func claimant(c Caller) string {
	if c.Kind != User && c.Kind != Operator {
		return ""
	}
	who := c.Identity()
	if c.Kind == Operator { // whose name people write as they like
		who = strings.ToLower(who)
	}
	sum := sha256.Sum256([]byte(who))
	return hex.EncodeToString(sum[:8])
}

// needsApproval reports whether the caller may not refund that much of the order alone.
func (tx *txn) needsApproval(p Policy, c Caller, amount RequestAmount, now time.Time) bool {
	who := claimant(c)
	if p.ApprovalFen == 0 || who == "" {
		return false
	}
	if amount.Currency != "CNY" {
		return true
	}
	sum := amount.Refund
	counted := map[string]bool{tx.no: true}
	for _, a := range tx.ownAccounts() {
		for _, e := range a.all() {
			if e.By == who && now.Sub(e.At) < approvalWindow && !counted[e.No] {
				counted[e.No] = true
				sum += e.Held
			}
		}
	}
	return sum > p.ApprovalFen
}

// proposed is what is answered about a refund that waits for approval.
func proposed(a *application, message string) *Error {
	v := a.view(nil)
	return &Error{Code: CodeProposed, Next: Later, Message: message, Proposed: &v}
}

// whyProposed says what becomes of an operator's refund in that state.
func (a *application) whyProposed(now time.Time) string {
	switch {
	case a.State == ApplicationPending && !a.expired(now):
		return "this refund waits for the approval of another operator"
	case a.State == ApplicationApproved && a.Numbers > 1:
		return "this refund goes on as " + a.Request.OutRefundNo + ", another number of its application"
	case a.State == ApplicationRefunded && a.Numbers > 1:
		return "this refund has succeeded as " + a.Request.OutRefundNo + ", another number of its application"
	case a.State == ApplicationApproved, a.State == ApplicationRefunded:
		return "this refund is approved; what has become of it, its application says"
	}
	state := a.State
	if a.expired(now) {
		state = ApplicationExpired
	}
	return "this refund was proposed, and the application is " + string(state) + ": nothing is refunded by it; use a new refund number"
}

// errNeedsApproval is why a refund is proposed instead of claimed.
var errNeedsApproval = errors.New("refund: this needs another person's approval")

// decidedBefore is the application whose decision a caller repeats by hand: it is approved,
// its refund was refused, and this is the same refund. "" if it is none. Without it, nobody
// would note that the application is refunded after all.
func (s *Service) decidedBefore(ctx context.Context, tx *txn, req Request) (id string, err error) {
	if tx.rec.State != Rejected || tx.rec.Application == "" {
		return "", nil
	}
	a, _, err := s.readApplication(ctx, tx.rec.Application)
	switch {
	case IsCode(err, CodeNotFound):
		return "", nil
	case err != nil:
		return "", err
	case a.State == ApplicationApproved && difference(a.Request, req) == "":
		return a.ID, nil
	}
	return "", nil
}

// permits reports why a claim cannot be made under the number; nil if it can. A claim by
// the decision of an application needs that decision to stand, about that refund.
func (tx *txn) permits(application string, req Request, now time.Time) error {
	if application == "" {
		if err := tx.reserved(req, now); err != nil {
			return err
		}
		return nil
	}
	if tx.rec.onlyReserved() && tx.rec.Proposed != application {
		return conflictf("the refund number waits for another application")
	}
	a := tx.application
	if a == nil || a.State != ApplicationApproved && a.State != ApplicationRefunded || difference(a.Request, req) != "" {
		return conflictf("the application's decision has changed meanwhile; look at it again")
	}
	tx.decided = true
	return nil
}

// reserved says why a number cannot be claimed that an operator's refund waits under, or is
// answered from what that has become; nil if it can.
func (tx *txn) reserved(req Request, now time.Time) *Error {
	a, rec := tx.application, &tx.rec
	switch {
	case a == nil || !a.Proposed:
		return nil
	case a.Numbers > 1 && a.otherThanProposed(req) == nil: // it goes on under another
		return proposed(a, a.whyProposed(now))
	case rec.State != unknown && rec.State != Rejected:
		return nil
	case rec.State == Rejected && (a.State == ApplicationRejected || a.State == ApplicationWithdrawn || a.State == ApplicationExpired):
		return nil // it had been refused before it was proposed, and is free as it was then
	case a.otherThanProposed(req) != nil:
		return a.otherThanProposed(req)
	case rec.Application == a.ID: // it was claimed, and refused
		return nil
	}
	return proposed(a, a.whyProposed(now))
}

// onlyReserved reports whether the record is of no refund: a number that an operator's
// refund was proposed under.
func (r *record) onlyReserved() bool { return r.State == unknown && r.Proposed != "" }

// otherThanProposed is why a request is another than what was proposed under its number;
// nil if it is that. The application may have gone on to another number since.
func (a *application) otherThanProposed(req Request) *Error {
	was := a.Request
	was.OutRefundNo = req.OutRefundNo
	if field := difference(was, req); field != "" {
		return conflictf("%s differs from what this out_refund_no was proposed with", field)
	}
	return nil
}

// propose makes an application of an operator's refund, under its number, and returns
// what is to be written and what is answered. The same again is the same application;
// anything else under the number is a conflict. The number's own item names the
// application, so that a claim that has not seen it cannot be committed beside it.
func (tx *txn) propose(caller Caller, req Request, subscribers []string, now time.Time) ([]Item, *Error) {
	if a := tx.application; a != nil {
		if other := a.otherThanProposed(req); other != nil {
			return nil, other
		}
		return nil, proposed(a, a.whyProposed(now))
	}
	a := &application{
		ID: proposalID(req.OutRefundNo), Proposed: true, Request: req, Applicant: caller.Identity(), AppID: caller.AppID,
		Reason: req.Reason, AskedFor: req.Amount.Refund, CreatedAt: now,
	}
	a.move(ApplicationPending, caller.actor(), "more than one operator may refund alone: REFUND_APPROVAL_FEN", subscribers, now)
	var rec record // as it was read: what the claim would have made of it is not written
	k := refundKey(tx.no)
	_ = decode(tx.items[k], &rec) // which has been read before
	rec.Proposed = a.ID
	number := tx.item(k, &rec, rec.due(now))
	return []Item{rec.listed(number), a.item(tx.items[applicationKey(a.ID)], now)}, proposed(a, a.whyProposed(now))
}
