package apiv3

import (
	"net/url"
	"slices"
	"strings"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// postRefund is POST /v3/refund/domestic/refunds.
func (d *Door) postRefund(x *door.Exchange) door.Reply {
	return door.Limited(d.world, func() door.Reply {
		r, no := d.postRefundBody(x)
		return door.Reply{Object: r, No: no}
	})
}

func (d *Door) postRefundBody(x *door.Exchange) (world.Refund, *world.Refusal) {
	var a world.Application
	if v := x.CheckBody(ApplySchema.Read(x.Body, &a)); v != nil {
		return world.Refund{}, world.RefuseBody(v)
	}
	if no := world.CheckSubMchID(a.SubMchID); no != nil {
		return world.Refund{}, no
	}
	return d.world.Apply(a, world.Caller{Notification: world.NotificationV3})
}

// getRefund is GET /v3/refund/domestic/refunds/{out_refund_no}.
func (d *Door) getRefund(x *door.Exchange) door.Reply {
	if d.world.Exceeded(world.LimitQuery) {
		return door.Reply{No: world.Refuse(world.CodeFrequency)}
	}
	query, no := parseQuery(x.Request.URL.RawQuery, "sub_mchid")
	if no != nil {
		return door.Reply{No: no}
	}
	sub := query.Get("sub_mchid")
	if no := world.CheckSubMchID(sub); no != nil {
		return door.Reply{No: no}
	}
	number := x.Request.PathValue("out_refund_no")
	if len(number) > 64 || !schema.FormNumber.MatchString(number) {
		return door.Reply{No: world.RefuseField("url", "out_refund_no", number, "not a refund number",
			"输入源“/path/out_refund_no”映射到值字段“商户退款单号”字符串规则校验失败，字符串必须匹配正则表达式“"+schema.FormNumber.String()+"”")}
	}
	r, ok := d.world.Refund(number)
	if !ok || r.SubMchID != sub {
		return door.Reply{No: world.Refuse(world.CodeNotFound).Say("退款单不存在")}
	}
	return door.Reply{Object: r}
}

// parseQuery reads a query that may hold the named parameters, once each.
func parseQuery(raw string, known ...string) (url.Values, *world.Refusal) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, world.Refuse(world.CodeParam)
	}
	for name, values := range query {
		if !slices.Contains(known, name) || len(values) != 1 {
			return nil, world.RefuseField("query", name, values, "not a parameter, or there twice", schema.UnknownField)
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

// noCertificates are WeChat Pay's words to a merchant who has the public key alone
// (wechatpay-java#400, of March 2026; those of before named another page).
const noCertificates = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。可查看指引https://pay.weixin.qq.com/doc/v3/merchant/4012153196"

// getCertificates is GET /v3/certificates: the newest first, each sealed with
// the key that only the merchant has, since a client cannot verify the signature
// of this answer before it has read it.
func (d *Door) getCertificates(x *door.Exchange) door.Reply {
	query, no := parseQuery(x.Request.URL.RawQuery, "algorithm_type")
	if no != nil {
		return door.Reply{No: no}
	}
	if a := query.Get("algorithm_type"); a != "" && a != "RSA" && a != "ALL" {
		return door.Reply{No: world.RefuseField("query", "algorithm_type", a, "only RSA is played here", world.Refuse(world.CodeParam).Message)}
	}
	keys, _ := d.world.PlatformKeys()
	if len(keys) == 0 {
		return door.Reply{No: world.Refuse(world.CodeNotFound).Say(noCertificates)}
	}
	slices.Reverse(keys)
	var opened strings.Builder
	out := struct {
		Data []sealedCertificate `json:"data"`
	}{}
	for _, k := range keys {
		sealed, err := d.world.Keys.APIv3.Seal("", "certificate", []byte(k.Cert))
		if err != nil {
			return door.Reply{No: world.Refuse(world.CodeSystem)}
		}
		opened.WriteString(k.Cert)
		out.Data = append(out.Data, sealedCertificate{k.Serial, world.Stamp(k.From), world.Stamp(k.Expires), sealed})
	}
	x.Record.OpenResponse(opened.String())
	return door.Reply{Object: out}
}
