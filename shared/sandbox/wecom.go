package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// An endpointWeCom is one of WeCom's. All but the first demand the token that the
// first gives out.
type endpointWeCom struct {
	path   string
	method string
	open   bool // demands no token
	query  bool
	handle func(*Sandbox, *exchange) reply
}

var endpointsWeCom = []endpointWeCom{
	{path: "/cgi-bin/gettoken", method: http.MethodGet, open: true, handle: (*Sandbox).getToken},
	{path: "/cgi-bin/miniapppay/refund", method: http.MethodPost, handle: (*Sandbox).refundWeCom},
	{path: "/cgi-bin/miniapppay/get_refund_detail", method: http.MethodPost, query: true, handle: (*Sandbox).refundDetail},
}

const (
	tokenLife = 2 * time.Hour

	// paceWeCom is how long after a refund the next one of the same order may be
	// applied for. Here it is documented as a limit, elsewhere as a rule.
	paceWeCom = time.Minute
)

// A token lets an app call WeCom, for a while.
type token struct {
	text    string
	expires time.Time
}

// serveWeCom is [Sandbox.serve] for WeCom, which answers everything with 200.
func (s *Sandbox) serveWeCom(w http.ResponseWriter, r *http.Request, e endpointWeCom) {
	x := s.open(r)
	no := x.read(w)
	if no == nil && r.Method != e.method {
		no = refuse(codeInvalid).say("require " + e.method + " method").under(rulePost)
	}
	if no == nil && !e.open {
		no = s.checkToken(r.URL.Query().Get("access_token"))
	}
	switch {
	case no != nil:
		s.answerWeCom(w, x, reply{no: no}, upstreamFault{})
	case e.open:
		s.answerWeCom(w, x, e.handle(s, x), upstreamFault{})
	default:
		out, fault := s.befall(systemWeCom, e.query, func() reply { return e.handle(s, x) })
		s.answerWeCom(w, x, out, fault)
	}
}

// answerWeCom writes an answer: the object with errcode and errmsg among its
// fields.
func (s *Sandbox) answerWeCom(w http.ResponseWriter, x *exchange, out reply, fault upstreamFault) {
	if !s.suffer(w, x.request, fault) {
		return
	}
	status, fields := http.StatusOK, map[string]any{}
	code, words := 0, "ok"
	if out.no != nil {
		code, words = out.no.weCom()
		words = fmt.Sprintf("%s, hint: [%s], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e=%d",
			words, x.id[:24], code)
		if failed(out, fault) {
			status = http.StatusInternalServerError
		}
	} else if b, err := json.Marshal(out.object); err != nil || json.Unmarshal(b, &fields) != nil {
		s.log.Error("answer not written", "error", err)
		hangUp(w)
		return
	}
	fields["errcode"], fields["errmsg"] = code, words
	s.wrote(x.request, status, fault)
	writeJSON(w, status, fields)
}

