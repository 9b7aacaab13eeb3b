package refund

import (
	"encoding/json"
	"strings"
)

// Bounds of what a record keeps of an upstream's answer, so that none of them
// outgrows what a ledger can take (DynamoDB: 400 KB an item).
const (
	maxText       = 512      // bytes of a text that nothing hangs on
	maxPromotions = 64 << 10 // bytes of the promotions, encoded
)

// bounded cuts what nothing hangs on to a size that can be kept: long texts, then
// the promotions' articles, then the promotions that do not fit.
func bounded(r Refund) Refund {
	for _, text := range []*string{&r.Channel, &r.UserReceivedAccount, &r.SuccessTime, &r.CreateTime, &r.FundsAccount} {
		if len(*text) > maxText {
			*text = strings.ToValidUTF8((*text)[:maxText], "")
		}
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
	b, err := json.Marshal(v)
	if err != nil {
		return maxPromotions + 1
	}
	return len(b)
}
