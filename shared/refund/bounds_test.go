package refund_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// E12: a record stays far below what DynamoDB takes, whatever its articles, its
// promotions, and subscribers that never answer.
func TestRecordStaysSmall(t *testing.T) {
	f := clocked(t)
	f.Subscribers = []refund.Subscriber{{Name: "a", Tell: failing}, {Name: "b", Tell: failing}, {Name: "c", Tell: failing}}
	r := request("R1", 60)
	for i := range 100 {
		r.GoodsDetail = append(r.GoodsDetail, refund.Goods{
			MerchantGoodsID: fmt.Sprintf("%032d", i), WechatpayGoodsID: strings.Repeat("w", 32), GoodsName: strings.Repeat("名", 85),
			UnitPrice: 1 << 52, RefundAmount: 1 << 52, RefundQuantity: 1 << 52,
		})
	}
	f.up.named = func(reported *refund.Refund) {
		reported.UserReceivedAccount = strings.Repeat("户", 10_000)
		for range 100 {
			reported.PromotionDetail = append(reported.PromotionDetail, refund.Promotion{PromotionID: strings.Repeat("p", 32), RefundAmount: 1, GoodsDetail: r.GoodsDetail})
		}
	}
	for i := range 25 { // corrected again and again
		f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
		c := r
		c.Reason = fmt.Sprintf("%080d", i)
		_, err := f.Refund(t.Context(), server, c)
		if e := refund.AsError(err); e.Code != refund.CodeInvalid && e.Next != refund.NewNumber {
			t.Fatal(err)
		}
	}
	f.up.before = nil
	no := r
	no.OutRefundNo = "R2"
	f.must(t, no)
	for i := range 40 {
		f.up.set("R2", []refund.Status{refund.StatusAbnormal, refund.StatusProcessing}[i%2])
		f.later(t, 2*time.Hour)
	}
	for _, n := range []string{"R1", "R2"} {
		items := f.items(t, refund.Key("refund/"+n))
		if size := len(items[0].Body); size > 350<<10 {
			t.Errorf("%s has %d bytes", n, size)
		} else {
			t.Logf("%s has %d bytes", n, size)
		}
	}
}
