package control

import (
	"iter"
	"math"
	"net/http"
	"slices"
	"strconv"

	"wxrefund/shared/console"
)

// columns are those of the file of refunds. Amounts are in the currency's major unit.
func columns() []console.Column[row] {
	return []console.Column[row]{
		{Name: "at", Of: func(r row) string { return r.At }},
		{Name: "out_refund_no", Of: func(r row) string { return console.Cell(r.OutRefundNo) }},
		{Name: "refund_id", Of: func(r row) string { return console.Cell(r.RefundID) }},
		{Name: "out_trade_no", Of: func(r row) string { return console.Cell(r.OutTradeNo) }},
		{Name: "transaction_id", Of: func(r row) string { return console.Cell(r.TransactionID) }},
		{Name: "currency", Of: func(r row) string { return console.Cell(r.Currency) }},
		{Name: "refund", Of: func(r row) string { return console.Decimal(r.Refund, r.Currency) }},
		{Name: "total", Of: func(r row) string { return console.Decimal(r.Total, r.Currency) }},
		{Name: "status", Of: func(r row) string { return console.Cell(r.Status) }},
		{Name: "in_doubt", Of: func(r row) string { return strconv.FormatBool(r.InDoubt) }},
		{Name: "undelivered", Of: func(r row) string { return strconv.FormatBool(r.Undelivered) }},
		{Name: "owed", Of: func(r row) string { return strconv.FormatBool(r.Owed) }},
		{Name: "by_hand", Of: func(r row) string { return strconv.FormatBool(r.ByHand) }},
		{Name: "ours_state", Of: func(r row) string { return r.Merchant.text(func(o *record) string { return console.Cell(o.State) }) }},
		{Name: "ours_held", Of: func(r row) string { return console.Decimal(r.Merchant.held(), r.Currency) }},
		{Name: "ours_arrived", Of: func(r row) string { return console.Decimal(r.Merchant.arrived(), r.Currency) }},
		{Name: "ours_refusal", Of: func(r row) string { return r.Merchant.text(func(o *record) string { return console.Cell(o.Refusal) }) }},
		{Name: "wechat_state", Of: func(r row) string { return r.WeChat.text(func(o *record) string { return console.Cell(o.State) }) }},
		{Name: "wechat_held", Of: func(r row) string { return console.Decimal(r.WeChat.held(), r.Currency) }},
		{Name: "wechat_arrived", Of: func(r row) string { return console.Decimal(r.WeChat.arrived(), r.Currency) }},
		{Name: "difference_held", Of: func(r row) string { return console.Decimal(r.Held, r.Currency) }},
		{Name: "difference_arrived", Of: func(r row) string { return console.Decimal(r.Arrived, r.Currency) }},
	}
}

// text is nothing where a side has nothing.
func (r *record) text(of func(*record) string) string {
	if r == nil {
		return ""
	}
	return of(r)
}

func (d *Door) viewRefundsCSV(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	filter := refundFilterOf(p)
	if err := p.Bad(); err != nil {
		return nil, err
	}
	found, _ := d.listRefunds(r.Context(), filter, page{limit: math.MaxInt})
	return console.Table[row]{Name: "refunds.csv", Columns: columns(), Rows: certain(found)}, nil
}

// certain are the items of a list, none of which can fail to come.
func certain[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for x := range slices.Values(all) {
			if !yield(x, nil) {
				return
			}
		}
	}
}
