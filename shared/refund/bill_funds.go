package refund

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxProved bounds how many refunds' money is proved: 32 bytes of memory each.
	maxProved = 2_000_000
	// byAPI is who asked for a movement that this or another program has asked for.
	byAPI = "system"
	// fundsFinding is before what a finding about money is.
	fundsFinding = "funds_"
)

// A proof is the money of one refund: what its row says that left the merchant, and what
// has moved.
type proof struct {
	id          [16]byte // of the refund_id
	want, moved int64    // minor units
}

func proofID(refundID string) (id [16]byte) {
	sum := sha256.Sum256([]byte(refundID))
	copy(id[:], sum[:])
	return id
}

// A fundsProof holds the movements of a day and of the next one against the day's refunds.
type fundsProof struct {
	*billJudge
	proofs    []proof // by id
	report    *FundsReport
	yesterday bool // the day before was read, so that the ledger knows its refunds
	pending   []pendingMovement
}

// A pendingMovement is one about whose refund the ledger is to be asked.
type pendingMovement struct {
	Movement
	account string
	known   bool // as one of the day's refunds
}

// funds holds what moved in the merchant's accounts against the day's refunds. What was
// accepted late may be booked on the next day, so that what has not moved is missing only
// if the next day's bills have it neither. A refund that was closed brings its money back:
// one that the ledger does not have so is asked about. Who has asked for a movement by hand
// goes into the refund's history. trade is the day's bill; open hands out the accounts'.
// It keeps 32 bytes of memory for each refund. The error is that the ledger has not
// answered, a bill that was read cannot be read again, or that ctx has ended.
func (j *billJudge) funds(ctx context.Context, trade *Bill, open func(BillQuery) (*Bill, error)) error {
	j.report.Findings = slices.DeleteFunc(j.report.Findings, func(f BillFinding) bool { return strings.HasPrefix(f.What, fundsFinding) })
	f := &fundsProof{billJudge: j, report: &FundsReport{}}
	j.report.Funds = f.report
	bills, err := f.open(ctx, j.day, open)
	defer func() { closeBills(bills) }()
	if err != nil {
		return f.unavailable(ctx, err)
	}
	if len(bills) == 0 {
		j.report.Funds = nil
		return nil
	}
	if err := f.expect(ctx, trade); err != nil {
		return err
	}
	if f.report.State != "" {
		return nil
	}
	found, err := j.s.days(ctx, j.day.Add(-1))
	if err != nil {
		return err
	}
	f.yesterday = found[0].err == nil && found[0].body.Report.State.result()
	for _, b := range bills {
		if err := f.movements(ctx, b, false); err != nil {
			return err
		}
	}
	whole := true
	if f.anyMissing() {
		next, err := f.open(ctx, j.day.Add(1), open)
		defer func() { closeBills(next) }()
		if whole = err == nil; ctx.Err() != nil {
			return timeIsUp(ctx.Err())
		}
		for _, b := range next {
			if err := f.movements(ctx, b, true); err != nil {
				return err
			}
		}
	}
	return f.conclude(ctx, trade, whole)
}

// open opens the bills of all accounts; those that were open before an error are returned
// with it. None at all: the upstream never has any.
func (f *fundsProof) open(ctx context.Context, day Day, open func(BillQuery) (*Bill, error)) (bills []*Bill, err error) {
	for _, account := range f.s.Channel.Spec().BillAccounts {
		if ctx.Err() != nil {
			return bills, timeIsUp(ctx.Err())
		}
		b, err := open(BillQuery{Day: day, Kind: FundsBill, Account: account})
		switch {
		case errors.Is(err, ErrNoBill):
		case err != nil:
			return bills, err
		default:
			b.Query.Account = account
			bills = append(bills, b)
		}
	}
	return bills, nil
}

func closeBills(bills []*Bill) {
	for _, b := range bills {
		b.close()
	}
}

