package apiv3

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- OAEP with SHA-1 is what the document asks for
	"encoding/base64"
	"slices"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
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
		plain, ok := d.decrypt(in.Encrypted, serial(x))
		if !x.Check("encrypted", ok, "RSA with OAEP, for the key that Wechatpay-Serial names") {
			return door.Reply{No: world.RefuseField("body", "/encrypted_echo_message", nil, "cannot be decrypted", "请确认待处理的消息是否为加密后的密文")}
		}
		sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &d.world.Keys.Merchant.RSA().PublicKey, plain, nil) //nolint:gosec // the protocol's
		if err != nil {                                                                                             // too long for one block, which what came in one cannot be
			return door.Reply{No: world.Refuse(world.CodeSystem)}
		}
		out.Encrypted = base64.StdEncoding.EncodeToString(sealed)
	}
	return door.Reply{Object: out}
}

// decrypt opens what a merchant has encrypted for one of WeChat Pay's keys.
func (d *Door) decrypt(text, serial string) ([]byte, bool) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	certificates, publics := d.world.PlatformKeys()
	for _, k := range slices.Concat(certificates, publics) {
		if k.Serial != serial {
			continue
		}
		plain, err := rsa.DecryptOAEP(sha1.New(), nil, k.Key, sealed, nil) //nolint:gosec // the protocol's
		return plain, err == nil
	}
	return nil, false
}
