package refund

import (
	"slices"
	"strings"
)

// checkApplication checks one application: that it is listed and due as its state says, and
// that its refund is one that it names.
func (b *books) checkApplication(it Item, id string) {
	var a application
	wrong := func(code, format string, args ...any) { b.found(code, Finding{Item: it.Key}, format, args...) }
	if decode(it, &a) != nil {
		wrong(foundUnreadable, "the application cannot be read")
		return
	}
	switch {
	case a.ID != id:
		wrong(foundNumber, "the application that stands here is %s", a.ID)
	case !slices.Contains(ApplicationStates(), a.State):
		wrong(foundState, "there is no state %q of an application", a.State)
	case it.Class != a.class() || it.At.UnixMilli() != a.CreatedAt.UnixMilli():
		wrong(foundClass, "the application is listed as %q, and is %s", it.Class, a.class())
	case it.Due.IsZero() && (a.State == ApplicationPending || len(a.pendingSubscribers()) > 0):
		wrong(foundDue, "the application is %s, and is never due: the reconciler does not look at it", a.State)
	case a.overdue(b.now):
		wrong(foundLate, "the application is due at %v, later than any rule sets: some instance's clock runs ahead", it.Due)
	}
	decided := a.State == ApplicationApproved || a.State == ApplicationRefunded
	switch {
	case decided && (a.Numbers < 1 || a.Request.OutRefundNo == "" || a.DecidedAt.IsZero() || a.DecidedBy == "" && !a.Auto):
		wrong(foundState, "the application is %s, and it is not on record who decided so, or under which number", a.State)
	case !decided && a.Numbers != 0 && a.State != ApplicationRejected:
		wrong(foundState, "the application is %s, and has had %d refund numbers", a.State, a.Numbers)
	case decided && a.DecidedBy == a.Applicant && !a.Auto && !strings.Contains(a.Applicant, hidden): // of masks two people can have one
		wrong(foundState, "who has applied has approved")
	}
	if a.State == ApplicationRefunded {
		if r := b.record(refundKey(a.Request.OutRefundNo)); !a.refundedBy(r) {
			wrong(foundState, "the application is refunded, and refund %s is not its own", a.Request.OutRefundNo)
		}
	}
}

// checkReserved checks the item of a number under which no refund was ever claimed: that it
// is an operator's whose application is on record, and says nothing else.
func (b *books) checkReserved(it Item, r *record, no string, wrong func(code, format string, args ...any)) {
	switch {
	case r.Proposed != proposalID(no) || b.get(applicationKey(r.Proposed)).Version == 0:
		wrong(foundState, "the number is reserved for the application %s, which is not on record", r.Proposed)
	case r.Held != 0 || r.Counted || r.Submission > 0 || !it.Due.IsZero() || it.Class != "":
		wrong(foundState, "the number is only reserved for an application, and its item says more")
	}
}
