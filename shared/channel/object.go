package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"wxrefund/shared/refund"
	"wxrefund/shared/strictjson"
	"wxrefund/shared/wxpay"
)

// readRefund reads a refund object of APIv3, which CloudBase's module and WeCom
// have as well.
//
// Only number, order, status and amount (what is refunded, of which total, in
// which currency) decide whether it can be read: an error names the first of them
// that cannot. What is odd of anything else is left out, and left names it: WeChat
// Pay changes and adds fields at any time, and an accepted refund must not become
// an unknown one for the sake of a receiver's name.
func readRefund(b []byte) (got refund.Refund, left []string, err error) {
	var r reader
	o := object{}
	if json.Unmarshal(b, &o.fields) != nil || o.fields == nil {
		return refund.Refund{}, nil, errors.New("channel: a refund object is a JSON object")
	}
	got = refund.Refund{
		OutRefundNo: r.text(o, "out_refund_no"), TransactionID: r.text(o, "transaction_id"), OutTradeNo: r.text(o, "out_trade_no"),
		Status:   refund.Status(r.text(o, "status")),
		RefundID: r.note(o, "refund_id"), Channel: r.note(o, "channel"), UserReceivedAccount: r.note(o, "user_received_account"),
		SuccessTime: r.time(o, "success_time"), CreateTime: r.time(o, "create_time"), FundsAccount: r.note(o, "funds_account"),
		PromotionDetail: list(&r, o, "promotion_detail", (*reader).promotion),
	}
	if a, ok := r.inner(o, "amount"); ok {
		got.Amount = refund.Amount{
			Total: r.sum(a, "total"), Refund: r.sum(a, "refund"), Currency: r.text(a, "currency"), PayerCurrency: r.note(a, "payer_currency"),
			PayerTotal: r.optional(a, "payer_total"), PayerRefund: r.optional(a, "payer_refund"),
			SettlementRefund: r.optional(a, "settlement_refund"), SettlementTotal: r.optional(a, "settlement_total"),
			DiscountRefund: r.optional(a, "discount_refund"), RefundFee: r.optional(a, "refund_fee"),
		}
		// Its parts make a sum, so that it is told whole or not at all.
		before := len(r.left)
		if got.Amount.From = list(&r, a, "from", (*reader).from); len(r.left) > before {
			got.Amount.From = nil
		}
	}
	if r.err != nil {
		return refund.Refund{}, nil, r.err
	}
	return got, r.left, nil
}

// A reader reads a refund object's fields, each by itself.
type reader struct {
	err  error    // of the first field that decides and cannot be read
	left []string // the others that cannot be read
}

// An object is one that a refund object is made of, and where it stands in it.
type object struct {
	path   string
	fields map[string]json.RawMessage
}

// decides reads a field that decides. null counts as absent.
func (r *reader) decides(o object, name string, dst any) {
	if raw, ok := o.fields[name]; ok && json.Unmarshal(raw, dst) != nil && r.err == nil {
		r.err = fmt.Errorf("channel: %s cannot be read", o.path+name) // not why, which quotes it
	}
}

func (r *reader) text(o object, name string) (s string) {
	r.decides(o, name, &s)
	return s
}

// sum is an amount of money that decides; 0 if it is not told.
func (r *reader) sum(o object, name string) (n int64) {
	if r.decides(o, name, &n); n < 0 && r.err == nil {
		r.err = fmt.Errorf("channel: %s is below zero", o.path+name)
	}
	return n
}

// inner is an object within another; not ok if there is none. It decides.
func (r *reader) inner(o object, name string) (in object, ok bool) {
	in.path = o.path + name + "."
	r.decides(o, name, &in.fields)
	return in, in.fields != nil
}

// may reads a field that decides nothing, and reports whether it could.
func (r *reader) may(o object, name string, dst any) bool {
	raw, ok := o.fields[name]
	if ok && json.Unmarshal(raw, dst) != nil {
		r.left = append(r.left, o.path+name)
		return false
	}
	return true
}

