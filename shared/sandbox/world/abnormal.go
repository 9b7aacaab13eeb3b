package world

import "slices"

// The ways that the money of an abnormal refund can go.
const (
	ToUserCard     = "USER_BANK_CARD"
	ToMerchantCard = "MERCHANT_BANK_CARD"
)

// debitCards are the banks whose debit cards such money can go to, and of no others
// ("Apply for an abnormal refund", 4012791904). Credit cards of theirs cannot.
var debitCards = map[string]string{
	"CMB_DEBIT": "招商银行", "COMM_DEBIT": "交通银行", "ABC_DEBIT": "农业银行", "CCB_DEBIT": "建设银行", "ICBC_DEBIT": "工商银行",
	"BOC_DEBIT": "中国银行", "PAB_DEBIT": "平安银行", "SPDB_DEBIT": "浦发银行", "CITIC_DEBIT": "中信银行", "CEB_DEBIT": "光大银行",
	"CMBC_DEBIT": "民生银行", "CIB_DEBIT": "兴业银行", "GDB_DEBIT": "广发银行", "PSBC_DEBIT": "邮储银行", "NBCB_DEBIT": "宁波银行",
}

// merchantAccounts are where the money is when it went back to the merchant.
var merchantAccounts = []string{"商户基本账户", "商户结算银行账户"}

// An Elsewhere is where the money of an abnormal refund shall go. Of a card no more than
// the end is given: nobody needs the rest.
type Elsewhere struct {
	SubMchID    string
	OutRefundNo string
	Type        string
	BankType    string
	LastFour    string
}

// SendElsewhere has an abnormal refund go on, another way.
func (w *World) SendElsewhere(refundID string, to Elsewhere) (Refund, *Refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.accepted, func(r *refund) bool { return r.id == refundID })
	if i < 0 || w.accepted[i].subMchID != to.SubMchID {
		return Refund{}, Refuse(CodeNotFound).Say("退款单不存在")
	}
	r := w.accepted[i]
	bank := debitCards[to.BankType]
	switch {
	case r.application.OutRefundNo != to.OutRefundNo:
		return Refund{}, Refuse(CodeInvalid).Say("商户退款单号与微信支付退款单号不一致")
	case r.status != StatusAbnormal:
		return Refund{}, Refuse(CodeInvalid).Say("退款单状态不是退款异常，不能发起异常退款")
	case to.Type == ToUserCard && bank == "":
		return Refund{}, Refuse(CodeInvalid).Say("不支持的银行，仅支持指定银行的借记卡")
	}
	if to.Type == ToUserCard {
		r.elsewhere = bank + "借记卡" + to.LastFour
	} else {
		r.elsewhere = merchantAccounts[w.rand.draw("elsewhere", to.OutRefundNo).IntN(len(merchantAccounts))]
	}
	now := w.clock.now()
	r.status, r.due = StatusProcessing, now.Add(w.rand.seconds(minSettle, maxSettle, "settle elsewhere", to.OutRefundNo, len(r.past)))
	r.past = append(r.past, Change{now, StatusProcessing})
	w.plan(task{at: r.due, refund: r})
	w.touch(r.order, r)
	w.Log.Info("refund sent elsewhere", "out_refund_no", to.OutRefundNo, "type", to.Type)
	return r.snapshot(), nil
}
