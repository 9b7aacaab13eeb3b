package refund

import (
	"context"
	"time"
)

// JudgeRows holds rows of a day's bill against the ledger, and adds to a report.
func (s *Service) JudgeRows(ctx context.Context, day Day, firstClaim time.Time, file bool, report *BillReport, rows ...BillRow) error {
	j := &billJudge{s: s, day: day, firstClaim: firstClaim, file: file, report: report}
	return j.judge(ctx, rows)
}

// JudgeFunds holds the movements of a day, and of the next one, against its refunds.
func (s *Service) JudgeFunds(ctx context.Context, day Day, report *BillReport, trade *Bill, open func(BillQuery) (*Bill, error)) error {
	j := &billJudge{s: s, day: day, firstClaim: time.Unix(0, 0), report: report}
	for row, err := range trade.Refunds {
		if err == nil {
			err = j.judge(ctx, []BillRow{row})
		}
		if err != nil {
			return err
		}
	}
	return j.funds(ctx, trade, open)
}

// ProveFunds is [Service.JudgeFunds] without the judging of the rows.
func (s *Service) ProveFunds(ctx context.Context, day Day, report *BillReport, trade *Bill, open func(BillQuery) (*Bill, error)) error {
	j := &billJudge{s: s, day: day, report: report}
	return j.funds(ctx, trade, open)
}
