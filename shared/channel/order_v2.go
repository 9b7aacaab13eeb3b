package channel

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"wxrefund/shared/refund"
)

// v2OrderOf asks a v2 system about an order.
func v2OrderOf(ctx context.Context, log *slog.Logger, l refund.Lookup, call func(m map[string]any) (*v2, error)) (refund.PaidOrder, error) {
	by, err := orderBy(l, byNumbers())
	if err != nil {
		return refund.PaidOrder{}, err
	}
	v, err := call(map[string]any{by.name: by.value})
	if err != nil {
		return refund.PaidOrder{}, aboutOrder(err)
	}
	got := v.order()
	leftOutOf(ctx, log, by, v.left)
	if v.err != nil {
		return refund.PaidOrder{}, orderUnknown("WeChat Pay's answer is malformed", v.err)
	}
	return checkedOrder(got, by)
}

// order is what an answer says of an order (CloudPay.queryOrder). What coupons it
// was paid with is not asked: these systems carry no goods.
func (v *v2) order() refund.PaidOrder {
	o := refund.PaidOrder{
		TransactionID: v.text("transaction_id"), OutTradeNo: v.text("out_trade_no"), Status: refund.OrderStatus(v.text("trade_state")),
		Total: v.int("total_fee"), Currency: cmp.Or(v.text("fee_type"), v.currency),
	}
	if v.fields["total_fee"] != "" && o.Total == 0 && paid(o.Status) && v.err == nil {
		v.err = errors.New("channel: total_fee is nothing")
	}
	if at := v.time("time_end"); at != "" { // Beijing's
		o.PaidAt, _ = time.Parse(time.RFC3339, at)
	}
	for _, names := range [][2]string{{"appid", "openid"}, {"sub_appid", "sub_openid"}} {
		app, open := v.note(names[0]), v.note(names[1])
		switch {
		case open == "" || v.odd[names[0]]:
		case len(open) > maxOpenID:
			v.leave(names[1])
		default:
			o.Payers = append(o.Payers, refund.Payer{AppID: app, OpenID: open})
		}
	}
	return o
}
