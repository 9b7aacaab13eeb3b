// Package v2 is the door of what speaks WeChat Pay's v2: WeChat Pay Global in XML
// ("WeChat Pay Global, Submit Refund"), and CloudPay in JSON behind CloudBase's gateway
// ("CloudPay.refund", "CloudPay.queryRefund"). The documents:
//
//   - https://pay.weixin.qq.com/wiki/doc/api/wxpay/en/pay/MiniProgramPay/chapter8_4.shtml
//   - https://developers.weixin.qq.com/minigame/dev/wxcloud/reference-sdk-api/open/pay/CloudPay.refund.html
//   - https://developers.weixin.qq.com/miniprogram/dev/wxcloudservice/wxcloud/reference-sdk-api/open/pay/CloudPay.queryRefund.html
package v2

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// An endpoint is one of WeChat Pay's v2, which is XML: here as WeChat Pay Global
// has it.
type endpoint struct {
	path   string
	on     string // what faults call it
	secure bool   // demands the merchant's client certificate
	handle func(*Door, dialect, asked) (Message, *world.Refusal)

	// Of a bill: what writes the answer instead, which is a file, and the body's form.
	bill func(*Door, http.ResponseWriter, asked, wxpay.Fields)
	form schema.Schema
}

// system is WeChat Pay Global as faults see it.
var system = world.System{Codes: slices.Concat(world.Answerable, answerable), Signed: true}

var endpoints = []endpoint{
	{path: "/secapi/pay/refund", on: world.OnApply, secure: true, handle: (*Door).refund},
	{path: "/pay/refundquery", on: world.OnQuery, handle: (*Door).refundQuery},
	{path: "/pay/orderquery", on: world.OnOrder, handle: (*Door).orderQuery},
	{path: "/pay/downloadbill", bill: (*Door).downloadBill, form: billForm},
	{path: "/pay/downloadfundflow", secure: true, bill: (*Door).downloadFundFlow, form: fundsForm},
}

// A dialect is where the two systems differ that speak v2.
type dialect struct {
	world.System
	forms        map[string]schema.Schema // by what faults call a request
	sub          bool                     // the mini-program is the sub-merchant's
	foreign      bool                     // orders may be in any currency, so all are named
	lists        bool                     // an answer's coupons may come as lists
	notification string                   // what tells how refunds end
}

var globalForms = map[string]schema.Schema{world.OnApply: applyForm, world.OnQuery: queryForm, world.OnOrder: orderForm}

var global = dialect{System: system, forms: globalForms, foreign: true, notification: world.NotificationV2}

// asked is a request of v2, whatever it was written in.
type asked struct {
	*door.Exchange
	node         map[string]any // as a schema reads it
	notification string         // the kind of notifications that are wanted
}

// text returns a field that the schema has found to be text, or to be absent.
func (q asked) text(name string) string { s, _ := q.node[name].(string); return s }

// number is the same for integers.
func (q asked) number(name string) int64 {
	literal, _ := q.node[name].(interface{ Int64() (int64, error) })
	if literal == nil {
		return 0
	}
	n, _ := literal.Int64() // the schema has read it
	return n
}

// A Message is an answer of v2: of texts, of integers and, at CloudBase, of lists.
type Message map[string]any

// fields are what of it can be signed and written as XML.
func (m Message) fields() wxpay.Fields {
	out := wxpay.Fields{}
	for name, value := range m {
		switch value := value.(type) {
		case string:
			out[name] = value
		case int:
			out[name] = strconv.Itoa(value)
		case int64:
			out[name] = strconv.FormatInt(value, 10)
		}
	}
	return out
}

// Who may be asked for by v2's names for it.
var merchantNames = []string{"appid", "mch_id", "sub_appid", "sub_mch_id"}

// A Door plays what speaks v2.
type Door struct{ world *world.World }

// New opens the door to a world.
func New(w *world.World) *Door { return &Door{w} }

// Routes adds WeChat Pay Global's paths. Of those that nobody has, the ones below
// /secapi/ demand a certificate all the same: the web server does not know them apart.
func (d *Door) Routes(mux *http.ServeMux) {
	for _, e := range endpoints {
		mux.HandleFunc(e.path, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, e) })
	}
	for root, secure := range map[string]bool{"/pay": false, "/secapi": true} {
		nowhere := func(w http.ResponseWriter, r *http.Request) {
			x := door.Open(d.world, r)
			if !secure || door.Certificate(d.world, w, x) {
				d.write(w, x, http.StatusNotFound, transport("请求的接口不存在"), world.UpstreamFault{})
			}
		}
		mux.HandleFunc(root, nowhere)
		mux.HandleFunc(root+"/", nowhere)
	}
}

