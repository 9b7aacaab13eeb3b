package refund

import (
	"context"
	"slices"
	"strings"
	"time"
)

// A Dossier is all that the ledger holds of one refund, for people to look at.
type Dossier struct {
	OutRefundNo string
	State       State
	Foreign     bool    // never claimed here
	Request     Request // what was claimed; of a foreign refund, what the upstream told
	Refund      Refund  // what the upstream has told, completed by what was claimed
	Held        int64   // minor units that it reserves on its order's account
	Refusal     *Error  // why it was rejected, nil unless it was
	Taken       bool    // rejected, since somebody else's refund has the number: Refund and Held are that one's
	Causes      []Cause // lasting causes of alarm that go on
	ClaimedAt   time.Time
	History     []Event // oldest first
	Owed        []Owed  // what the business has not acknowledged yet, oldest first
}

// An Owed is one news of a refund that one subscriber has not acknowledged.
type Owed struct {
	To      string
	Since   time.Time
	Tries   int
	Next    time.Time // when it is told again; zero: at once
	GivenUp bool
	Why     string // of the last failure
}

// lookAt is how many items are read from the ledger at a time.
const lookAt = 25

// Look returns what the ledger holds of the given refunds, one dossier each, in
// their order; that of a refund which it does not know has no State. Nobody is asked and nothing changes. It is for
// whoever runs the service: callers of it are not asked who they are.
func (s *Service) Look(ctx context.Context, outRefundNos ...string) ([]Dossier, error) {
	var out []Dossier
	for chunk := range slices.Chunk(outRefundNos, lookAt) {
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
			out = append(out, rec.dossier())
		}
	}
	return out, nil
}

func (r *record) dossier() Dossier {
	var owed []Owed
	for _, n := range r.Notices {
		for _, d := range n.Owed {
			owed = append(owed, Owed{To: d.To, Since: n.At, Tries: d.Tries, Next: d.Next, GivenUp: d.Lost, Why: d.Why})
		}
	}
	return Dossier{
		OutRefundNo: r.Request.OutRefundNo, State: r.State, Foreign: r.Foreign, Request: r.Request, Refund: r.view(),
		Held: r.Held, Refusal: r.Refusal, Taken: r.Taken, Causes: r.Causes, ClaimedAt: r.ClaimedAt, History: r.History, Owed: owed,
	}
}

// RefundNo returns the number of the refund that an item of the ledger is about;
// ok is false for items that are not refunds.
func (i Item) RefundNo() (outRefundNo string, ok bool) {
	return strings.CutPrefix(string(i.Key), string(refundKey("")))
}
