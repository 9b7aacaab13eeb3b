package apiv3_test

import (
	"testing"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	partner "github.com/wechatpay-apiv3/wechatpay-go/services/partnerpayments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
)

// The official SDK asks for orders as a merchant and as a service provider, by either
// number, and reads who has paid.
func TestTheOfficialSDKAsksForOrders(t *testing.T) {
	for name, run := range sdkRuns {
		t.Run(name, func(t *testing.T) {
			w, h := sdkWorld(t, run.merchant, run.share)
			c, _ := run.mode(t, w, h)
			w.Pay(`{"out_trade_no":"SDK|1*@","transaction_id":"4200001","total":10000,"openid":"oBuyer","success_time":"2018-06-08T10:34:56+08:00",
				"promotion_detail":[{"promotion_id":"2","scope":"SINGLE","type":"DISCOUNT","amount":20}]}`)
			own := jsapi.JsapiApiService{Client: c}
			mchID := core.String(w.Signer.MchID)
			byTrade, _, err := own.QueryOrderByOutTradeNo(t.Context(), jsapi.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("SDK|1*@"), Mchid: mchID})
			if err != nil {
				t.Fatal(err)
			}
			byID, _, err := own.QueryOrderById(t.Context(), jsapi.QueryOrderByIdRequest{TransactionId: core.String("4200001"), Mchid: mchID})
			if err != nil {
				t.Fatal(err)
			}
			if *byTrade.Payer.Openid != "oBuyer" || *byTrade.TradeState != "SUCCESS" || *byTrade.Amount.Total != 10000 || *byTrade.Amount.PayerTotal != 9980 ||
				*byTrade.SuccessTime != "2018-06-08T10:34:56+08:00" || *byTrade.TradeType != "JSAPI" || *byTrade.PromotionDetail[0].GoodsDetail[0].Quantity != 1 {
				t.Errorf("%v", byTrade)
			}
			if byTrade.String() != byID.String() {
				t.Errorf("by number: %v, by WeChat Pay's: %v", byTrade, byID)
			}
			_, _, err = own.QueryOrderById(t.Context(), jsapi.QueryOrderByIdRequest{TransactionId: core.String("4200002"), Mchid: mchID})
			if !core.IsAPIError(err, "ORDER_NOT_EXIST") {
				t.Error(err)
			}
			sub := w.Control("GET", "/_sandbox/credentials", "", 200).Field("sub_mchid").(string)
			served := partner.JsapiApiService{Client: c}
			forServed, _, err := served.QueryOrderByOutTradeNo(t.Context(), partner.QueryOrderByOutTradeNoRequest{OutTradeNo: core.String("SDK|1*@"), SpMchid: mchID, SubMchid: &sub})
			if err != nil {
				t.Fatal(err)
			}
			if *forServed.Payer.SpOpenid != "oBuyer" || *forServed.Payer.SubOpenid == "oBuyer" || *forServed.SubMchid != sub || *forServed.SpMchid != w.Signer.MchID {
				t.Errorf("%v", forServed)
			}
		})
	}
}
