package refund

import (
	"context"
	"time"
)

// A billJudge holds the rows of one day's bill against the ledger.
type billJudge struct {
	s          *Service
	day        Day
	firstClaim time.Time
	file       bool
	report     *BillReport
	by         actor
}

func (j *billJudge) judge(ctx context.Context, rows []BillRow) error {
	for _, row := range rows {
		part := j.report.in(row.Currency)
		if row.anothers(j.s.Merchant) {
			part.Skipped++
			part.Fen.Skipped += row.Amount
			continue
		}
		part.Fen.Bill += row.Amount
		items, err := j.s.Ledger.Get(ctx, refundKey(row.OutRefundNo))
		if err != nil {
			return ledgerError(err)
		}
		var rec record
		_ = decode(items[0], &rec)
		switch held := rec.expected().Amount.Refund; {
		case items[0].Version == 0:
			part.TheirsOnly++
			part.Fen.TheirsOnly += row.Amount
		case held == row.Amount:
			part.Equal++
			part.Fen.Equal += row.Amount
			part.Fen.Ledger += held
		default:
			part.Differs++
			part.Fen.Differs += row.Amount
			part.Fen.Ledger += held
			j.report.find(BillFinding{What: "differs", OutRefundNo: row.OutRefundNo, Line: row.Line, Bill: row.Amount, Ledger: held})
		}
	}
	return nil
}

func (j *billJudge) funds(context.Context, *Bill, func(BillQuery) (*Bill, error)) error { return nil }
