// Package apiv3 is the door of WeChat Pay's APIv3: JSON, signed both ways.
package apiv3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"strings"
	"time"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// system is APIv3 as faults see it.
var system = world.System{Codes: world.Answerable, Signed: true}

// An endpoint of APIv3.
type endpoint struct {
	pattern string
	on      string // what faults call it; empty: its answers cannot be made to go wrong
	handle  func(*Door, *door.Exchange) door.Reply
	raw     func(*Door, http.ResponseWriter, *door.Exchange) // instead of all, if what is answered is no JSON
}

var endpoints = []endpoint{
	{pattern: "POST /v3/refund/domestic/refunds", on: world.OnApply, handle: (*Door).postRefund},
	{pattern: "GET /v3/refund/domestic/refunds/{out_refund_no}", on: world.OnQuery, handle: (*Door).getRefund},
	{pattern: "POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund", on: world.OnAbnormal, handle: (*Door).postAbnormal},
	{pattern: "GET /v3/pay/transactions/id/{number}", on: world.OnOrder, handle: (*Door).byTransaction},
	{pattern: "GET /v3/pay/transactions/out-trade-no/{number}", on: world.OnOrder, handle: (*Door).byTrade},
	{pattern: "GET /v3/pay/partner/transactions/id/{number}", on: world.OnOrder, handle: (*Door).byTransaction},
	{pattern: "GET /v3/pay/partner/transactions/out-trade-no/{number}", on: world.OnOrder, handle: (*Door).byTrade},
	{pattern: "GET /v3/certificates", handle: (*Door).getCertificates},
	{pattern: "POST /v3/security/echo", handle: (*Door).postEcho},
	{pattern: "GET /v3/bill/tradebill", handle: (*Door).tradeBill},
	{pattern: "GET /v3/bill/fundflowbill", handle: (*Door).fundFlowBill},
	{pattern: "GET " + bill.Path, raw: (*Door).download},
}

// A Door plays APIv3.
type Door struct {
	world *world.World
	bills *bill.Offers
}

// New opens the door to a world. Who downloads a bill comes here, whoever has offered it.
func New(w *world.World, bills *bill.Offers) *Door { return &Door{w, bills} }

// Routes adds APIv3's paths to the real hosts' others. Whatever nobody else has is
// refused in APIv3's words.
func (d *Door) Routes(mux *http.ServeMux) {
	for _, e := range endpoints {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, e) })
		_, path, _ := strings.Cut(e.pattern, " ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			d.refuse(w, r, world.Refuse("METHOD_NOT_ALLOWED"))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, world.Refuse(world.CodeNotFound).Say("请求的接口不存在"))
	})
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, no *world.Refusal) {
	d.answer(w, door.Open(d.world, r), door.Reply{No: no}, world.UpstreamFault{})
}

// serve lets a request through the gate, carries it out and answers, and lets
// faults have their say in it.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	x := door.Open(d.world, r)
	if e.raw != nil {
		e.raw(d, w, x)
		return
	}
	if no := d.admit(w, x); no != nil {
		d.answer(w, x, door.Reply{No: no}, world.UpstreamFault{})
		return
	}
	if e.on == "" {
		d.answer(w, x, e.handle(d, x), world.UpstreamFault{})
		return
	}
	out, fault := door.Carry(d.world, system, e.on, func() door.Reply { return e.handle(d, x) })
	d.answer(w, x, out, fault)
}

// admit checks what WeChat Pay's gateway checks before it looks at the body.
func (d *Door) admit(w http.ResponseWriter, x *door.Exchange) *world.Refusal {
	r := x.Request
	if no := x.Read(w); no != nil {
		return no
	}
	if !x.Check("headers", r.Header.Get("Accept") != "" && r.Header.Get("User-Agent") != "", "Accept and User-Agent") {
		return world.Refuse(world.CodeInvalid).Say("Http头缺少Accept或User-Agent")
	}
	if no := d.authenticate(x); no != nil {
		return no
	}
	if r.Method == http.MethodPost {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if !x.Check("content_type", err == nil && kind == "application/json", r.Header.Get("Content-Type")) {
			return world.Refuse("UNSUPPORTED_MEDIA")
		}
	}
	return nil
}

// unauthorized are the refusals of the Authorization header.
const (
	unauthorizedForm   = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
	unauthorizedScheme = "Http头Authorization认证类型不正确"
	unauthorizedTime   = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
	unauthorizedSerial = "商户证书序列号有误，请使用签名私钥匹配的证书序列号"
)

