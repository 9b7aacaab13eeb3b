package channel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// apiv3Abnormal is the body of an application that an abnormal refund's money is sent
// elsewhere. What is said of a card is sealed.
type apiv3Abnormal struct {
	SubMchID    string `json:"sub_mchid,omitempty"`
	OutRefundNo string `json:"out_refund_no"`
	Type        string `json:"type"`
	BankType    string `json:"bank_type,omitempty"`
	BankAccount string `json:"bank_account,omitempty"`
	RealName    string `json:"real_name,omitempty"`
}

// Where such money may go.
const (
	toUserCard     = "USER_BANK_CARD"
	toMerchantCard = "MERCHANT_BANK_CARD"
)

// abnormalProblems lists what would make an application another one than it looks: a card
// is told whole or not at all. Nothing quotes it.
func abnormalProblems(a refund.AbnormalRequest) (says []string) {
	if a.RefundID == "" {
		says = append(says, "WeChat Pay's number of the refund is not known yet: query it first")
	}
	if a.Type != toUserCard && a.Type != toMerchantCard {
		return append(says, "type must be "+toUserCard+" or "+toMerchantCard)
	}
	for _, f := range []struct{ name, value string }{
		{"bank_type", a.BankType}, {"bank_account", a.BankAccount}, {"real_name", a.RealName},
	} {
		switch {
		case a.Type == toUserCard && f.value == "":
			says = append(says, f.name+" is required with "+toUserCard)
		case a.Type == toMerchantCard && f.value != "":
			says = append(says, f.name+" must not be given with "+toMerchantCard)
		}
	}
	return says
}

// notAbnormal is what a channel answers that has no such call.
func notAbnormal(name string) error {
	return refund.Invalid("the channel " + name + " has no call that finishes an abnormal refund: the merchant platform does it")
}

// FinishAbnormal has the money of an abnormal refund sent elsewhere (document 4012791904).
// Whether the call may be repeated is not documented: after an answer that leaves the
// outcome open, the query says whether it was taken.
func (c *APIv3) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	if says := abnormalProblems(a); says != nil {
		return refund.Refund{}, refund.Invalid(says...)
	}
	body, serial, err := c.sealedAbnormal(ctx, a)
	if err != nil {
		return refund.Refund{}, err
	}
	uri := refundsPath + "/" + url.PathEscape(a.RefundID) + "/apply-abnormal-refund"
	reply, err := c.Client.DoSealed(ctx, http.MethodPost, uri, body, serial)
	if err != nil {
		return refund.Refund{}, aboutAbnormal(unanswered(err))
	}
	got, err := c.read(ctx, reply, a.OutRefundNo)
	if err != nil {
		return refund.Refund{}, aboutAbnormal(refund.AsError(err))
	}
	if got.RefundID != a.RefundID {
		return refund.Refund{}, aboutAbnormal(unknown("WeChat Pay's answer is about another refund", nil))
	}
	return got, nil
}

// sealedAbnormal is the body, and the serial of the key that its fields are sealed with;
// "" where none is.
func (c *APIv3) sealedAbnormal(ctx context.Context, a refund.AbnormalRequest) (body []byte, serial string, err error) {
	out := apiv3Abnormal{SubMchID: c.SubMchID, OutRefundNo: a.OutRefundNo, Type: a.Type, BankType: a.BankType}
	if a.Type == toUserCard {
		id, key, err := c.Client.Keys.SealingKey(ctx)
		if err != nil {
			return nil, "", &refund.Error{
				Code: refund.CodeUnavailable, Next: refund.Later, Unsent: true, Err: err,
				Message: "there is no key of WeChat Pay's to seal the card with, so nothing was sent",
			}
		}
		for field, plain := range map[*string]string{&out.BankAccount: a.BankAccount, &out.RealName: a.RealName} {
			if *field, err = wxpay.SealField(key, plain); err != nil {
				return nil, "", refund.Invalid("bank_account or real_name is too long to be sealed")
			}
		}
		serial = id
	}
	body, err = json.Marshal(out)
	return body, serial, err
}

// aboutAbnormal is an error of such an application: no number is taken by it, and a repeat
// is for who has queried.
func aboutAbnormal(e *refund.Error) error {
	about := *e
	about.MaybeNumberTaken = false
	about.Message = strings.Replace(e.Message, outcomeOpen, "; whether it was taken is unknown, so query before you repeat", 1)
	return &about
}

// FinishAbnormal is not carried.
func (c *CloudBase) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *CloudPay) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *Global) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}

// FinishAbnormal is not carried.
func (c *WeCom) FinishAbnormal(context.Context, refund.AbnormalRequest) (refund.Refund, error) {
	return refund.Refund{}, notAbnormal(c.Spec().Name)
}
