package apiv3

import (
	"errors"
	"regexp"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// abnormalSchema is the body of POST …/apply-abnormal-refund, from the documents of direct
// merchants and of service providers.
var abnormalSchema = schema.Schema{
	{Path: "/sub_mchid", Label: "子商户号", Min: 1, Max: 32, Form: schema.FormDigits},
	{Path: "/out_refund_no", Label: "商户退款单号", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
	{Path: "/type", Label: "异常退款处理方式", Required: true, Enum: []string{world.ToUserCard, world.ToMerchantCard}},
	{Path: "/bank_type", Label: "开户银行", Min: 1, Max: 16},
	{Path: "/bank_account", Label: "收款银行卡号", Min: 1, Max: 1024},
	{Path: "/real_name", Label: "收款用户姓名", Min: 1, Max: 1024},
}

type abnormal struct {
	SubMchID    string `json:"sub_mchid"`
	OutRefundNo string `json:"out_refund_no"`
	Type        string `json:"type"`
	BankType    string `json:"bank_type"`
	BankAccount string `json:"bank_account"`
	RealName    string `json:"real_name"`
}

// formCard is the form of a bank card's number.
var formCard = regexp.MustCompile(`^[0-9]{12,19}$`)

// postAbnormal is POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund. What
// is opened here is looked at and forgotten: no record has it.
func (d *Door) postAbnormal(x *door.Exchange) door.Reply {
	return door.Limited(d.world, func() door.Reply {
		var a abnormal
		if v := x.CheckBody(abnormalSchema.Read(x.Body, &a)); v != nil {
			return door.Reply{No: world.RefuseBody(v)}
		}
		if no := world.CheckSubMchID(a.SubMchID); no != nil {
			return door.Reply{No: no}
		}
		to := world.Elsewhere{SubMchID: a.SubMchID, OutRefundNo: a.OutRefundNo, Type: a.Type, BankType: a.BankType}
		if a.Type == world.ToUserCard {
			card, no := d.openCard(x, a)
			if no != nil {
				return door.Reply{No: no}
			}
			to.LastFour = card[len(card)-4:]
		}
		r, no := d.world.SendElsewhere(x.Request.PathValue("refund_id"), to)
		return door.Reply{Object: r, No: no}
	})
}

// openCard opens what is sealed, with the key that the request names, and returns the
// card's number.
func (d *Door) openCard(x *door.Exchange, a abnormal) (string, *world.Refusal) {
	for _, f := range []struct{ name, label, value string }{
		{"bank_type", "开户银行", a.BankType}, {"bank_account", "收款银行卡号", a.BankAccount}, {"real_name", "收款用户姓名", a.RealName},
	} {
		if f.value == "" {
			return "", world.RefuseField("body", "/"+f.name, "", "needed with "+world.ToUserCard,
				"输入源“/body/"+f.name+"”映射到字段“"+f.label+"”必填性规则校验失败，此字段为必填项")
		}
	}
	card, err := d.openField(a.BankAccount, serial(x))
	if err == nil {
		_, err = d.openField(a.RealName, serial(x))
	}
	known := !errors.Is(err, wxpay.ErrUnknownKey)
	if !x.Check("sealing_key", known, "Wechatpay-Serial "+serial(x)) {
		return "", world.Refuse(world.CodeParam).Say("Http头Wechatpay-Serial有误，请使用加密敏感信息所用的微信支付公钥ID或平台证书序列号")
	}
	if !x.Check("sealed", err == nil, "RSA-OAEP with SHA-1, for that key") {
		return "", world.Refuse(world.CodeParam).Say("敏感信息解密失败，请检查加密使用的公钥与算法")
	}
	if !formCard.MatchString(card) {
		return "", world.RefuseField("body", "/bank_account", "", "not a card's number", "收款银行卡号格式有误")
	}
	return card, nil
}
