package v2

import (
	"fmt"
	"time"

	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// pageSize is how many refunds an answer to a query holds. Where the document's
// example shows eleven it contradicts its own text.
const pageSize = 10

// queryForm is the body of POST /pay/refundquery.
var queryForm = schema.Schema{
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/sub_mch_id", Max: 32, Form: schema.FormDigits},
	{Path: "/refund_id", Max: 32},
	{Path: "/out_refund_no", Max: 64, Form: schema.FormNumber},
	{Path: "/transaction_id", Max: 32},
	{Path: "/out_trade_no", Max: 32, Form: schema.FormNumber},
	{Path: "/offset", Kind: schema.Number},
}

// refundQuery asks for one refund, or for those of an order.
func (d *Door) refundQuery(in dialect, q asked) (Message, *world.Refusal) {
	if d.world.Exceeded(world.LimitQuery) {
		return nil, world.Refuse(world.CodeFrequency)
	}
	if v := q.CheckBody(in.forms[world.OnQuery].Check(q.node)); v != nil {
		return nil, refuseForm(v)
	}
	sub := q.text("sub_mch_id")
	if no := world.CheckSubMchID(sub); no != nil {
		return nil, no
	}
	o, refunds, no := d.find(in, q)
	if no != nil {
		return nil, no
	}
	if o.Owned && o.SubMchID != sub {
		return nil, world.RefuseNoRefund()
	}
	m := Message{}
	_, paged := q.node["offset"]
	if total := int64(len(refunds)); q.byOrder() {
		if paged || total > pageSize {
			m["total_refund_count"] = total
		}
		offset := q.number("offset")
		if offset > total {
			return nil, world.Refuse(world.CodeParam).Say("offset超过退款单总笔数")
		}
		refunds = refunds[offset:min(offset+pageSize, total)]
	}
	m.order(o, in)
	m["refund_count"] = len(refunds)
	for i, r := range refunds {
		suffix := fmt.Sprintf("_%d", i)
		m.refund(r, suffix, in, false)
		m["refund_channel"+suffix] = r.Channel
		m["refund_status"+suffix] = statuses[r.Status]
		m["refund_account"+suffix] = funds(r)
		m["refund_recv_accout"+suffix] = r.UserReceivedAccount // so spelt
		if !r.Succeeded.IsZero() {
			m["refund_success_time"+suffix] = stamp(r.Succeeded)
		}
	}
	return m, nil
}

// stamp writes a time as v2 does, which leaves it to the reader that it is
// China's.
func stamp(t time.Time) string { return t.In(world.China).Format(time.DateTime) }

// byOrder tells that a query is for all refunds of an order, and so paged.
func (q asked) byOrder() bool { return q.text("refund_id") == "" && q.text("out_refund_no") == "" }

// find finds what a query asks for, the refunds and their order: of its four numbers
// the most exact one counts. Of an order that does not exist WeChat Pay Global says
// so, and CloudPay only that there is no refund.
func (d *Door) find(in dialect, q asked) (world.Order, []world.Refund, *world.Refusal) {
	switch id, number := q.text("refund_id"), q.text("out_refund_no"); {
	case id != "":
		return one(d.world.RefundByID(id))
	case number != "":
		return one(d.world.Refund(number))
	}
	transactionID, outTradeNo := q.text("transaction_id"), q.text("out_trade_no")
	if transactionID == "" && outTradeNo == "" {
		return world.Order{}, nil, world.Refuse(world.CodeParam).Say("缺少参数:refund_id、out_refund_no、transaction_id、out_trade_no必填一个")
	}
	o, refunds, ok := d.world.Order(transactionID, outTradeNo)
	switch {
	case !ok && transactionID != "":
		return o, nil, world.Refuse(world.CodeNotFound).Under(world.RuleTransaction)
	case !ok && in.foreign:
		return o, nil, world.Refuse(world.CodeNotFound)
	case len(refunds) == 0:
		return o, nil, world.RefuseNoRefund()
	}
	return o, refunds, nil
}

func one(r world.Refund, ok bool) (world.Order, []world.Refund, *world.Refusal) {
	if !ok {
		return world.Order{}, nil, world.RefuseNoRefund()
	}
	return r.Order, []world.Refund{r}, nil
}
