package channel

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// byNumbers are the numbers by which most channels can ask about an order. WeChat Pay's
// own is the better one: it is never used again.
func byNumbers() []string { return []string{"transaction_id", "out_trade_no"} }

// Order asks about an order (document 4012791859 and, by the merchant's number, 4013070356;
// a provider names its sub-merchant).
func (c *APIv3) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	by, err := orderBy(l, byNumbers())
	if err != nil {
		return refund.PaidOrder{}, err
	}
	path, query := "/v3/pay/transactions", url.Values{"mchid": {c.Client.Signer.MchID}}
	if c.SubMchID != "" {
		path, query = "/v3/pay/partner/transactions", url.Values{"sp_mchid": {c.Client.Signer.MchID}, "sub_mchid": {c.SubMchID}}
	}
	kind := map[string]string{"transaction_id": "/id/", "out_trade_no": "/out-trade-no/"}[by.name]
	reply, err := c.Client.Do(ctx, http.MethodGet, path+kind+url.PathEscape(by.value)+"?"+query.Encode(), nil)
	if err != nil {
		return refund.PaidOrder{}, aboutOrder(unanswered(err))
	}
	if reply.Status != http.StatusOK {
		return refund.PaidOrder{}, aboutOrder(apiv3Error(reply, apiv3OrderErrors()))
	}
	got, left, err := readOrder(reply.Body)
	if err != nil {
		return refund.PaidOrder{}, orderUnknown("WeChat Pay's answer is no order", err)
	}
	leftOutOf(ctx, c.Log, by, left)
	ours := orderOf{mchID: c.Client.Signer.MchID}
	if c.SubMchID != "" {
		ours = orderOf{spMchID: c.Client.Signer.MchID, subMchID: c.SubMchID}
	}
	if got.of != ours { // APIv3 always says it
		return refund.PaidOrder{}, orderUnknown("WeChat Pay's answer is about another merchant", nil)
	}
	return checkedOrder(got.PaidOrder, by)
}

// A number is one by which an upstream is asked about an order.
type number struct{ name, value string }

// orderBy is the first of the named numbers that a lookup has.
func orderBy(l refund.Lookup, names []string) (number, error) {
	for _, name := range names {
		n := number{name, l.TransactionID}
		if name == "out_trade_no" {
			n.value = l.OutTradeNo
		}
		if n.value != "" {
			return n, nil
		}
	}
	return number{}, refund.Invalid(strings.Join(names, " or ") + " is required")
}

// aboutOrder is an error of a question about an order: no refund is in doubt, and no
// number of a refund is taken.
func aboutOrder(err error) error {
	e, ok := errors.AsType[*refund.Error](err)
	if !ok {
		return err
	}
	about := *e
	about.MaybeNumberTaken, about.NotEnough = false, false
	about.Message = strings.Replace(e.Message, outcomeOpen, orderOpen, 1)
	return &about
}

// orderOpen ends the message of a question that was not answered.
const orderOpen = "; nothing is known of the order, so ask again"

func orderUnknown(message string, cause error) error { return aboutOrder(unknown(message, cause)) }

// apiv3OrderErrors is the error table of APIv3's questions about orders: that of its
// other calls, and two more names for an order that there is not.
func apiv3OrderErrors() map[string]meaning {
	m := apiv3Errors()
	for _, code := range []string{"ORDER_NOT_EXIST", "ORDERNOTEXIST"} {
		m[code] = m["RESOURCE_NOT_EXISTS"]
	}
	return m
}

// A v3Order is an order as APIv3, CloudBase's module and WeCom tell it.
type v3Order struct {
	refund.PaidOrder
	of orderOf
}

// orderOf says whose an order is.
type orderOf struct{ mchID, spMchID, subMchID string }

// maxOpenID is how long an openid is at most.
const maxOpenID = 128

// payerNames are the names of the program and of the payer as it knows them: a merchant's
// own, and a service provider's and its sub-merchant's.
func payerNames() [][2]string {
	return [][2]string{{"appid", "openid"}, {"sp_appid", "sp_openid"}, {"sub_appid", "sub_openid"}}
}

// readOrder reads an order. Numbers, merchant, status and amount decide whether it can be
// read; a payer of whom anything cannot be read is none.
func readOrder(b []byte) (got v3Order, left []string, err error) {
	var r reader
	o := object{}
	if json.Unmarshal(b, &o.fields) != nil || o.fields == nil {
		return v3Order{}, nil, errors.New("channel: an order is a JSON object")
	}
	got = v3Order{
		PaidOrder: refund.PaidOrder{
			TransactionID: r.text(o, "transaction_id"), OutTradeNo: r.text(o, "out_trade_no"),
			Status: refund.OrderStatus(r.text(o, "trade_state")),
		},
		of: orderOf{r.text(o, "mchid"), r.text(o, "sp_mchid"), r.text(o, "sub_mchid")},
	}
	if a, ok := r.inner(o, "amount"); ok {
		got.Total, got.Currency = r.sum(a, "total"), r.text(a, "currency")
		if a.fields["total"] != nil && got.Total == 0 && paid(got.Status) && r.err == nil {
			r.err = errors.New("channel: amount.total is nothing")
		}
	}
	if at := r.time(o, "success_time"); at != "" {
		got.PaidAt, _ = time.Parse(time.RFC3339, at)
	}
	payer := object{path: "payer."}
	r.may(o, "payer", &payer.fields)
	for _, names := range payerNames() {
		before := len(r.left)
		p := refund.Payer{AppID: r.note(o, names[0]), OpenID: r.note(payer, names[1])}
		if len(p.OpenID) > maxOpenID {
			r.left = append(r.left, payer.path+names[1])
		}
		if p.OpenID != "" && len(r.left) == before {
			got.Payers = append(got.Payers, p)
		}
	}
	for _, p := range list(&r, o, "promotion_detail", (*reader).coupon) {
		got.SingleItem = got.SingleItem || p
	}
	if r.err != nil {
		return v3Order{}, nil, r.err
	}
	return got, r.left, nil
}

// coupon tells whether a coupon is one of single articles.
func (r *reader) coupon(o object) (single, ok bool) {
	var goods []json.RawMessage
	scope := r.note(o, "scope")
	ok = r.may(o, "goods_detail", &goods)
	return scope == "SINGLE" && len(goods) > 0, ok
}

// maxFen bounds an amount, as the bounds of requests do.
const maxFen = 1<<53 - 1

// checkedOrder holds what an upstream says of an order against what it was asked, and
// against what can be.
func checkedOrder(o refund.PaidOrder, by number) (refund.PaidOrder, error) {
	told := o.TransactionID
	if by.name == "out_trade_no" {
		told = o.OutTradeNo
	}
	switch {
	case told != by.value:
		return refund.PaidOrder{}, orderUnknown("WeChat Pay's answer is about another order", nil)
	case !slices.Contains(orderStates(), o.Status):
		return refund.PaidOrder{}, orderUnknown("WeChat Pay's answer does not tell how the order stands", nil)
	case o.Total > maxFen:
		return refund.PaidOrder{}, orderUnknown("WeChat Pay's answer has no amount that can be", nil)
	}
	return o, nil
}

// paid reports whether the payer's money has come.
func paid(s refund.OrderStatus) bool { return s == refund.OrderPaid || s == refund.OrderRefunded }

func orderStates() []refund.OrderStatus {
	return []refund.OrderStatus{
		refund.OrderPaid, refund.OrderRefunded, refund.OrderUnpaid, refund.OrderClosed, refund.OrderRevoked,
		refund.OrderPaying, refund.OrderPayFailed, refund.OrderAccepted,
	}
}
