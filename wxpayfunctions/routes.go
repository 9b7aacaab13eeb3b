package wxpayfunctions

import (
	"context"
	"fmt"
	"slices"

	"wxrefund/shared/refund"
)

// A route is one value of type and what answers it.
type route struct {
	name   string
	buyers bool // whether any user of the mini-program may ask: whose the order is decides
	answer func(h *Handler, ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error)
}

// routes is the whole dispatch table: a new type is a new row.
func routes() []route {
	const buyers = true
	return []route{
		{refundType, !buyers, (*Handler).refund},
		{"wxpay_refund_query", buyers, (*Handler).query},
		{"wxpay_refund_apply", buyers, (*Handler).apply},
		{"wxpay_refund_approve", !buyers, (*Handler).approve},
		{"wxpay_refund_reject", !buyers, (*Handler).reject},
		{"wxpay_refund_withdraw", buyers, (*Handler).withdraw},
		{"wxpay_refund_list", buyers, (*Handler).list},
		{abnormalType, !buyers, (*Handler).abnormal},
	}
}

const refundType = "wxpay_refund"

// mayBeABuyer reports whether the platform attests who the caller is, as a person.
func mayBeABuyer(c refund.Caller) bool { return c.Kind == refund.User && c.OpenID != "" }

// forBuyers reports whether an event can be read and is of a type that a buyer may ask for.
// What it is otherwise nobody is told who may not: the reply is the same to anything.
func forBuyers(event []byte) bool {
	o, err := readObject(event)
	if err != nil {
		return false
	}
	row, err := newDecoder().route(o)
	return err == nil && row.buyers
}

// route finds what answers an event.
func (d *decoder) route(o object) (route, error) {
	name := d.eventType(o)
	if d.wrong["type"] {
		return route{}, d.err()
	}
	var names []string
	for _, row := range routes() {
		if row.name == name {
			return row, nil
		}
		names = append(names, row.name)
	}
	served := oneOf(names)
	if slices.Contains(templateTypes(), name) {
		d.report("type", fmt.Sprintf("type must be %s, since this function does refunds only: for %s see %q in its README", served, name, migration))
	} else {
		d.report("type", "type must be "+served)
	}
	return route{}, d.err()
}

// migration is the section of README for whoever comes from CloudBase's payment template.
const migration = "Migrating from the JavaScript template"

// templateTypes are what the function of CloudBase's payment template answers and
// ours does not: those of the template itself, then those of its successor, the
// integration centre's pay-common.
func templateTypes() []string {
	return []string{
		"wxpay_order", "wxpay_query_order_by_out_trade_no", "wxpay_query_order_by_transaction_id",
		"wxpay_order_h5", "wxpay_order_native", "wxpay_order_app", "wxpay_close_order",
		"wxpay_transfer", "wxpay_transfer_bill_query", "wxpay_transfer_bill_query_by_no",
		"unifiedOrderTrigger", "refundTrigger", "transferTrigger",
	}
}