// getToken gives out the token, the same one while it is valid.
func (s *Sandbox) getToken(x *exchange) reply {
	query := x.request.URL.Query()
	switch {
	case query.Get("corpid") == "":
		return reply{no: refuse(codeParam).under(wecomNoCorpID)}
	case query.Get("corpsecret") == "":
		return reply{no: refuse(codeParam).under(wecomNoSecret)}
	case query.Get("corpid") != s.keys.corpID:
		return reply{no: refuse(codeParam).under(wecomBadCorpID)}
	case query.Get("corpsecret") != s.keys.corpSecret.Reveal():
		return reply{no: refuse(codeParam).under(wecomBadSecret)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	if len(s.tokens) == 0 || !s.tokens[0].expires.After(now) {
		// The one before is kept, to tell who still uses it that it is too old.
		s.tokens = append([]token{{random(64, alphanumeric), now.Add(tokenLife)}}, s.tokens[:min(len(s.tokens), 1)]...)
	}
	t := s.tokens[0]
	return reply{object: map[string]any{"access_token": t.text, "expires_in": int64((t.expires.Sub(now) + time.Second - 1) / time.Second)}}
}

func (s *Sandbox) checkToken(text string) *refusal {
	if text == "" {
		return refuse(codeSign).under(wecomNoToken)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		switch {
		case t.text != text:
		case !t.expires.After(s.clock.now()):
			return refuse(codeSign).under(wecomOldToken)
		default:
			return nil
		}
	}
	return refuse(codeSign).under(wecomBadToken)
}

// applySchemaWeCom is the body of miniapppay/refund.
var applySchemaWeCom = schema{
	{path: "/mchid", required: true, min: 1, max: 32},
	{path: "/appid", required: true, min: 1, max: 32},
	{path: "/out_trade_no", required: true, min: 6, max: 32},
	{path: "/out_refund_no", required: true, min: 1, max: 64, form: formNumber},
	{path: "/reason", min: 1, max: 80},
	{path: "/funds_account", min: 1, max: 32, enum: []string{"AVAILABLE"}},
	{path: "/amount", kind: object, required: true},
	{path: "/amount/refund", kind: number, required: true, min: 1},
	{path: "/amount/total", kind: number, required: true, min: 1},
	{path: "/amount/currency", required: true, min: 1, max: 18, enum: []string{"CNY"}},
}

var querySchemaWeCom = schema{
	{path: "/mchid", required: true, min: 1, max: 32},
	{path: "/out_refund_no", required: true, min: 1, max: 64, form: formNumber},
}

// readWeCom reads a body. What it does not know WeCom ignores.
func (x *exchange) readWeCom(form schema, v any) *refusal {
	tree, err := parse(x.body)
	node, ok := tree.(map[string]any)
	if err != nil || !ok {
		return refuse(codeParam).under(wecomBadJSON)
	}
	if v := form.check("", "", node); v != nil {
		return refuse(codeParam).say("invalid Request Parameter: " + v.render(v.issue.english))
	}
	known := map[string]any{}
	for _, r := range form.members("") {
		known[r.path[1:]] = node[r.path[1:]]
	}
	b, err := json.Marshal(known)
	if err != nil || json.Unmarshal(b, v) != nil {
		return refuse(codeParam).under(wecomBadJSON)
	}
	return nil
}

// refundWeCom is POST /cgi-bin/miniapppay/refund.
func (s *Sandbox) refundWeCom(x *exchange) reply {
	return s.limited(func() reply {
		var in struct {
			application
			MchID string `json:"mchid"`
			AppID string `json:"appid"`
		}
		no := x.readWeCom(applySchemaWeCom, &in)
		switch {
		case no != nil:
			return reply{no: no}
		case in.MchID != mchID:
			return reply{no: refuse(codeNoMerchant)}
		case in.AppID != appID:
			return reply{no: refuse(codeInvalid).under(ruleMismatch)}
		}
		r, no := s.apply(in.application, caller{pace: paceWeCom})
		return reply{object: detailWeCom{OutRefundNo: r.OutRefundNo, Amount: amountWeCom{
			Refund: r.Amount.Refund, PayerRefund: r.Amount.PayerRefund, DiscountRefund: r.Amount.DiscountRefund, Currency: r.Amount.Currency,
		}, PromotionDetail: r.discounts()}, no: no}
	})
}

// A detailWeCom is WeCom's answer about a refund: all of APIv3's to a query, and
// little to an application, not even whether it was the first.
type detailWeCom struct {
	RefundID            string         `json:"refund_id,omitempty"`
	OutRefundNo         string         `json:"out_refund_no"`
	TransactionID       string         `json:"transaction_id,omitempty"`
	OutTradeNo          string         `json:"out_trade_no,omitempty"`
	Channel             string         `json:"channel,omitempty"`
	UserReceivedAccount string         `json:"user_received_account,omitempty"`
	SuccessTime         string         `json:"success_time,omitempty"`
	CreateTime          string         `json:"create_time,omitempty"`
	Status              string         `json:"status,omitempty"`
	Amount              amountWeCom    `json:"amount"`
	PromotionDetail     []couponRefund `json:"promotion_detail,omitempty"`
}

type amountWeCom struct {
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
func (o refundObject) discounts() []couponRefund {
	if o.Amount.DiscountRefund == 0 {
		return nil
	}
	return o.PromotionDetail
}

// refundDetail is POST /cgi-bin/miniapppay/get_refund_detail.
func (s *Sandbox) refundDetail(x *exchange) reply {
	if s.limits.exceeded(limitQuery) {
		return reply{no: refuse(codeFrequency)}
	}
	var in struct {
		MchID       string `json:"mchid"`
		OutRefundNo string `json:"out_refund_no"`
	}
	if no := x.readWeCom(querySchemaWeCom, &in); no != nil {
		return reply{no: no}
	}
	if in.MchID != mchID {
		return reply{no: refuse(codeNoMerchant)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refunds[in.OutRefundNo]
	if r == nil || r.subMchID != "" {
		return reply{no: refuseNoRefund()}
	}
	o := r.object()
	return reply{object: detailWeCom{
		RefundID: o.RefundID, OutRefundNo: o.OutRefundNo, TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo,
		Channel: o.Channel, UserReceivedAccount: o.UserReceivedAccount, SuccessTime: o.SuccessTime, CreateTime: o.CreateTime, Status: o.Status,
		Amount: amountWeCom{
			Refund: o.Amount.Refund, Total: o.Amount.Total, PayerTotal: o.Amount.PayerTotal, PayerRefund: o.Amount.PayerRefund,
			SettlementTotal: o.Amount.SettlementTotal, SettlementRefund: o.Amount.SettlementRefund,
			DiscountRefund: o.Amount.DiscountRefund, Currency: o.Amount.Currency,
		},
		PromotionDetail: o.discounts(),
	}}
}

// weCom says in WeCom's numbers what APIv3's rules have refused.
func (r *refusal) weCom() (int, string) {
	code, ok := rulesToWeCom[r.rule]
	if !ok {
		code, ok = toWeCom[r.code]
	}
	if n, err := strconv.Atoi(r.code); err == nil && !ok { // named by a fault
		code = n
	}
	if r.message != codes[r.code].message {
		return code, r.message
	}
	return code, cmp.Or(codesWeCom[code], "system error")
}
