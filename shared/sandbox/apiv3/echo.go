package apiv3

import (
	"slices"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// EchoSchema is the body of POST /v3/security/echo (doc/v3/partner/4015139289, of April 2026).
var EchoSchema = schema.Schema{
	{Path: "/notify_url", Label: "商户回调地址", Min: 8, Max: 256, Form: schema.FormURL},
	{Path: "/echo_message", Label: "回显信息", Required: true, Min: 1, Max: 1024},
	{Path: "/encrypted_echo_message", Label: "平台证书或微信支付公钥加密测试字段", Min: 1, Max: 1024},
}

// An echo is that body, and the answer to it.
type echo struct {
	NotifyURL string `json:"notify_url,omitempty"`
	Message   string `json:"echo_message"`
	Encrypted string `json:"encrypted_echo_message,omitempty"` // RSA with OAEP and SHA-1, base64
}

// postEcho is POST /v3/security/echo: a message is said back, one that is encrypted for
// WeChat Pay is encrypted for the merchant. The notification is not played.
func (d *Door) postEcho(x *door.Exchange) door.Reply {
	var in echo
	if v := x.CheckBody(EchoSchema.Read(x.Body, &in)); v != nil {
		return door.Reply{No: world.RefuseBody(v)}
	}
	if !x.Check("serial named", serial(x) != "", "Wechatpay-Serial") {
		return door.Reply{No: world.RefuseField("header", "Wechatpay-Serial", nil, "missing", "Http头缺少Wechatpay-Serial")}
	}
	if in.NotifyURL != "" {
		return door.Reply{No: world.RefuseField("body", "/notify_url", in.NotifyURL, "the notification of an echo is not played here", world.Refuse(world.CodeParam).Message)}
	}
	out := echo{Message: in.Message}
	if in.Encrypted != "" {
		plain, err := d.openField(in.Encrypted, serial(x))
		if !x.Check("encrypted", err == nil, "RSA with OAEP, for the key that Wechatpay-Serial names") {
			return door.Reply{No: world.RefuseField("body", "/encrypted_echo_message", nil, "cannot be decrypted", "请确认待处理的消息是否为加密后的密文")}
		}
		sealed, err := wxpay.SealField(&d.world.Keys.Merchant.RSA().PublicKey, plain)
		if err != nil { // too long for one block, which what came in one cannot be
			return door.Reply{No: world.Refuse(world.CodeSystem)}
		}
		out.Encrypted = sealed
	}
	return door.Reply{Object: out}
}

// openField opens what a merchant has sealed for one of WeChat Pay's keys.
func (d *Door) openField(sealed, serial string) (string, error) {
	certificates, publics := d.world.PlatformKeys()
	for _, k := range slices.Concat(certificates, publics) {
		if k.Serial == serial {
			return wxpay.OpenField(k.Key, sealed)
		}
	}
	return "", wxpay.ErrUnknownKey
}
