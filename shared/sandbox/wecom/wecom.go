// Package wecom is the door of WeCom, whose 对外收款 makes and finds refunds (WeCom
// document 97333, https://developer.work.weixin.qq.com/document/path/97333).
package wecom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// An endpoint is one of WeCom's. All but the first demand the token that the
// first gives out.
type endpoint struct {
	path   string
	method string
	open   bool   // demands no token
	on     string // what faults call it
	bill   bool   // has faults of its own
	handle func(*Door, *door.Exchange) door.Reply
}

var endpoints = []endpoint{
	{path: "/cgi-bin/gettoken", method: http.MethodGet, open: true, handle: (*Door).getToken},
	{path: "/cgi-bin/miniapppay/refund", method: http.MethodPost, on: world.OnApply, handle: (*Door).refund},
	{path: "/cgi-bin/miniapppay/get_refund_detail", method: http.MethodPost, on: world.OnQuery, handle: (*Door).refundDetail},
	{path: "/cgi-bin/miniapppay/get_order", method: http.MethodPost, on: world.OnOrder, handle: (*Door).getOrder},
	{path: "/cgi-bin/miniapppay/get_bill", method: http.MethodPost, bill: true, handle: (*Door).getBill},
}

const tokenLife = 2 * time.Hour

// A token lets an app call WeCom, for a while.
type token struct {
	text    string
	expires time.Time
}

// A Door plays WeCom.
type Door struct {
	world *world.World
	bills *bill.Offers

	mu     sync.Mutex
	tokens []token // the newest first
}

// New opens the door to a world; bills are downloaded from WeChat Pay.
func New(w *world.World, bills *bill.Offers) *Door { return &Door{world: w, bills: bills} }

// Routes adds WeCom's paths, and refuses the others below /cgi-bin/.
func (d *Door) Routes(mux *http.ServeMux) {
	for _, e := range endpoints {
		mux.HandleFunc(e.path, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, e) })
	}
	nowhere := func(w http.ResponseWriter, r *http.Request) {
		d.answer(w, door.Open(d.world, r), door.Reply{No: world.Refuse(world.CodeNotFound).Say("no such path").Under(noPath)}, world.UpstreamFault{})
	}
	mux.HandleFunc("/cgi-bin", nowhere)
	mux.HandleFunc("/cgi-bin/", nowhere)
}

// serve checks who asks, carries the request out and answers, all that it knows with 200.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	x := door.Open(d.world, r)
	no := x.Read(w)
	if no == nil && r.Method != e.method {
		no = world.Refuse(world.CodeInvalid).Under(methodRules[e.method])
	}
	if no == nil && !e.open {
		no = d.checkToken(r.URL.Query().Get("access_token"))
		x.Check("token", no == nil, "access_token")
	}
	switch {
	case no != nil:
		d.answer(w, x, door.Reply{No: no}, world.UpstreamFault{})
	case e.open || e.bill:
		d.answer(w, x, e.handle(d, x), world.UpstreamFault{})
	default:
		out, fault := door.Carry(d.world, system, e.on, func() door.Reply { return e.handle(d, x) })
		d.answer(w, x, out, fault)
	}
}

// answer writes an answer: the object with errcode and errmsg among its
// fields.
func (d *Door) answer(w http.ResponseWriter, x *door.Exchange, out door.Reply, fault world.UpstreamFault) {
	if !door.Suffer(d.world, w, x.Request, fault) {
		return
	}
	status, fields := http.StatusOK, map[string]any{}
	code, words := 0, "ok"
	if out.No != nil {
		code, words = translate(out.No)
		x.Record.Refuse(strconv.Itoa(code))
		words = fmt.Sprintf("%s, hint: [%s], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e=%d",
			words, x.ID[:24], code)
		switch {
		case out.Failed(fault):
			status = http.StatusInternalServerError
		case out.No.Rule == noPath:
			status = http.StatusNotFound
		}
	} else if b, err := json.Marshal(out.Object); err != nil || json.Unmarshal(b, &fields) != nil {
		d.world.Log.Error("answer not written", "error", err)
		door.HangUp(w)
		return
	}
	fields["errcode"], fields["errmsg"] = code, words
	door.Wrote(d.world, x.Request, x.ID, status, fault)
	writeJSON(w, status, fields)
}

