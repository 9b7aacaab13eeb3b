package refund_test

import (
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// Whoever uses a number for something else in the very moment in which a refund is proposed
// under it is told 409: one of the two is on record, whichever was ahead, and never both.
func TestAProposalAndAClaimOfOneNumberMeet(t *testing.T) {
	type step struct {
		by   refund.Caller
		fen  int64
		code refund.Code // "": it is taken
		next refund.Next
	}
	proposes := step{by: operatorA, fen: 60, code: refund.CodeProposed, next: refund.Later}
	conflict := func(s step) step { s.code, s.next = refund.CodeConflict, refund.Never; return s }
	for _, tt := range []struct {
		name          string
		outer, inner  step // inner is all done after outer has read the ledger and before it commits
		claimed       bool // in the end; else the number is reserved
		alreadyDenied bool // the upstream has refused the number with 10 fen
	}{
		{"a server claims first", conflict(proposes), step{by: server, fen: 1}, true, false},
		{"another operator claims first", conflict(proposes), step{by: operatorB, fen: 1}, true, false},
		{"a server claims the same first", step{by: operatorA, fen: 60}, step{by: server, fen: 60}, true, false},
		{"a proposal first, then a server", conflict(step{by: server, fen: 1}), proposes, false, false},
		{"a proposal first, then an operator", conflict(step{by: operatorB, fen: 1}), proposes, false, false},
		{"a proposal first, then a server with the same", step{server, 60, refund.CodeProposed, refund.Later}, proposes, false, false},
		{"a proposal first, then another of other content", conflict(step{by: operatorB, fen: 61}), proposes, false, false},
		{"a refused number is claimed first", conflict(proposes), step{by: server, fen: 1}, true, true},
		{"a refused number is proposed first", conflict(step{by: server, fen: 1}), proposes, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := shop(t)
			f.Policy.ApprovalFen = 50
			if tt.alreadyDenied {
				f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
				_, err := f.Refund(t.Context(), server, request("R1", 10))
				wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
				f.up.before = nil
			}
			run := func(s step) {
				t.Helper()
				got, err := f.Refund(t.Context(), s.by, request("R1", s.fen))
				if s.code != "" {
					wantCode(t, err, s.code, s.next)
				} else if err != nil || got.Amount.Refund != s.fen {
					t.Errorf("%v asks for %d and is told %+v, %v", s.by, s.fen, got, err)
				}
			}
			meanwhile := false
			f.Ledger = &hindered{f.Ledger, func() error {
				if !meanwhile {
					meanwhile = true
					run(tt.inner)
				}
				return nil
			}}
			run(tt.outer)
			run(tt.outer)
			if n := f.up.count("refund:R1"); tt.claimed != (n > 0) && !tt.alreadyDenied {
				t.Errorf("%d submissions", n)
			}
			list, err := f.ListFor(t.Context(), operatorB, refund.ApplicationQuery{})
			if err != nil || tt.claimed != (list.Total == 0) {
				t.Errorf("%d applications, %v", list.Total, err)
			}
			f.verified(t)
		})
	}
}

// A number that only waits is no refund: nobody finds one under it, and when the proposal is
// approved the refund is made as any other.
func TestAReservedNumberIsNoRefund(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	_, err := f.Refund(t.Context(), operatorA, request("R1", 60))
	e := wantCode(t, err, refund.CodeProposed, refund.Later)
	_, err = f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	wantCode(t, err, refund.CodeNotFound, refund.AfterFix)
	if in := f.inspect(t, "R1"); in.State != "" {
		t.Errorf("the number is on record: %+v", in)
	}
	if page, err := f.ListRefunds(t.Context(), refund.Filter{Query: "R1"}, "", 10); len(page.Refunds) != 0 || err != nil {
		t.Errorf("found by the number: %+v, %v", page, err)
	}
	if n, err := f.CountRefunds(t.Context(), refund.Filter{}); n != 0 || err != nil {
		t.Errorf("%d refunds, %v", n, err)
	}
	f.verified(t)
	if _, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: e.Proposed.ID}); err != nil {
		t.Fatal(err)
	}
	f.wantStatus(t, "R1", "PROCESSING", "approved")
	if n, err := f.CountRefunds(t.Context(), refund.Filter{}); n != 1 || err != nil {
		t.Errorf("%d refunds, %v", n, err)
	}
	f.verified(t)
}

