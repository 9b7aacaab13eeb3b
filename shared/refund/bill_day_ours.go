package refund

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"time"
)

const (
	// acceptedWithin is how long before its acceptance a refund may have been claimed: for
	// want of funds, it is submitted again for seven days.
	acceptedWithin = 8 * 24 * time.Hour
	// oursPage is how many refunds of the ledger are looked up at once.
	oursPage = 200
)

// ours looks up in the bill what the ledger holds of that day, page by page. What the bill
// lacks may be in the next day's, since clocks differ at midnight: once that is there, it
// is looked up there too.
//
// A refund that was closed is not missed: nothing of it has left the merchant, and nobody
// documents whether a bill lists it.
func (d *billReading) ours(ctx context.Context) error {
	p := d.body.Pass
	index := Recent(d.day.Start().Add(-acceptedWithin), d.day.Add(1).Start().Add(clockSkew), classes([]State{Processing, Success, Abnormal}, false)...)
	bills := &oursBills{}
	for {
		if !d.inTime(ctx) {
			return errNotYet
		}
		items, next, err := d.Ledger.List(ctx, index, p.Cursor, oursPage)
		if err != nil {
			if p.Failed++; p.Failed >= maxBillFailed { // in a ledger that was copied the place is one of another database
				d.restartOurs()
			}
			return errors.Join(ledgerError(err), d.note(ctx, 0))
		}
		if err := d.page(ctx, items, bills); err != nil {
			return err
		}
		p.Cursor, p.Failed = next, 0
		d.judged += len(items)
		if next == "" {
			return nil
		}
		if err := d.progress(ctx); err != nil {
			return err
		}
	}
}

// restartOurs takes back what was counted of refunds that the bill lacks.
func (d *billReading) restartOurs() {
	p := d.body.Pass
	p.Cursor, p.Failed = "", 0
	parts := []*BillReport{&p.Report}
	for i := range p.Report.Other {
		parts = append(parts, &p.Report.Other[i])
	}
	for _, part := range parts {
		part.Fen.Ledger -= part.Fen.OursOnly
		part.OursOnly, part.Fen.OursOnly = 0, 0
	}
	p.Report.Findings = slices.DeleteFunc(p.Report.Findings, func(f BillFinding) bool { return f.What == rowOursOnly })
}

// page looks up a page of refunds, and reads those again that the bills lack: a list may be
// stale.
func (d *billReading) page(ctx context.Context, items []Item, bills *oursBills) error {
	var absent []Key
	for _, it := range items {
		no, _ := it.RefundNo()
		var rec record
		if decode(it, &rec) != nil || !rec.of(d.day) { // what cannot be read has an alarm of its own
			continue
		}
		found, err := bills.hold(ctx, d, rec.Refund.RefundID, no)
		if err != nil {
			return err
		}
		if !found {
			absent = append(absent, it.Key)
		}
	}
	report := &d.body.Pass.Report
	for chunk := range slices.Chunk(absent, inspectAtOnce) {
		fresh, err := d.Ledger.Get(ctx, chunk...)
		if err != nil {
			return ledgerError(err)
		}
		for _, it := range fresh {
			var rec record
			if decode(it, &rec) != nil || !rec.of(d.day) {
				continue
			}
			e := rec.expected()
			part := report.in(e.Amount.Currency)
			part.OursOnly++
			part.Fen.OursOnly += e.Amount.Refund
			part.Fen.Ledger += e.Amount.Refund
			no, _ := it.RefundNo()
			report.find(BillFinding{What: rowOursOnly, OutRefundNo: no, RefundID: rec.Refund.RefundID,
				Order: cmp.Or(e.OutTradeNo, e.TransactionID), Ledger: e.Amount.Refund, Says: "the ledger holds it as accepted on that day, and the bill has no row of it"})
		}
	}
	return nil
}

// of reports whether the refund must stand in the bill of a day. One whose acceptance lies
// between two days may stand in the bill of either, and is missed if neither has it, of the
// first.
func (r *record) of(d Day) bool {
	switch r.State {
	case Processing, Success, Abnormal:
	default:
		return false
	}
	from, to, ok := r.accepted()
	return ok && from == d && to <= d.Add(1)
}

