package refund

import "strings"

// Bounds of what a record keeps of an upstream's answer, so that none of them
// outgrows what a ledger can take (DynamoDB: 400 KB an item).
const (
	maxNumber     = 64       // bytes of a number or a currency; WeChat Pay's have 32
	maxText       = 512      // bytes of a text that no rule reads
	maxPromotions = 64 << 10 // bytes of the promotions, encoded
)

// bounded cuts what no rule reads to a size that can be kept: long texts, then
// the promotions' articles, then the promotions that do not fit.
func bounded(r Refund) Refund {
	for _, text := range []*string{&r.Channel, &r.UserReceivedAccount, &r.SuccessTime, &r.CreateTime, &r.FundsAccount} {
		*text = shortened(*text, maxText)
	}
	if len(r.RefundID) > maxNumber {
		r.RefundID = "" // nobody could ask by it
	}
	if len(r.Amount.From) > maxText/8 {
		r.Amount.From = nil
	}
	if size(r.PromotionDetail) <= maxPromotions {
		return r
	}
	var kept []Promotion
	left := maxPromotions
	for _, p := range r.PromotionDetail {
		p.GoodsDetail = nil
		if left -= size(p); left < 0 {
			break
		}
		kept = append(kept, p)
	}
	r.PromotionDetail = kept
	return r
}

// size is how many bytes a value takes in the ledger.
func size(v any) int {
	return len(encode(v))
}

// numbersFit reports whether order numbers and currencies in an answer are short enough to be kept.
func (r Refund) numbersFit() bool {
	return max(len(r.TransactionID), len(r.OutTradeNo), len(r.Amount.Currency), len(r.Amount.PayerCurrency)) <= maxNumber
}

// shortened is as much of a text as fits that many bytes.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