// A number that was refused and then proposed with other content waits, whatever it was
// refused with; once nobody wants the proposal any more, it is what it was before.
func TestAProposalReservesARefusedNumber(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
	_, err := f.Refund(t.Context(), server, request("R1", 10))
	wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	f.up.before = nil
	_, err = f.Refund(t.Context(), operatorA, request("R1", 60))
	e := wantCode(t, err, refund.CodeProposed, refund.Later)
	for _, c := range []refund.Caller{operatorB, server} {
		_, err = f.Refund(t.Context(), c, request("R1", 10))
		wantCode(t, err, refund.CodeConflict, refund.Never)
		_, err = f.Refund(t.Context(), c, request("R1", 60))
		wantCode(t, err, refund.CodeProposed, refund.Later)
	}
	f.verified(t)
	if _, err := f.Withdraw(t.Context(), operatorA, refund.Decision{ApplicationID: e.Proposed.ID}); err != nil {
		t.Fatal(err)
	}
	if r, err := f.Refund(t.Context(), server, request("R1", 10)); err != nil || r.Amount.Refund != 10 {
		t.Errorf("after the withdrawal: %+v, %v", r, err)
	}
	f.verified(t)
}

// A number that was refused before it was proposed is no sign that the approval has failed:
// the reconciler submits it as any other that nobody has submitted yet.
func TestAnApprovedRefundOfARefusedNumberIsTakenUp(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen, f.Pace = 50, time.Minute
	f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
	_, err := f.Refund(t.Context(), server, request("R1", 10))
	wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	f.up.before = nil
	f.later(t, 10*time.Minute)
	_, err = f.Refund(t.Context(), operatorA, request("R1", 60))
	e := wantCode(t, err, refund.CodeProposed, refund.Later)
	f.must(t, request("R2", 1)) // so that the next one of the order has to wait a minute
	_, err = f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: e.Proposed.ID})
	wantCode(t, err, refund.CodeLimited, refund.Later)
	for range 3 {
		f.later(t, 10*time.Minute)
	}
	f.wantState(t, "R1", refund.Processing, "half an hour later")
	f.wantAlarms(t, "approved_unrefunded", 0, "half an hour later")
	f.verified(t)
}

// A rebuild asks about a number that waits for approval, since it may have been refunded
// after the backup was made, and does not miss a refund that nobody has made.
func TestARebuildKnowsANumberThatWaits(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	_, err := f.Refund(t.Context(), operatorA, request("R1", 60))
	wantCode(t, err, refund.CodeProposed, refund.Later)
	if sum, lines := f.rebuild(t, refund.RebuildInput{Caller: operatorB}); sum.Asked != 1 || sum.Unknown != 0 {
		t.Errorf("%+v: %v", sum, lines)
	}
	f.up.refunds["R1"] = other("R1", "O1", 60)
	if sum, lines := f.rebuild(t, refund.RebuildInput{Caller: operatorB}); sum.TakenUp != 1 {
		t.Errorf("%+v: %v", sum, lines)
	}
	f.verified(t)
}

// Two names of an operator that differ in capital letters are one person's.
func TestCapitalLettersMakeNobodyAnother(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	alice, too := refund.Caller{Kind: refund.Operator, Name: "alice"}, refund.Caller{Kind: refund.Operator, Name: "Alice"}
	f.VerifyOrder = refund.VerifyNever
	if _, err := f.Refund(t.Context(), alice, request("R0", 30)); err != nil {
		t.Fatal(err)
	}
	_, err := f.Refund(t.Context(), too, request("R1", 30)) // in all more than one may
	e := wantCode(t, err, refund.CodeProposed, refund.Later)
	_, err = f.Approve(t.Context(), too, refund.Decision{ApplicationID: e.Proposed.ID})
	wantCode(t, err, refund.CodeDenied, refund.Never)
	if a, err := f.Withdraw(t.Context(), alice, refund.Decision{ApplicationID: e.Proposed.ID}); err != nil || a.State != refund.ApplicationWithdrawn {
		t.Errorf("withdrawn: got %+v, %v", a, err)
	}
}