// unavailable is the report about bills that could not be had.
func (f *fundsProof) unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return timeIsUp(ctx.Err())
	}
	e := AsError(err)
	f.report.Why = shortened(e.Message, maxWhy)
	switch {
	case errors.Is(err, ErrBillUnreadable):
		f.report.State = BillUnreadable
		f.report.Why = shortened(err.Error(), maxWhy)
	case e.Code == CodeLimited || e.Code == CodeUnavailable && e.Next == Later:
		f.report.State = BillWaiting
	default:
		f.report.State = BillUnavailable
	}
	return nil
}

// expect notes what of each of the day's refunds must have left the merchant.
func (f *fundsProof) expect(ctx context.Context, trade *Bill) error {
	if trade == nil || trade.Empty || trade.Refunds == nil {
		return nil
	}
	f.proofs = make([]proof, 0, min(f.billJudge.report.sum((*BillReport).refunds), maxProved))
	for row, err := range trade.Refunds {
		switch {
		case err != nil:
			return unavailable("the bill that was fetched cannot be read any more", err)
		case ctx.Err() != nil:
			return timeIsUp(ctx.Err())
		case row.RefundID == "" || row.anothers(f.s.Merchant):
			continue
		case len(f.proofs) == maxProved:
			f.proofs = nil
			f.report.State, f.report.Why = BillUnavailable, fmt.Sprintf("the day has more than %d refunds, of which the money is not compared", maxProved)
			return nil
		}
		f.proofs = append(f.proofs, proof{id: proofID(row.RefundID), want: max(0, min(row.Refunded, maxMoney))})
	}
	slices.SortFunc(f.proofs, func(a, b proof) int { return bytes.Compare(a.id[:], b.id[:]) })
	f.proofs = slices.CompactFunc(f.proofs, func(a, b proof) bool { return a.id == b.id })
	return nil
}

func (f *fundsProof) proof(refundID string) *proof {
	id := proofID(refundID)
	i, ok := slices.BinarySearchFunc(f.proofs, id, func(p proof, id [16]byte) int { return bytes.Compare(p.id[:], id[:]) })
	if !ok {
		return nil
	}
	return &f.proofs[i]
}

// movements takes up what a bill shows. Of the next day's bills, only what moved of this
// day's refunds counts.
func (f *fundsProof) movements(ctx context.Context, b *Bill, next bool) error {
	if b.Empty || b.Movements == nil {
		return nil
	}
	for m, err := range b.Movements {
		switch {
		case err != nil:
			return unavailable("the bill that was fetched cannot be read any more", err)
		case ctx.Err() != nil:
			return timeIsUp(ctx.Err())
		}
		p := f.proof(m.RefundID)
		money := max(0, min(m.Amount, maxMoney))
		_, others := f.byOthers[m.RefundID]
		look := false
		switch {
		case m.Closure:
			if look = !next; look {
				f.report.Closed++
				addFen(&f.report.BackFen, money)
			}
		case p != nil:
			addFen(&p.moved, money)
			addFen(&f.report.OutFen, money)
			hand := m.By != "" && m.By != byAPI
			if hand {
				f.report.ByHand++
			}
			look = hand || others
		default:
			look = !next && f.yesterday
		}
		if !look {
			continue
		}
		f.pending = append(f.pending, pendingMovement{m, b.Query.Account, p != nil})
		if len(f.pending) == rowsAtOnce {
			if err := f.look(ctx); err != nil {
				return err
			}
		}
	}
	return f.look(ctx)
}