func (r *reader) note(o object, name string) string {
	var s string
	if !r.may(o, name, &s) {
		return ""
	}
	return s
}

// optional tells "zero" from "not said".
func (r *reader) optional(o object, name string) *int64 {
	var n *int64
	switch {
	case !r.may(o, name, &n):
		return nil
	case n != nil && *n < 0:
		r.left = append(r.left, o.path+name)
		return nil
	}
	return n
}

func (r *reader) time(o object, name string) string {
	written := r.note(o, name)
	at, ok := wxpay.RFC3339(written)
	if !ok && written != "" {
		r.left = append(r.left, o.path+name)
	}
	return at
}

// list reads the elements of a list one by one, and leaves out those of which
// something cannot be read without which they say nothing. One of which nothing
// can be read is as good as not told.
func list[T any](r *reader, o object, name string, read func(*reader, object) (T, bool)) []T {
	var raws []json.RawMessage
	if !r.may(o, name, &raws) || raws == nil {
		return nil
	}
	all := make([]T, 0, len(raws))
	for i, raw := range raws {
		in := object{path: o.path + name + "[" + strconv.Itoa(i) + "]."}
		if json.Unmarshal(raw, &in.fields) != nil || in.fields == nil {
			r.left = append(r.left, o.path+name+"["+strconv.Itoa(i)+"]")
		} else if one, ok := read(r, in); ok {
			all = append(all, one)
		}
	}
	if len(all) == 0 && len(raws) > 0 {
		return nil
	}
	return all
}

func (r *reader) promotion(o object) (refund.Promotion, bool) {
	var p refund.Promotion
	id, fee := r.may(o, "promotion_id", &p.PromotionID), r.may(o, "refund_amount", &p.RefundAmount)
	if !id || !fee {
		return p, false
	}
	p.Scope, p.Type, p.Amount = r.note(o, "scope"), r.note(o, "type"), r.optional(o, "amount")
	p.GoodsDetail = list(r, o, "goods_detail", (*reader).goods)
	return p, true
}

func (r *reader) goods(o object) (g refund.Goods, ok bool) {
	ok = true
	for name, dst := range map[string]any{
		"merchant_goods_id": &g.MerchantGoodsID, "unit_price": &g.UnitPrice, "refund_amount": &g.RefundAmount, "refund_quantity": &g.RefundQuantity,
	} {
		ok = r.may(o, name, dst) && ok
	}
	g.WechatpayGoodsID, g.GoodsName = r.note(o, "wechatpay_goods_id"), r.note(o, "goods_name")
	return g, ok
}

func (r *reader) from(o object) (f refund.From, ok bool) {
	account, amount := r.may(o, "account", &f.Account), r.may(o, "amount", &f.Amount)
	return f, account && amount
}

// leftOut tells the log which fields of an answer could not be read, by name: a
// value may be somebody's.
func leftOut(ctx context.Context, log *slog.Logger, outRefundNo string, names []string) {
	leftOutOf(ctx, log, number{"out_refund_no", outRefundNo}, names)
}

// leftOutOf is the same of an order.
func leftOutOf(ctx context.Context, log *slog.Logger, about number, names []string) {
	if log != nil && len(names) > 0 {
		log.WarnContext(ctx, "left out", about.name, about.value, "fields", names)
	}
}

// decodeJSON reads one JSON value and nothing behind it, with its numbers as they
// are written and its names in snake case. What stands there in both spellings
// must tell the same in both, else it is no value of its own: see [wxpay.SnakeNames].
func decodeJSON(b []byte) (any, error) {
	v, err := strictjson.Parse(b, strictjson.Options{KeepLast: true, Mend: true})
	if err != nil {
		return nil, err
	}
	return wxpay.SnakeNames(v), nil
}