// accepted is between which days the upstream has accepted the refund: the day that it
// tells or, where it tells none, from the claim to what first said so. ok is false if that
// cannot be told.
func (r *record) accepted() (from, to Day, ok bool) {
	if at, err := time.Parse(time.RFC3339, r.Refund.CreateTime); err == nil {
		return DayOf(at), DayOf(at), true
	}
	if r.External {
		return "", "", false
	}
	i := slices.IndexFunc(r.History, func(e HistoryEntry) bool {
		return slices.Contains([]State{Processing, Success, Abnormal, Closed}, State(e.What))
	})
	if i < 0 || r.History[i].At.Before(r.ClaimedAt) {
		return "", "", false
	}
	return DayOf(r.ClaimedAt.Add(-clockSkew)), DayOf(r.History[i].At.Add(clockSkew)), true
}

// oursBills are the bills in which refunds of ours are looked up: the day's and, for what
// that lacks, the next day's.
//
// Of a row two numbers of 8 bytes are kept: of a day of 1,000,000 refunds 16 MB, and as much
// for the next, however long the rows are. Two of 64 bits that are the same by chance, among
// as many, are one in ten million such days.
type oursBills struct {
	seed      maphash.Seed
	day, next []uint64 // sorted; nil: not read yet
}

// hold reports whether a bill has the refund, by either of its numbers: whether the rest
// agrees, its row has told.
func (b *oursBills) hold(ctx context.Context, d *billReading, refundID, no string) (bool, error) {
	if b.day == nil {
		b.seed = maphash.MakeSeed()
		numbers, err := b.numbers(ctx, d, d.bill)
		if err != nil {
			return false, err
		}
		b.day = numbers
	}
	if b.has(b.day, refundID, no) || !d.settled() {
		return b.has(b.day, refundID, no), nil
	}
	if b.next == nil {
		numbers, err := b.fetchNext(ctx, d)
		if err != nil {
			return false, err
		}
		b.next = numbers
	}
	return b.has(b.next, refundID, no), nil
}

// fetchNext reads the next day's bill. One that cannot be had says nothing, and is waited
// for only for some days.
func (b *oursBills) fetchNext(ctx context.Context, d *billReading) ([]uint64, error) {
	if err := d.note(ctx, d.fetchLease()); err != nil {
		return nil, err
	}
	bill, err := d.fetch(ctx, BillQuery{Day: d.day.Add(1), Kind: TradeBill})
	switch e := AsError(err); {
	case err == nil:
		defer bill.close()
		d.body.Pass.Looked = true
		return b.numbers(ctx, d, bill)
	case ctx.Err() != nil || !d.inTime(ctx):
		return nil, errNotYet
	case (e.Code == CodeUnavailable || e.Code == CodeLimited) && !errors.Is(err, ErrBillUnreadable) && d.patient():
	default:
		d.body.Pass.Looked = true // it will not come
	}
	d.logUnread(ctx, d.day.Add(1), err)
	return []uint64{}, nil
}

func (b *oursBills) numbers(ctx context.Context, d *billReading, bill *Bill) ([]uint64, error) {
	numbers := []uint64{}
	if bill.Empty || bill.Refunds == nil {
		return numbers, nil
	}
	n := 0
	for row, err := range bill.Refunds {
		if err != nil {
			return nil, unavailable("the bill that was fetched cannot be read any more", err)
		}
		if n++; n%1000 == 0 && !d.inTime(ctx) {
			return nil, errNotYet
		}
		if row.anothers(d.Merchant) {
			continue
		}
		numbers = append(numbers, b.sum("refund_id", row.RefundID), b.sum("out_refund_no", row.OutRefundNo))
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (b *oursBills) sum(kind, number string) uint64 {
	return maphash.String(b.seed, kind+" "+number)
}

func (b *oursBills) has(numbers []uint64, refundID, no string) bool {
	_, byID := slices.BinarySearch(numbers, b.sum("refund_id", refundID))
	_, byNo := slices.BinarySearch(numbers, b.sum("out_refund_no", no))
	return byID && refundID != "" || byNo
}
