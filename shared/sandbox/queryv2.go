package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// pageV2 is how many refunds an answer to a query holds. Where the document's
// example shows eleven it contradicts its own text.
const pageV2 = 10

// querySchemaV2 is the body of POST /pay/refundquery.
var querySchemaV2 = schema{
	{path: "/nonce_str", required: true, min: 1, max: 32},
	{path: "/sub_mch_id", max: 32, form: formDigits},
	{path: "/refund_id", max: 32},
	{path: "/out_refund_no", max: 32, form: formNumber},
	{path: "/transaction_id", max: 32},
	{path: "/out_trade_no", max: 32, form: formNumber},
	{path: "/offset", kind: number},
}

// refundQueryV2 asks for one refund, or for those of an order.
func (s *Sandbox) refundQueryV2(d dialect, q asked) (message, *refusal) {
	if s.limits.exceeded(limitQuery) {
		return nil, refuse(codeFrequency)
	}
	if v := d.query.check("", "", q.node); v != nil {
		return nil, refuseV2(v)
	}
	sub := q.text("sub_mch_id")
	if no := checkSubMchID(sub); no != nil {
		return nil, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, refunds, no := s.findRefunds(d, q)
	if no != nil {
		return nil, no
	}
	if o.owned && o.subMchID != sub {
		return nil, refuseNoRefund()
	}
	m := message{}
	_, paged := q.node["offset"]
	if total := int64(len(refunds)); q.byOrder() {
		if paged || total > pageV2 {
			m["total_refund_count"] = total
		}
		offset := q.number("offset")
		if offset > total {
			return nil, refuse(codeParam).say("offset超过退款单总笔数")
		}
		refunds = refunds[offset:min(offset+pageV2, total)]
	}
	o.put(m, d)
	m["refund_count"] = len(refunds)
	for i, r := range refunds {
		suffix := fmt.Sprintf("_%d", i)
		r.put(m, suffix, d, false)
		m["refund_channel"+suffix] = r.channel
		m["refund_status"+suffix] = statusV2[r.status]
		m["refund_account"+suffix] = r.fundsV2()
		m["refund_recv_accout"+suffix] = r.account // so spelt
		if !r.succeeded.IsZero() {
			m["refund_success_time"+suffix] = stampV2(r.succeeded)
		}
	}
	return m, nil
}

// stampV2 writes a time as v2 does, which leaves it to the reader that it is
// China's.
func stampV2(t time.Time) string { return t.In(china).Format(time.DateTime) }

func refuseNoRefund() *refusal {
	return refuse(codeNotFound).say("退款订单查询失败").under(ruleNoRefund)
}

// byOrder tells that a query is for all refunds of an order, and so paged.
func (q asked) byOrder() bool { return q.text("refund_id") == "" && q.text("out_refund_no") == "" }

// findRefunds finds what a query asks for: of its four numbers the most exact one
// counts.
func (s *Sandbox) findRefunds(d dialect, q asked) (*order, []*refund, *refusal) {
	var r *refund
	switch id, number := q.text("refund_id"), q.text("out_refund_no"); {
	case id != "":
		if i := slices.IndexFunc(s.accepted, func(r *refund) bool { return r.id == id }); i >= 0 {
			r = s.accepted[i]
		}
	case number != "":
		r = s.refunds[number]
	default:
		return s.findOrder(d, q.text("transaction_id"), q.text("out_trade_no"))
	}
	if r == nil {
		return nil, nil, refuseNoRefund()
	}
	return r.order, []*refund{r}, nil
}

// findOrder finds an order and its refunds. Of an order that does not exist
// WeChat Pay Global says so, and CloudPay only that there is no refund.
func (s *Sandbox) findOrder(d dialect, transactionID, outTradeNo string) (*order, []*refund, *refusal) {
	o := s.byTransaction[transactionID]
	switch {
	case transactionID != "" && o == nil:
		return nil, nil, refuse(codeNotFound).under(ruleTransaction)
	case transactionID == "" && outTradeNo == "":
		return nil, nil, refuse(codeParam).say("缺少参数:refund_id、out_refund_no、transaction_id、out_trade_no必填一个")
	case transactionID == "":
		o = s.byTrade[outTradeNo]
	}
	if o == nil && d.foreign {
		return nil, nil, refuse(codeNotFound)
	}
	if o == nil || len(o.refunds) == 0 {
		return nil, nil, refuseNoRefund()
	}
	return o, o.refunds, nil
}
