// Package model is the protocol of a refund, small enough to be exhausted: one wish of a
// customer, two refund numbers of which the second is used only after a definite no, two
// dispatchers and a timer that may die at any step, and a WeChat Pay whose answers and
// notifications may be lost, repeated, overtaken and late.
//
// The state machine in it is not a copy: it is made of [refund.State.Follows]. That the rest
// is what the service does its tests show, by having the real service live through every
// step; and package simulation holds each commit of its histories against [Model.Claim] and
// [Model.Settle].
//
// Times are not in it but for one: a claim is given up only if it was asked about when no
// request could be on its way any more. Nor are amounts, totals and several orders.
package model

import (
	"fmt"

	"wxrefund/shared/refund"
)

// A Status is what a side has on record, or what was heard.
type Status int8

const (
	None Status = iota
	Claimed
	Processing
	Success
	Closed
	Abnormal
	Rejected
	statuses // how many can be on record

	Unknown // no answer, or none that says anything
	Unsent  // certainly nothing has left
	Refused // a definite no to one submission
	Absent  // asked, the upstream holds nothing
	Quiet   // the same, and nothing was on its way when it was asked
)

// State is the ledger's word for what can be on record.
func (s Status) State() refund.State {
	return [statuses]refund.State{
		"", refund.Claimed, refund.Processing, refund.Success, refund.Closed, refund.Abnormal, refund.Rejected,
	}[s]
}

func (s Status) String() string {
	switch s {
	case None:
		return "none"
	case Unknown:
		return "unknown"
	case Unsent:
		return "unsent"
	case Refused:
		return "refused"
	case Absent:
		return "absent"
	case Quiet:
		return "absent, and nothing under way"
	}
	return string(s.State())
}

// StatusOf reads the ledger's word.
func StatusOf(s refund.State) (Status, error) {
	for i := range statuses {
		if i.State() == s {
			return i, nil
		}
	}
	return None, fmt.Errorf("model: no state %q", s)
}

// A Book is what is on our record under one number.
type Book struct {
	Status Status
	Open   int8 // submissions of which nothing certain is known
}

func (b Book) String() string { return fmt.Sprintf("%s with %d open", b.Status, b.Open) }

// holds reports whether the amount is reserved, or gone.
func (b Book) holds() bool { return b.Status != None && b.Status != Rejected && b.Status != Closed }

// A Word is what somebody has heard of a number, before he has it recorded.
type Word struct {
	Says   Status
	Letter bool // a notification or a row of a bill: it may always have been overtaken
	Old    bool // the record has moved since the question was asked
}

// Rules are how a protocol can differ from ours, each by one of our rules that it lacks.
type Rules struct {
	SilenceIsNo    bool // no answer is taken for a no
	Expires        bool // what is pending for long is taken for failed
	RefusalsAlone  bool // a refusal rejects although another submission is open
	RowAfterCall   bool // the row is written when the answer is there
	ReleasedEarly  bool // a claim is given up although something may be on its way
	ReleasedBlind  bool // a claim is given up although it was submitted again since it was asked about
	NeverAsks      bool // no timer asks about what is pending
	NewNumberEarly bool // a client that hears nothing tries under another number, and no claim stops it
}

// A Model is the protocol, with or without some of its rules.
type Model struct {
	other Rules
	moves [statuses][statuses][2]bool // by record, word, and whether it is fresh
}

// New makes the model of the real state machine.
func New(other Rules) *Model {
	m := &Model{other: other}
	for from := range statuses {
		for to := range statuses {
			for i, fresh := range []bool{false, true} {
				m.moves[from][to][i], _ = from.State().Follows(to.State(), fresh)
			}
		}
	}
	return m
}

// Claim is what a client's request does to the book, and whether the request is then
// submitted.
func (m *Model) Claim(b Book) (next Book, submits bool) {
	switch b.Status {
	case None, Rejected:
		return Book{Claimed, 1}, true
	case Claimed:
		return Book{Claimed, b.Open + 1}, true
	}
	return b, false
}

// Settle is what somebody's word does to the book.
func (m *Model) Settle(b Book, w Word) Book {
	switch w.Says {
	case Unknown:
		if m.other.SilenceIsNo && b.Status == Claimed {
			b = Book{Status: Rejected}
		}
	case Unsent, Refused:
		if w.Old || b.Open == 0 {
			return b // something else has brought certainty meanwhile
		}
		b.Open--
		if w.Says == Refused && b.Status == Claimed && (b.Open == 0 || m.other.RefusalsAlone) {
			b = Book{Status: Rejected}
		}
	case Absent, Quiet:
	default:
		fresh := 0
		if !w.Letter && !w.Old {
			fresh = 1
		}
		if m.other.Expires && b.Status == Rejected {
			return b
		}
		if b.Status != w.Says && m.moves[b.Status][w.Says][fresh] {
			b = Book{Status: w.Says}
		}
	}
	return b
}

// Release is what giving a claim up does to the book.
func (m *Model) Release(b Book, heard Status) Book {
	if b.Status == Claimed && (heard == Quiet || m.other.ReleasedEarly && heard == Absent) {
		return Book{Status: Rejected}
	}
	return b
}
