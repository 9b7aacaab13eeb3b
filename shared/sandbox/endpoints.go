package sandbox

import (
	"net/url"
	"slices"

	"wxrefund/shared/wxpay"
)

// postRefund is POST /v3/refund/domestic/refunds.
func (s *Sandbox) postRefund(x *exchange) reply {
	return s.limited(func() reply {
		r, no := s.postRefundBody(x)
		return reply{object: r, no: no}
	})
}

// limited holds applications, whatever the system, to the merchant's limits.
func (s *Sandbox) limited(apply func() reply) reply {
	if s.limits.exceeded(limitApply) {
		return reply{no: refuse(codeFrequency)}
	}
	out := apply()
	// Whoever asks for the impossible is let to it six times a second.
	if out.no != nil && out.no.code != codeFrequency && s.limits.exceeded(limitWrong) {
		out.no = refuse(codeFrequency).under(ruleWrong)
	}
	return out
}

func (s *Sandbox) postRefundBody(x *exchange) (refundObject, *refusal) {
	var a application
	if v := applySchema.read(x.body, &a); v != nil {
		return refundObject{}, refuseBody(v)
	}
	if no := checkSubMchID(a.SubMchID); no != nil {
		return refundObject{}, no
	}
	return s.apply(a, x.caller)
}

// checkSubMchID checks on whose behalf a request is made. The merchant may act
// for itself, then it says nothing, or as a service provider for the one
// merchant that it serves.
func checkSubMchID(id string) *refusal {
	switch id {
	case "", subMchID:
		return nil
	case mchID:
		return refuse(codeParam).say("普通商户不允许传sub_mch_id")
	}
	return refuse(codeNoAuth).say("特约子商户商户号未授权服务商的产品权限")
}

// getRefund is GET /v3/refund/domestic/refunds/{out_refund_no}.
func (s *Sandbox) getRefund(x *exchange) reply {
	if s.limits.exceeded(limitQuery) {
		return reply{no: refuse(codeFrequency)}
	}
	query, no := parseQuery(x.request.URL.RawQuery, "sub_mchid")
	if no != nil {
		return reply{no: no}
	}
	sub := query.Get("sub_mchid")
	if no := checkSubMchID(sub); no != nil {
		return reply{no: no}
	}
	number := x.request.PathValue("out_refund_no")
	if len(number) > 64 || !formNumber.MatchString(number) {
		return reply{no: refuseField("url", "out_refund_no", number, "not a refund number",
			"输入源“/path/out_refund_no”映射到值字段“商户退款单号”字符串规则校验失败，字符串必须匹配正则表达式“"+formNumber.String()+"”")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refunds[number]
	if r == nil || r.subMchID != sub {
		return reply{no: refuse(codeNotFound).say("退款单不存在")}
	}
	return reply{object: r.object()}
}

// parseQuery reads a query that may hold the named parameters, once each.
func parseQuery(raw string, known ...string) (url.Values, *refusal) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(codeParam)
	}
	for name, values := range query {
		if !slices.Contains(known, name) || len(values) != 1 {
			return nil, refuseField("query", name, values, "not a parameter, or there twice", issueUnknown.chinese)
		}
	}
	return query, nil
}

// A sealedCertificate is a platform certificate as merchants download it.
type sealedCertificate struct {
	SerialNo           string         `json:"serial_no"`
	EffectiveTime      string         `json:"effective_time"`
	ExpireTime         string         `json:"expire_time"`
	EncryptCertificate wxpay.Resource `json:"encrypt_certificate"`
}

// getCertificates is GET /v3/certificates: the newest first, each sealed with
// the key that only the merchant has, since a client cannot verify the signature
// of this answer before it has read it.
func (s *Sandbox) getCertificates(x *exchange) reply {
	query, no := parseQuery(x.request.URL.RawQuery, "algorithm_type")
	if no != nil {
		return reply{no: no}
	}
	if a := query.Get("algorithm_type"); a != "" && a != "RSA" && a != "ALL" {
		return reply{no: refuseField("query", "algorithm_type", a, "only RSA is played here", codes[codeParam].message)}
	}
	s.mu.Lock()
	keys := slices.Clone(valid(s.ring.certificates, s.clock.now()))
	s.mu.Unlock()
	slices.Reverse(keys)
	out := struct {
		Data []sealedCertificate `json:"data"`
	}{}
	for _, k := range keys {
		sealed, err := s.keys.apiV3.Seal("", "certificate", []byte(k.cert))
		if err != nil {
			return reply{no: refuse(codeSystem)}
		}
		out.Data = append(out.Data, sealedCertificate{k.serial, stamp(k.from), stamp(k.expires), sealed})
	}
	return reply{object: out}
}
