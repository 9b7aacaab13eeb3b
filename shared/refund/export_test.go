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
