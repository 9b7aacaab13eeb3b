package wxpay

import (
	"bytes"
	"iter"
	"strings"
	"time"
)

// Headings of a bill of an account.
const (
	hBookedAt = "记账时间"
	hBusiness = "微信支付业务单号"
	hFlowID   = "资金流水单号"
	hKind     = "业务类型"
	hWay      = "收支类型"
	hAmount   = "收支金额(元)"
	hBy       = "资金变更提交申请人"
	hRemark   = "备注"
	hVoucher  = "业务凭证号"

	wayIn, wayOut = "收入", "支出"
)

func fundsHeadings() []string {
	return []string{hBookedAt, hBusiness, hFlowID, hKind, hWay, hAmount}
}

// fundsFree are the columns that people write: the reason of a refund.
func fundsFree() []string { return []string{hRemark} }

func fundsSums() []billSum {
	return []billSum{
		{heading: "资金流水总笔数"},
		{heading: "收入笔数", of: wayIn},
		{heading: "收入金额", of: wayIn, columns: []string{hAmount}},
		{heading: "支出笔数", of: wayOut},
		{heading: "支出金额", of: wayOut, columns: []string{hAmount}},
	}
}

// A FundsRow is a row of an account's bill that is about a refund.
type FundsRow struct {
	Line        int64     // of the file, from 1
	At          time.Time // when it was booked
	RefundID    string
	FlowID      string // of the movement
	Closure     bool   // the money came back, since the refund was closed
	Amount      int64  // minor units of CNY, as it was booked
	By          string // who asked for it, as the bill has it; bounded, one line
	Remark      string // bounded, one line
	OutRefundNo string
}

// Movements yields the rows that are about refunds and their closures; all others are
// counted. An error is the last that is yielded.
func (b *Bill) Movements() iter.Seq2[FundsRow, error] { return rowsOf(b, b.movement) }

func (b *Bill) movement() (row FundsRow, want bool, err error) {
	if !b.funds {
		return row, false, nil
	}
	out := b.is(hWay, wayOut)
	if !out && !b.is(hWay, wayIn) {
		return row, false, b.fault(hWay, "is neither "+wayIn+" nor "+wayOut)
	}
	kind := b.values[b.at[hKind]]
	switch {
	case out && string(kind) == "退款":
	case !out && bytes.HasPrefix(kind, []byte("退款")):
		row.Closure = true
	default:
		return row, false, nil
	}
	row.Line = b.line
	if row.RefundID, err = b.text(hBusiness, 64); err != nil {
		return row, false, err
	}
	if row.RefundID == "" {
		return row, false, b.fault(hBusiness, "is missing in a row about a refund")
	}
	if row.FlowID, err = b.text(hFlowID, 64); err != nil {
		return row, false, err
	}
	if row.At, err = b.time(hBookedAt); err != nil {
		return row, false, err
	}
	if row.At.IsZero() {
		return row, false, b.fault(hBookedAt, "is missing in a row about a refund")
	}
	row.By, row.Remark, row.OutRefundNo = b.note(hBy, 64), b.note(hRemark, 200), b.note(hVoucher, 64)
	row.Amount, err = b.money(hAmount, "CNY")
	return row, true, err
}

// is reports whether a column holds this word.
func (b *Bill) is(heading, word string) bool { return string(b.values[b.at[heading]]) == word }

// note is what somebody wrote, in one line and at most max characters.
func (b *Bill) note(heading string, max int) string {
	i, ok := b.at[heading]
	if !ok {
		return ""
	}
	out := make([]rune, 0, 16)
	for _, r := range strings.ToValidUTF8(string(b.values[i]), "\ufffd") {
		if len(out) == max {
			break
		}
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