// authenticate checks who asks, cheap things first.
func (d *Door) authenticate(x *door.Exchange) *world.Refusal {
	r := x.Request
	header := r.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(header, " "); ok && rest != "" && !x.Check("scheme", scheme == "WECHATPAY2-SHA256-RSA2048", scheme) {
		return world.Refuse(world.CodeSign).Say(unauthorizedScheme)
	}
	c, err := wxpay.ParseAuthorization(header)
	switch {
	case !x.Check("authorization", err == nil, "the form of the header"):
		return world.Refuse(world.CodeSign).Say(unauthorizedForm)
	case !x.Check("merchant", c.MchID == world.MchID, c.MchID):
		return world.Refuse(world.CodeNoMerchant)
	// openssl writes it in capitals, others do not
	case !x.Check("serial", strings.EqualFold(c.SerialNo, wxpay.SerialNo(d.world.Keys.Merchant.Cert)), "the merchant's certificate "+c.SerialNo):
		return world.Refuse(world.CodeSign).Say(unauthorizedSerial)
	}
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") { // not from a server, or not to an origin server
		uri = r.URL.RequestURI()
	}
	err = c.Verify(&d.world.Keys.Merchant.RSA().PublicKey, r.Method, uri, x.Body, time.Now())
	switch age := time.Since(time.Unix(c.Timestamp, 0)).Truncate(time.Second); {
	case !x.Check("timestamp", !errors.Is(err, wxpay.ErrStale), age.String()+" old"):
		return world.Refuse(world.CodeSign).Say(unauthorizedTime)
	case !x.Check("signature", err == nil, "RSA with SHA-256, by the key of the merchant's certificate"):
		return refuseSignature(r.Method, uri, c, x.Body)
	}
	return nil
}

// refuseSignature shows the client what was verified, so that it can compare it
// with what it signed. The body is cut as WeChat Pay cuts it.
func refuseSignature(method, uri string, c wxpay.Credential, body []byte) *world.Refusal {
	message := wxpay.RequestMessage(method, uri, c.Timestamp, c.Nonce, body)
	shown := wxpay.RequestMessage(method, uri, c.Timestamp, c.Nonce, body[:min(len(body), 8)])
	no := world.Refuse(world.CodeSign)
	no.Detail = map[string]any{
		"detail":   map[string]string{"issue": "sign not match"},
		"field":    "signature",
		"location": "authorization",
		"sign_information": map[string]any{
			"method":                 method,
			"url":                    uri,
			"sign_message_length":    len(message),
			"truncated_sign_message": string(shown),
		},
	}
	return no
}

// answer writes a reply, signed unless it is of the 5xx or a fault has it
// otherwise.
func (d *Door) answer(w http.ResponseWriter, x *door.Exchange, out door.Reply, fault world.UpstreamFault) {
	if !door.Suffer(d.world, w, x.Request, fault) {
		return
	}
	status, cause, object := http.StatusOK, 0, out.Object
	if no := out.No; no != nil {
		x.Record.Refuse(no.Code)
		status, cause = no.Status(), no.Cause()
		object = struct {
			Code    string `json:"code"`
			Detail  any    `json:"detail,omitempty"`
			Message string `json:"message"`
		}{no.Code, no.Detail, no.Message}
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		d.world.Log.Error("answer not written", "error", err)
		door.HangUp(w)
		return
	}
	b := bytes.TrimSuffix(body.Bytes(), []byte("\n"))

	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Language", "zh-CN")
	h.Set("Cache-Control", "no-cache, must-revalidate")
	h.Set("X-Content-Type-Options", "nosniff")
	// As the real host spells it (wechatpay-java#49): WeChat Pay's own SDK for Java looks
	// for it in these letters.
	id := fmt.Sprintf("%s-%d", x.ID, cause)
	maps.Copy(h, http.Header{"Request-ID": {id}})
	if status < 500 && !fault.Blank {
		signed := b
		if fault.Forged {
			signed = append([]byte(" "), b...)
		}
		if err := d.world.ReplyKey(serial(x), x.ID).Signer().Sign(h, signed, time.Now()); err != nil {
			d.world.Log.Error("answer not signed", "error", err)
		}
	}
	door.Wrote(d.world, x.Request, id, status, fault)
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may have gone; that is its affair
}

// serial is the key that the client says it can verify with.
func serial(x *door.Exchange) string { return x.Request.Header.Get("Wechatpay-Serial") }
