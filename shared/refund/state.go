package refund

import "log/slog"

// State is what the ledger says of a refund.
//
//	claimed    -> processing, abnormal, success, closed
//	           -> rejected
//	processing -> abnormal, success, closed
//	abnormal   -> processing, success, closed
//
// Rejected means that nothing happened upstream, for certain; success and closed are
// final. A claim may become any of the four at the first answer that comes. [steps] has
// what else an upstream may say, too.
type State string

const (
	Claimed    State = "claimed" // we may or may not have reached the upstream
	Processing State = "processing"
	Success    State = "success"
	Closed     State = "closed"
	Abnormal   State = "abnormal" // the bank refused; the merchant finishes it, see [Service.FinishAbnormal]
	Rejected   State = "rejected"

	unknown State = "" // no record
)

// allStates lists the states in which a refund on record can be.
func allStates() []State {
	return []State{Claimed, Processing, Success, Closed, Abnormal, Rejected}
}

// Final reports whether the state is one of the two in which refunds end.
func (s State) Final() bool { return s == Success || s == Closed }

// told reports whether subscribers are told that a refund is in this state.
func (s State) told() bool { return s == Success || s == Closed || s == Abnormal }

// reserves reports whether a refund in this state keeps its amount reserved.
func (s State) reserves() bool { return s != Closed && s != Rejected && s != unknown }

// stateOf reads an upstream's status; ok is false for a status that nobody has documented.
func stateOf(status Status) (s State, ok bool) {
	s, ok = map[Status]State{
		StatusProcessing: Processing,
		StatusSuccess:    Success,
		StatusClosed:     Closed,
		StatusAbnormal:   Abnormal,
	}[status]
	return s, ok
}

// Source is how an outcome became known.
type Source string

const (
	Reply        Source = "reply"  // the upstream's answer to our own submission
	Notification Source = "letter" // a notification
	Query        Source = "query"  // the upstream's answer to our query
	Relay        Source = "relay"  // an unsigned message of the platform
	FromBill     Source = "bill"   // a row of the upstream's own bill: that the refund exists, and its amount
)

// LogValue is the source in the log's words. Ledgers hold a notification under the word
// that earlier versions had for it.
func (s Source) LogValue() slog.Value {
	if s == Notification {
		return slog.StringValue("notification")
	}
	return slog.StringValue(string(s))
}

// verdict says what an outcome does to a record.
type verdict int

const (
	keep       verdict = iota // old or known already: the state stays
	move                      // the state moves
	moveAlarm                 // it moves against the record, so a person should look
	contradict                // not applied: kept as evidence, and the upstream is asked
)

// step is one row of the state machine: from a recorded state to the state that
// an outcome reports.
type step struct {
	from, to State
	// late is for what may have been overtaken: a notification, a row of a bill, or the
	// answer to a query from before the record last moved. It goes forward only.
	late verdict
	// fresh is for the upstream's answer to a query about the present state.
	fresh verdict
}

// steps is the whole state machine but for refusals, which speak only for
// their own submission and never against what the upstream has confirmed.
func steps() []step {
	return []step{
		{unknown, Processing, move, move}, // a refund that was never claimed here: external
		{unknown, Abnormal, move, move},
		{unknown, Success, move, move},
		{unknown, Closed, move, move},

		{Claimed, Processing, move, move},
		{Claimed, Abnormal, move, move},
		{Claimed, Success, move, move},
		{Claimed, Closed, move, move},

		{Processing, Processing, keep, keep},
		{Processing, Abnormal, move, move},
		{Processing, Success, move, move},
		{Processing, Closed, move, move},

		{Abnormal, Processing, keep, move}, // taken up again on the merchant platform
		{Abnormal, Abnormal, keep, keep},
		{Abnormal, Success, move, move},
		{Abnormal, Closed, move, move},

		{Success, Processing, keep, moveAlarm},
		{Success, Abnormal, keep, moveAlarm},
		{Success, Success, keep, keep},
		{Success, Closed, contradict, moveAlarm},

		{Closed, Processing, keep, moveAlarm},
		{Closed, Abnormal, keep, moveAlarm},
		{Closed, Success, contradict, moveAlarm},
		{Closed, Closed, keep, keep},

		// The upstream refused, and now says that it did not: the refusal lied or
		// spoke of something else. The money is real, so the record follows it.
		{Rejected, Processing, moveAlarm, moveAlarm},
		{Rejected, Abnormal, moveAlarm, moveAlarm},
		{Rejected, Success, moveAlarm, moveAlarm},
		{Rejected, Closed, moveAlarm, moveAlarm},
	}
}

// transition looks up what an outcome does to a record.
func transition(from, to State, fresh bool) verdict {
	for _, s := range steps() {
		if s.from == from && s.to == to {
			if fresh {
				return s.fresh
			}
			return s.late
		}
	}
	return contradict
}

// Follows reports whether a record follows word of a state. fresh is for the upstream's
// answer about the present; other word may have been overtaken. asks means that the word is
// believed only once the upstream has been asked. The model that is exhausted beside the
// simulation is made of it, so that it cannot differ.
func (s State) Follows(word State, fresh bool) (moves, asks bool) {
	v := transition(s, word, fresh)
	return v == move || v == moveAlarm, v == contradict
}
