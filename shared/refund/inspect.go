package refund

import (
	"context"
	"slices"
	"strings"
	"time"
)

// An Inspection is all that the ledger holds of one refund, for people to look at. It
// holds personal data in full: see [Inspection.Masked].
type Inspection struct {
	OutRefundNo string
	State       State
	External    bool    // never claimed here
	Silent      bool    // external, from a bill: subscribers are not told of it unless a person has it redelivered
	InDoubt     bool    // claimed and submitted, and nobody waits for the answer any more
	Withdrawn   bool    // in doubt, and never submitted again: see [Service.Cancel]
	Attention   bool    // a person should look at it: a cause of alarm is open, or a delivery was given up
	Request     Request // what was claimed; of an external refund, what the upstream reported
	Refund      Refund  // what the upstream has reported, completed by what was claimed
	Held        int64   // minor units that it reserves on its order's account
	Refusal     *Error  // why it was rejected, nil unless it was
	NumberTaken bool    // rejected, since an external refund has the number: Refund and Held are that one's
	Causes      []Cause // open causes of alarm
	ClaimedAt   time.Time
	Application string // the application whose decision it was claimed by
	Proposed    string // the application that waits, or has waited, under the number; without a State it is all there is

	// In doubt: from when on [Service.Release] may end it; zero otherwise.
	ReleasableAt time.Time

	// Claimed, refused for want of funds, and goes on by itself after a top-up, at most
	// until WaitingUntil.
	WaitingFunds               bool
	WaitingSince, WaitingUntil time.Time

	History []HistoryEntry    // oldest first
	Pending []PendingDelivery // what subscribers have not acknowledged yet, oldest first
}

// A PendingDelivery is one event of a refund or of an application that one subscriber has not acknowledged.
type PendingDelivery struct {
	To       string
	Since    time.Time
	Attempts int
	Next     time.Time // when it is delivered again; zero: at once
	GivenUp  bool
	Why      string // of the last failure
}

// inspectAtOnce is how many items are read from the ledger at a time.
const inspectAtOnce = 25

// Inspect returns what the ledger holds of the given refunds, one inspection each, in
// their order; that of a refund which it does not know has no State. The upstream is
// not asked and nothing changes. It is for whoever runs the service: no caller is
// admitted or denied.
func (s *Service) Inspect(ctx context.Context, outRefundNos ...string) ([]Inspection, error) {
	records, err := s.recordsOf(ctx, outRefundNos...)
	if err != nil {
		return nil, err
	}
	var out []Inspection
	now := s.now()
	for i := range records {
		out = append(out, records[i].inspection(now))
	}
	return out, nil
}

// recordsOf reads the records of the given refunds, in their order; that of a refund which
// the ledger does not know has no State.
func (s *Service) recordsOf(ctx context.Context, outRefundNos ...string) ([]record, error) {
	var out []record
	for chunk := range slices.Chunk(outRefundNos, inspectAtOnce) {
		keys := make([]Key, len(chunk))
		for i, no := range chunk {
			keys[i] = refundKey(no)
		}
		items, err := s.Ledger.Get(ctx, keys...)
		if err != nil {
			return nil, ledgerError(err)
		}
		for i, it := range items {
			var rec record
			if err := decode(it, &rec); err != nil {
				return nil, err
			}
			rec.Request.OutRefundNo = chunk[i]
			out = append(out, rec)
		}
	}
	return out, nil
}

func (r *record) inspection(now time.Time) Inspection {
	var since, until time.Time
	if r.waits() {
		since, until = r.Funds.Since, r.Funds.Since.Add(waitFunds)
	}
	var releasable time.Time
	if r.inDoubt(now) {
		releasable = r.lastSubmitted().Add(submissionLife)
	}
	return Inspection{
		ReleasableAt: releasable,
		WaitingFunds: r.waits(), WaitingSince: since, WaitingUntil: until,
		OutRefundNo: r.Request.OutRefundNo, State: r.State, External: r.External, Silent: r.Silent, InDoubt: r.inDoubt(now), Withdrawn: r.inDoubt(now) && r.Cancelled, Attention: r.needsAttention(),
		Request: r.Request, Refund: r.view(),
		Held: r.Held, Refusal: r.Refusal, NumberTaken: r.NumberTaken, Causes: r.Causes, ClaimedAt: r.ClaimedAt, Application: r.Application, Proposed: r.Proposed, History: r.History, Pending: r.pending(),
	}
}

// inDoubt reports whether the refund is claimed and submitted, and nobody waits for the
// answer any more.
func (r *record) inDoubt(now time.Time) bool {
	return r.State == Claimed && len(r.Open) > 0 && !r.running(now)
}

// Masked is the inspection without personal data: who did what, and the account that
// received the money, can be recognised and not read.
func (i Inspection) Masked() Inspection {
	i.Refund.UserReceivedAccount = maskOnce(i.Refund.UserReceivedAccount)
	i.History = slices.Clone(i.History)
	for at := range i.History {
		i.History[at].By = maskIdentity(i.History[at].By)
	}
	i.Causes = slices.Clone(i.Causes)
	for at := range i.Causes {
		i.Causes[at].AcknowledgedBy = maskIdentity(i.Causes[at].AcknowledgedBy)
	}
	return i
}

// RefundNo returns the number of the refund that an item of the ledger is about;
// ok is false for items that are not refunds.
func (i Item) RefundNo() (outRefundNo string, ok bool) {
	return strings.CutPrefix(string(i.Key), string(refundKey("")))
}