// serve checks who asks, carries the request out and answers.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	x := door.Open(d.world, r)
	if e.secure && !door.Certificate(d.world, w, x) {
		return
	}
	if no := x.Read(w); no != nil {
		d.write(w, x, http.StatusOK, transport("请求报文过大或不完整"), world.UpstreamFault{})
		return
	}
	if r.Method != http.MethodPost {
		d.answer(w, x, wxpay.Fields{}, door.Reply{No: world.Refuse(world.CodeParam).Say("请使用post方法").Under(world.RulePost)}, world.UpstreamFault{})
		return
	}
	f, err := wxpay.ParseFields(x.Body, "xml")
	if !x.Check("xml", err == nil, "the form of the body") {
		d.write(w, x, http.StatusOK, transport("XML格式错误"), world.UpstreamFault{})
		return
	}
	no := checkNames(f)
	x.Check("merchant", no == nil, f["mch_id"]+" with "+f["appid"])
	if no == nil && !x.Check("signature", d.world.Keys.API.VerifyRequest(f, signType(f)) == nil, string(signType(f))+" by the API key") {
		d.write(w, x, http.StatusOK, transport("签名错误"), world.UpstreamFault{})
		return
	}
	if no != nil {
		d.answer(w, x, f, door.Reply{No: no}, world.UpstreamFault{})
		return
	}
	if e.bill != nil {
		e.bill(d, w, asked{Exchange: x, node: tree(e.form, f)}, f)
		return
	}
	out, fault := door.Carry(d.world, global.System, e.on, func() door.Reply {
		m, no := e.handle(d, global, asked{x, tree(global.forms[e.on], f), global.notification})
		return door.Reply{Object: m, No: no}
	})
	d.answer(w, x, f, out, fault)
}

// checkNames checks who asks.
func checkNames(f wxpay.Fields) *world.Refusal {
	switch {
	case f["mch_id"] != world.MchID:
		return world.Refuse(world.CodeNoMerchant)
	case f["appid"] == world.SubAppID:
		return world.Refuse(world.CodeInvalid).Say("appid和mch_id不匹配").Under(world.RuleMismatch)
	case f["appid"] != world.AppID, f["sub_appid"] != "" && f["sub_appid"] != world.SubAppID:
		return world.Refuse(world.CodeNotFound).Say("APPID不存在").Under(world.RuleAppID)
	case f["sub_appid"] != "" && f["sub_mch_id"] == "":
		return world.Refuse(world.CodeParam).Say("缺少参数sub_mch_id")
	}
	return nil
}

// signType is the one that a request names; none means MD5.
func signType(f wxpay.Fields) wxpay.SignType {
	if t := f["sign_type"]; t != "" {
		return wxpay.SignType(t)
	}
	return wxpay.SignMD5
}

// tree makes of a flat message what a form reads. Nothing in XML says which
// values are numbers, so the schema does. An empty element counts for none.
func tree(form schema.Schema, f wxpay.Fields) map[string]any {
	out := map[string]any{}
	for name, value := range f {
		if value != "" {
			out[name] = value
		}
	}
	for _, r := range form {
		name := r.Path[1:]
		if value, ok := out[name].(string); ok && r.Kind == schema.Number && formInteger.MatchString(value) {
			out[name] = literal(value)
		}
	}
	return out
}

// transport is a failure to understand each other at all, which has no
// signature: there may be nobody to sign for.
func transport(text string) wxpay.Fields {
	return wxpay.Fields{"return_code": "FAIL", "return_msg": text}
}

// answer writes a reply to f, signed as f was.
func (d *Door) answer(w http.ResponseWriter, x *door.Exchange, f wxpay.Fields, out door.Reply, fault world.UpstreamFault) {
	status := http.StatusOK
	m, _ := out.Object.(Message)
	if m == nil || out.No != nil {
		m = Message{}
	}
	t := signType(f)
	if t != wxpay.SignHMACSHA256 {
		t = wxpay.SignMD5
	}
	m.result(out.No)
	if code, ok := m["err_code"].(string); ok {
		x.Record.Refuse(code)
	}
	for _, name := range merchantNames {
		if f[name] != "" {
			m[name] = f[name]
		}
	}
	d.sign(m, t)
	if out.Failed(fault) {
		// The web server has failed, or WeChat Pay behind it.
		status = http.StatusInternalServerError
		delete(m, "sign")
	}
	switch sign, _ := m["sign"].(string); {
	case fault.Blank:
		delete(m, "sign")
	case fault.Forged && sign != "":
		m["sign"] = strings.Repeat("0", len(sign))
	}
	d.write(w, x, status, m.fields(), fault)
}

// result puts the outcome in.
func (m Message) result(no *world.Refusal) {
	m["return_code"], m["return_msg"], m["result_code"] = "SUCCESS", "OK", "SUCCESS"
	if no != nil {
		m["result_code"] = "FAIL"
		m["err_code"], m["err_code_des"] = translate(no)
	}
}

// sign completes an answer with a nonce and the signature.
func (d *Door) sign(m Message, t wxpay.SignType) {
	m["nonce_str"] = world.Random(32)
	sign, err := d.world.Keys.API.Sign(m.fields(), t)
	if err != nil {
		d.world.Log.Error("answer not signed", "error", err)
		return
	}
	m["sign"] = sign
}

func (d *Door) write(w http.ResponseWriter, x *door.Exchange, status int, f wxpay.Fields, fault world.UpstreamFault) {
	if !door.Suffer(d.world, w, x.Request, fault) {
		return
	}
	if f["return_code"] == "FAIL" {
		x.Record.Refuse(f["return_code"])
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	door.Wrote(d.world, x.Request, x.ID, status, fault)
	w.WriteHeader(status)
	_, _ = w.Write(f.XML()) // the client may have gone; that is its affair
}
