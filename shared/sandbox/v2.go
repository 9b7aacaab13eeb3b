package sandbox

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"

	"wxrefund/shared/wxpay"
)

// An endpointV2 is one of WeChat Pay's v2, which is XML: here as WeChat Pay Global
// has it.
type endpointV2 struct {
	path   string
	query  bool
	secure bool // demands the merchant's client certificate
	handle func(*Sandbox, dialect, asked) (message, *refusal)
}

var endpointsV2 = []endpointV2{
	{path: "/secapi/pay/refund", secure: true, handle: (*Sandbox).refundV2},
	{path: "/pay/refundquery", query: true, handle: (*Sandbox).refundQueryV2},
}

// A dialect is where the two systems differ that speak v2.
type dialect struct {
	system
	apply, query schema
	foreign      bool   // orders may be in any currency, so all are named
	lists        bool   // an answer's coupons may come as lists
	notification string // what tells how refunds end
}

var global = dialect{system: systemV2, apply: applySchemaV2, query: querySchemaV2, foreign: true, notification: notificationV2}

// asked is a request of v2, whatever it was written in.
type asked struct {
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

// A message is an answer of v2: of texts, of integers and, at CloudBase, of lists.
type message map[string]any

// fields are what of it can be signed and written as XML.
func (m message) fields() wxpay.Fields {
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
var namesV2 = []string{"appid", "mch_id", "sub_appid", "sub_mch_id"}

// serveV2 is [Sandbox.serve] for v2.
func (s *Sandbox) serveV2(w http.ResponseWriter, r *http.Request, e endpointV2) {
	x := s.open(r)
	if e.secure && !s.isMerchant(r.TLS) {
		// Said by the web server, before WeChat Pay sees anything.
		http.Error(w, "<html><head><title>400 No required SSL certificate was sent</title></head></html>", http.StatusBadRequest)
		return
	}
	if no := x.read(w); no != nil {
		s.writeV2(w, x, http.StatusOK, transportV2("请求报文过大或不完整"), upstreamFault{})
		return
	}
	if r.Method != http.MethodPost {
		s.answerV2(w, x, wxpay.Fields{}, reply{no: refuse(codeParam).say("请使用post方法").under(rulePost)}, upstreamFault{})
		return
	}
	f, err := wxpay.ParseFields(x.body, "xml")
	if err != nil {
		s.writeV2(w, x, http.StatusOK, transportV2("XML格式错误"), upstreamFault{})
		return
	}
	no := checkNames(f)
	if no == nil && s.keys.apiKeyV2.VerifyRequest(f, signType(f)) != nil {
		s.writeV2(w, x, http.StatusOK, transportV2("签名错误"), upstreamFault{})
		return
	}
	if no != nil {
		s.answerV2(w, x, f, reply{no: no}, upstreamFault{})
		return
	}
	schema := global.apply
	if e.query {
		schema = global.query
	}
	out, fault := s.befall(global.system, e.query, func() reply {
		m, no := e.handle(s, global, asked{schema.tree(f), global.notification})
		return reply{object: m, no: no}
	})
	s.answerV2(w, x, f, out, fault)
}

// isMerchant tells whether a connection was made with the merchant's certificate.
// That it is valid has been seen to by the listener, see [Sandbox.TLSConfig].
func (s *Sandbox) isMerchant(c *tls.ConnectionState) bool {
	return c != nil && len(c.PeerCertificates) > 0 && bytes.Equal(c.PeerCertificates[0].Raw, s.keys.merchant.cert.Raw)
}

// checkNames checks who asks.
func checkNames(f wxpay.Fields) *refusal {
	switch {
	case f["mch_id"] != mchID:
		return refuse(codeNoMerchant)
	case f["appid"] == subAppID:
		return refuse(codeInvalid).say("appid和mch_id不匹配").under(ruleMismatch)
	case f["appid"] != appID, f["sub_appid"] != "" && f["sub_appid"] != subAppID:
		return refuse(codeNotFound).say("APPID不存在").under(ruleAppID)
	case f["sub_appid"] != "" && f["sub_mch_id"] == "":
		return refuse(codeParam).say("缺少参数sub_mch_id")
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

// tree makes of a flat message what a schema reads. Nothing in XML says which
// values are numbers, so the schema does. An empty element counts for none.
func (s schema) tree(f wxpay.Fields) map[string]any {
	out := map[string]any{}
	for name, value := range f {
		if value != "" {
			out[name] = value
		}
	}
	for _, r := range s {
		name := r.path[1:]
		if value, ok := out[name].(string); ok && r.kind == number && formInteger.MatchString(value) {
			out[name] = literal(value)
		}
	}
	return out
}

// transportV2 is a failure to understand each other at all, which has no
// signature: there may be nobody to sign for.
func transportV2(text string) wxpay.Fields {
	return wxpay.Fields{"return_code": "FAIL", "return_msg": text}
}

// answerV2 writes a reply to f, signed as f was.
func (s *Sandbox) answerV2(w http.ResponseWriter, x *exchange, f wxpay.Fields, out reply, fault upstreamFault) {
	status := http.StatusOK
	m, _ := out.object.(message)
	if m == nil || out.no != nil {
		m = message{}
	}
	t := signType(f)
	if t != wxpay.SignHMACSHA256 {
		t = wxpay.SignMD5
	}
	m.result(out.no)
	for _, name := range namesV2 {
		if f[name] != "" {
			m[name] = f[name]
		}
	}
	s.sign(m, t)
	if failed(out, fault) {
		// The web server has failed, or WeChat Pay behind it.
		status = http.StatusInternalServerError
		delete(m, "sign")
	}
	switch sign, _ := m["sign"].(string); {
	case fault.blank:
		delete(m, "sign")
	case fault.forged && sign != "":
		m["sign"] = strings.Repeat("0", len(sign))
	}
	s.writeV2(w, x, status, m.fields(), fault)
}

// result puts the outcome in.
func (m message) result(no *refusal) {
	m["return_code"], m["return_msg"], m["result_code"] = "SUCCESS", "OK", "SUCCESS"
	if no != nil {
		m["result_code"] = "FAIL"
		m["err_code"], m["err_code_des"] = no.v2()
	}
}

// sign completes an answer with a nonce and the signature.
func (s *Sandbox) sign(m message, t wxpay.SignType) {
	m["nonce_str"] = random(32, alphanumeric)
	sign, err := s.keys.apiKeyV2.Sign(m.fields(), t)
	if err != nil {
		s.log.Error("answer not signed", "error", err)
		return
	}
	m["sign"] = sign
}

func (s *Sandbox) writeV2(w http.ResponseWriter, x *exchange, status int, f wxpay.Fields, fault upstreamFault) {
	if !s.suffer(w, x.request, fault) {
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	s.wrote(x.request, status, fault)
	w.WriteHeader(status)
	_, _ = w.Write(f.XML()) // the client may have gone; that is its affair
}
