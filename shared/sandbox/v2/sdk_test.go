package v2_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-pay/gopay"
	"github.com/go-pay/gopay/pkg/xhttp"
	gowechat "github.com/go-pay/gopay/wechat"
	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// TestAPublicSDKRefundsOverMutualTLS has a public SDK refund over mutual TLS, repeat, be refused, ask, and
// read the notification that is posted. Only the host is another.
func TestAPublicSDKRefundsOverMutualTLS(t *testing.T) {
	for _, signType := range []string{gowechat.SignType_MD5, gowechat.SignType_HMAC_SHA256} {
		t.Run(signType, func(t *testing.T) {
			type read struct {
				notification *gowechat.RefundNotifyRequest
				inner        *gowechat.RefundNotify
				err          error
			}
			var key string
			reads := make(chan read, 10)
			merchant := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var got read
				if got.notification, got.err = gowechat.ParseRefundNotify(r); got.err == nil {
					got.inner, got.err = gowechat.DecryptRefundNotifyReqInfo(got.notification.ReqInfo, key)
				}
				reads <- got
				answer := gowechat.NotifyResponse{ReturnCode: gopay.SUCCESS, ReturnMsg: gopay.OK}
				_, _ = rw.Write([]byte(answer.ToXmlString()))
			}))
			defer merchant.Close()
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.Transport, c.NotifyURL = nil, merchant.URL+"/notify" })
			settings := w.SettingsOf("global")
			key = settings["WXPAY_API_KEY"]
			url, config := sandboxtest.TLSServer(t, w)
			client := gowechat.NewClient(settings["WXPAY_APPID"], settings["WXPAY_MCHID"], key, true)
			client.BaseURL = url
			client.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(config))
			client.SetTLSHttpClient(xhttp.NewClient().SetHttpTLSConfig(config))
			w.Order("SDK-V2")

			ask := func(change map[string]any) gopay.BodyMap {
				bm := gopay.BodyMap{
					"nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "sign_type": signType, "out_trade_no": "SDK-V2", "out_refund_no": "R_1-|*@",
					"total_fee": 10000, "refund_fee": 888, "refund_fee_type": "CNY", "refund_desc": "x&z=1 商品已售完 <&>",
				}
				for name, value := range change {
					bm[name] = value
				}
				return bm
			}
			made, all, err := client.Refund(t.Context(), ask(nil))
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := gowechat.VerifySign(key, signType, all); !ok || err != nil {
				t.Errorf("the SDK does not verify the answer %v: %v", all, err)
			}
			if made.ReturnCode != "SUCCESS" || made.ResultCode != "SUCCESS" || made.OutRefundNo != "R_1-|*@" || made.RefundFee != "888" || made.TotalFee != "10000" || made.RefundId == "" {
				t.Errorf("Refund() = %+v", made)
			}
			again, _, err := client.Refund(t.Context(), ask(nil))
			if err != nil || again.RefundId != made.RefundId {
				t.Errorf("the same request again: %+v, %v", again, err)
			}
			other, _, err := client.Refund(t.Context(), ask(map[string]any{"refund_fee": 889}))
			if err != nil || other.ReturnCode != "SUCCESS" || other.ResultCode != "FAIL" || other.ErrCode == "" {
				t.Errorf("other amount under the same number: %+v, %v, want a refusal", other, err)
			}
			w.Advance("10m")

			got := <-reads
			if got.err != nil {
				t.Fatal(got.err)
			}
			if got.notification.ReturnCode != "SUCCESS" || got.notification.MchId != settings["WXPAY_MCHID"] || got.notification.Appid != settings["WXPAY_APPID"] {
				t.Errorf("notification %+v", got.notification)
			}
			want := &gowechat.RefundNotify{
				TransactionId: made.TransactionId, OutTradeNo: "SDK-V2", RefundId: made.RefundId, OutRefundNo: "R_1-|*@", TotalFee: "10000",
				SettlementTotalFee: got.inner.SettlementTotalFee, RefundFee: "888", SettlementRefundFee: "888", RefundStatus: "SUCCESS",
				SuccessTime: got.inner.SuccessTime, RefundRecvAccout: got.inner.RefundRecvAccout, RefundAccount: got.inner.RefundAccount, RefundRequestSource: "API",
			}
			if diff := cmp.Diff(want, got.inner); diff != "" || got.inner.SuccessTime == "" || got.inner.RefundRecvAccout == "" || got.inner.RefundAccount == "" {
				t.Errorf("notification (-want +got):\n%s\nof %+v", diff, got.inner)
			}
			if d := w.Deliveries(); len(d) != 1 || d[0].State != "delivered" || len(d[0].Attempts) != 1 {
				t.Errorf("deliveries %+v", d)
			}

			found, all, err := client.QueryRefund(t.Context(), gopay.BodyMap{"nonce_str": "n", "sign_type": signType, "out_refund_no": "R_1-|*@"})
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := gowechat.VerifySign(key, signType, all); !ok || err != nil {
				t.Errorf("the SDK does not verify the answer %v: %v", all, err)
			}
			if found.ResultCode != "SUCCESS" || found.RefundCount != "1" || found.OutRefundNo0 != "R_1-|*@" || found.RefundId0 != made.RefundId || found.RefundStatus0 != "SUCCESS" || found.RefundFee0 != "888" {
				t.Errorf("QueryRefund() = %+v", found)
			}
			none, _, err := client.QueryRefund(t.Context(), gopay.BodyMap{"nonce_str": "n", "sign_type": signType, "out_refund_no": "R2"})
			if err != nil || none.ErrCode != "REFUNDNOTEXIST" {
				t.Errorf("query of an unknown refund: %+v, %v, want REFUNDNOTEXIST", none, err)
			}
			client.ApiKey = "another-key-0123456789abcdefghij"
			if refused, _, err := client.Refund(t.Context(), ask(map[string]any{"out_refund_no": "R3"})); err != nil || refused.ReturnCode != "FAIL" {
				t.Errorf("signed with another key: %+v, %v, want FAIL", refused, err)
			}
		})
	}
}