// getToken gives out the token, the same one while it is valid.
func (d *Door) getToken(x *door.Exchange) door.Reply {
	query := x.Request.URL.Query()
	x.Check("corpid", query.Get("corpid") == d.world.Keys.CorpID, query.Get("corpid"))
	x.Check("corpsecret", query.Get("corpsecret") == d.world.Keys.CorpSecret.Reveal(), "")
	switch {
	case query.Get("corpid") == "":
		return door.Reply{No: world.Refuse(world.CodeParam).Under(noCorpID)}
	case query.Get("corpsecret") == "":
		return door.Reply{No: world.Refuse(world.CodeParam).Under(noSecret)}
	case query.Get("corpid") != d.world.Keys.CorpID:
		return door.Reply{No: world.Refuse(world.CodeParam).Under(badCorpID)}
	case query.Get("corpsecret") != d.world.Keys.CorpSecret.Reveal():
		return door.Reply{No: world.Refuse(world.CodeParam).Under(badSecret)}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.world.Now()
	if len(d.tokens) == 0 || !d.tokens[0].expires.After(now) {
		// The one before is kept, to tell who still uses it that it is too old.
		d.tokens = append([]token{{world.Random(64), now.Add(tokenLife)}}, d.tokens[:min(len(d.tokens), 1)]...)
	}
	t := d.tokens[0]
	return door.Reply{Object: map[string]any{"access_token": t.text, "expires_in": int64((t.expires.Sub(now) + time.Second - 1) / time.Second)}}
}

func (d *Door) checkToken(text string) *world.Refusal {
	if text == "" {
		return world.Refuse(world.CodeSign).Under(noToken)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tokens {
		switch {
		case t.text != text:
		case !t.expires.After(d.world.Now()):
			return world.Refuse(world.CodeSign).Under(oldToken)
		default:
			return nil
		}
	}
	return world.Refuse(world.CodeSign).Under(badToken)
}

// applyForm is the body of miniapppay/refund.
var applyForm = schema.Schema{
	{Path: "/mchid", Required: true, Min: 1, Max: 32},
	{Path: "/appid", Required: true, Min: 1, Max: 32},
	{Path: "/out_trade_no", Required: true, Min: 6, Max: 32},
	{Path: "/out_refund_no", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
	{Path: "/reason", Min: 1, Max: 80},
	{Path: "/funds_account", Min: 1, Max: 32, Enum: []string{"AVAILABLE"}},
	{Path: "/amount", Kind: schema.Object, Required: true},
	{Path: "/amount/refund", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/amount/total", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/amount/currency", Required: true, Min: 1, Max: 18, Enum: []string{"CNY"}},
}

var queryForm = schema.Schema{
	{Path: "/mchid", Required: true, Min: 1, Max: 32},
	{Path: "/out_refund_no", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
}

// read reads a body. What it does not know WeCom ignores.
func read(x *door.Exchange, form schema.Schema, v any) *world.Refusal {
	tree, err := schema.Parse(x.Body)
	node, ok := tree.(map[string]any)
	if err != nil || !ok {
		return world.Refuse(world.CodeParam).Under(badJSON)
	}
	if v := x.CheckBody(form.Check(node)); v != nil {
		return world.Refuse(world.CodeParam).Say("invalid Request Parameter: " + v.English())
	}
	b, err := json.Marshal(form.Known(node))
	if err != nil || json.Unmarshal(b, v) != nil {
		return world.Refuse(world.CodeParam).Under(badJSON)
	}
	return nil
}

// refund is POST /cgi-bin/miniapppay/refund.
func (d *Door) refund(x *door.Exchange) door.Reply {
	return door.Limited(d.world, func() door.Reply {
		var in struct {
			world.Application
			MchID string `json:"mchid"`
			AppID string `json:"appid"`
		}
		no := read(x, applyForm, &in)
		switch {
		case no != nil:
			return door.Reply{No: no}
		case in.MchID != world.MchID:
			return door.Reply{No: world.Refuse(world.CodeNoMerchant)}
		case in.AppID != world.AppID:
			return door.Reply{No: world.Refuse(world.CodeInvalid).Under(world.RuleMismatch)}
		}
		r, no := d.world.Apply(in.Application, world.Caller{})
		return door.Reply{Object: detail{OutRefundNo: r.OutRefundNo, Amount: amount{
			Refund: r.Amount.Refund, PayerRefund: r.Amount.PayerRefund, DiscountRefund: r.Amount.DiscountRefund, Currency: r.Amount.Currency,
		}, PromotionDetail: discounts(r)}, No: no}
	})
}

// A detail is WeCom's answer about a refund: all of APIv3's to a query, and
// little to an application, not even whether it was the first.
type detail struct {
	RefundID            string               `json:"refund_id,omitempty"`
	OutRefundNo         string               `json:"out_refund_no"`
	TransactionID       string               `json:"transaction_id,omitempty"`
	OutTradeNo          string               `json:"out_trade_no,omitempty"`
	Channel             string               `json:"channel,omitempty"`
	UserReceivedAccount string               `json:"user_received_account,omitempty"`
	SuccessTime         string               `json:"success_time,omitempty"`
	CreateTime          string               `json:"create_time,omitempty"`
	Status              string               `json:"status,omitempty"`
	Amount              amount               `json:"amount"`
	PromotionDetail     []world.CouponRefund `json:"promotion_detail,omitempty"`
}

type amount struct {
	Refund           int64  `json:"refund"`
	Total            int64  `json:"total,omitempty"`
	PayerTotal       int64  `json:"payer_total,omitempty"`
	PayerRefund      int64  `json:"payer_refund"`
	SettlementTotal  int64  `json:"settlement_total,omitempty"`
	SettlementRefund int64  `json:"settlement_refund,omitempty"`
	DiscountRefund   int64  `json:"discount_refund"`
	Currency         string `json:"currency"`
}

// discounts are the coupons, which are there when they take something back.
func discounts(r world.Refund) []world.CouponRefund {
	if r.Amount.DiscountRefund == 0 {
		return nil
	}
	return r.PromotionDetail
}

// refundDetail is POST /cgi-bin/miniapppay/get_refund_detail.
func (d *Door) refundDetail(x *door.Exchange) door.Reply {
	if d.world.Exceeded(world.LimitQuery) {
		return door.Reply{No: world.Refuse(world.CodeFrequency)}
	}
	var in struct {
		MchID       string `json:"mchid"`
		OutRefundNo string `json:"out_refund_no"`
	}
	if no := read(x, queryForm, &in); no != nil {
		return door.Reply{No: no}
	}
	if in.MchID != world.MchID {
		return door.Reply{No: world.Refuse(world.CodeNoMerchant)}
	}
	o, ok := d.world.Refund(in.OutRefundNo)
	if !ok || o.SubMchID != "" {
		return door.Reply{No: world.RefuseNoRefund()}
	}
	return door.Reply{Object: detail{
		RefundID: o.RefundID, OutRefundNo: o.OutRefundNo, TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo,
		Channel: o.Channel, UserReceivedAccount: o.UserReceivedAccount, SuccessTime: o.SuccessTime, CreateTime: o.CreateTime, Status: o.Status,
		Amount: amount{
			Refund: o.Amount.Refund, Total: o.Amount.Total, PayerTotal: o.Amount.PayerTotal, PayerRefund: o.Amount.PayerRefund,
			SettlementTotal: o.Amount.SettlementTotal, SettlementRefund: o.Amount.SettlementRefund,
			DiscountRefund: o.Amount.DiscountRefund, Currency: o.Amount.Currency,
		},
		PromotionDetail: discounts(o),
	}}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client may have gone; that is its affair
}