// look looks up in the ledger whose refunds the pending movements are of.
func (f *fundsProof) look(ctx context.Context) error {
	pending := f.pending
	f.pending = f.pending[:0]
	var keys []Key
	for _, m := range pending {
		if k := refundIDKey(m.RefundID); m.RefundID != "" && isNumber(m.RefundID) && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	owners := map[Key]string{}
	if len(keys) > 0 {
		items, err := f.s.Ledger.Get(ctx, keys...)
		if err != nil {
			return ledgerError(err)
		}
		for _, it := range items {
			var no string
			_ = decode(it, &no) // one that cannot be read has an alarm of its own
			owners[it.Key] = no
		}
	}
	for _, m := range pending {
		var err error
		no := owners[refundIDKey(m.RefundID)]
		switch {
		case no == "" && !m.known && !m.Closure:
			f.report.Unknown++
			f.find("unknown", BillRow{Line: m.Line, RefundID: m.RefundID, Amount: m.Amount}, 0, "money of a refund that nobody knows has left "+m.account)
		case no == "":
		case m.Closure:
			err = f.closed(ctx, no)
		case m.known:
			err = f.booked(ctx, no, m)
		}
		if err != nil && !errors.Is(err, errDamaged) { // as above
			return err
		}
	}
	return nil
}

// closed has the upstream asked about a refund whose money has come back, unless the
// ledger knows that it was closed.
func (f *fundsProof) closed(ctx context.Context, no string) error {
	return f.s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		if tx.rec.State == unknown || tx.rec.status() == StatusClosed {
			return errUnchanged
		}
		tx.doubt()
		tx.askSoon(now)
		return nil
	})
}

// booked notes in a refund's history whose hand has moved its money: once for each
// movement.
func (f *fundsProof) booked(ctx context.Context, no string, m pendingMovement) error {
	e := HistoryEntry{What: "booked", Source: FromBill, ID: plain(m.FlowID, maxNumber), By: plain(m.By, maxBy)}
	e.Note = fmt.Sprintf("%s left %s at %s", amountText(Amount{Refund: m.Amount, Currency: f.billJudge.report.Currency}), plain(m.account, maxNumber),
		m.At.In(china()).Format(time.DateTime))
	return f.s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		noted := slices.ContainsFunc(tx.rec.History, func(h HistoryEntry) bool { return h.What == e.What && h.ID == e.ID && h.Note == e.Note })
		if tx.rec.State == unknown || noted {
			return errUnchanged
		}
		tx.keepQueryAt = true
		e.At = now
		tx.rec.note(e)
		return nil
	})
}

func (p *proof) proved() bool { return p.moved == p.want }

func (f *fundsProof) anyMissing() bool {
	return slices.ContainsFunc(f.proofs, func(p proof) bool { return p.moved < p.want })
}

// conclude counts what is proved. whole: the next day's bills were read, or none was
// needed.
func (f *fundsProof) conclude(ctx context.Context, trade *Bill, whole bool) error {
	r := f.report
	waiting := false
	for i := range f.proofs {
		switch p := &f.proofs[i]; {
		case p.proved():
			r.Proved++
		case p.moved < p.want && !whole:
			waiting = true
		case p.moved == 0:
			r.Missing++
		default:
			r.Differs++
		}
	}
	switch {
	case r.Missing+r.Differs+r.Unknown > 0:
		r.State = BillDiffers
	case waiting:
		r.State, r.Why = BillWaiting, "what has not moved may be in the next day's bill"
	default:
		r.State = BillAgrees
	}
	if r.Missing+r.Differs == 0 {
		return nil
	}
	for row, err := range trade.Refunds {
		if err != nil {
			return unavailable("the bill that was fetched cannot be read any more", err)
		}
		if ctx.Err() != nil || len(f.billJudge.report.Findings) >= maxBillFindings {
			break
		}
		p := f.proof(row.RefundID)
		switch {
		case p == nil || p.proved() || row.anothers(f.s.Merchant) || p.moved < p.want && !whole:
		case p.moved == 0:
			f.find("missing", row, 0, "no money of this refund has left the merchant")
		default:
			f.find("differs", row, p.moved, "other money of this refund has left the merchant than its row says")
		}
	}
	return nil
}

// find notes a finding about money: Bill is what should have moved, Ledger what has.
func (f *fundsProof) find(what string, row BillRow, moved int64, says string) {
	row.Amount = cmp.Or(row.Refunded, row.Amount)
	f.billJudge.report.find(finding(fundsFinding+what, row, moved, says))
}
