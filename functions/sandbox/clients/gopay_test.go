package clients_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-pay/gopay"
	"github.com/go-pay/gopay/pkg/xhttp"
	gopayv2 "github.com/go-pay/gopay/wechat"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"

	"wxrefund/shared/sandbox/sandboxtest"
)

// goPayV3 verifies with the certificates that it fetches, with the public key that it is
// given, or with both. Its host can be set.
func goPayV3(s *stage, r *sandboxtest.Receiver) {
	client := func(apiv3Key string) *gopayv3.ClientV3 {
		c, err := gopayv3.NewClientV3(s.credentials["mchid"], s.credentials["serial_no"], apiv3Key, s.credentials["private_key"])
		if err != nil {
			s.t.Fatal(err)
		}
		c.SetProxyHost(s.wechat)
		return c
	}
	c := client(s.credentials["apiv3_key"])
	if s.kind != "certificate" {
		if err := c.AutoVerifySignByPublicKey([]byte(s.credentials["public_key"]), s.credentials["public_key_id"]); err != nil {
			s.t.Fatal(err)
		}
	}
	if s.kind != "public-key" {
		if err := c.AutoVerifySign(false); err != nil {
			s.t.Fatal(err)
		}
	}
	answer := func(status int, no gopayv3.ErrResponse, yes func() v3Refund, err error) (v3Refund, error) {
		switch {
		case err != nil:
			return v3Refund{}, err
		case status != gopayv3.Success:
			return v3Refund{}, errors.New(no.Code)
		}
		return yes(), nil
	}
	s.tryV3(r, v3Client{
		refund: func(number string, fen int64, notifyURL string) (v3Refund, error) {
			a, err := c.V3Refund(s.t.Context(), gopay.BodyMap{
				"out_trade_no": "T1", "out_refund_no": number, "reason": "商品 <&> 已售完", "notify_url": notifyURL,
				"amount": gopay.BodyMap{"refund": fen, "total": 10000, "currency": "CNY"},
			})
			return answer(a.Code, a.ErrResponse, func() v3Refund {
				return v3Refund{a.Response.RefundId, a.Response.Status, int64(a.Response.Amount.Refund)}
			}, err)
		},
		find: func(number string) (v3Refund, error) {
			a, err := c.V3RefundQuery(s.t.Context(), number, nil)
			return answer(a.Code, a.ErrResponse, func() v3Refund {
				return v3Refund{a.Response.RefundId, a.Response.Status, int64(a.Response.Amount.Refund)}
			}, err)
		},
		open: func(r *http.Request, key string) (v3Refund, error) {
			n, err := gopayv3.V3ParseNotify(r)
			if err == nil {
				err = n.VerifySignByPKMap(c.WxPublicKeyMap())
			}
			if err != nil {
				return v3Refund{}, err
			}
			a, err := n.DecryptRefundCipherText(key)
			if err != nil {
				return v3Refund{}, err
			}
			return v3Refund{a.RefundId, a.RefundStatus, int64(a.Amount.Refund)}, nil
		},
		order: func(number string) (paidOrder, error) {
			a, err := c.V3TransactionQueryOrder(s.t.Context(), gopayv3.OutTradeNo, number)
			switch {
			case err != nil:
				return paidOrder{}, err
			case a.Code != gopayv3.Success:
				return paidOrder{}, errors.New(a.ErrResponse.Code)
			}
			return paidOrder{a.Response.TradeState, a.Response.Payer.Openid, int64(a.Response.Amount.Total)}, nil
		},
		certificates: func(key string) (string, error) {
			_, all, err := client(key).GetAndSelectNewestCert()
			return strings.Join(slices.Sorted(maps.Keys(all)), ","), err
		},
	})
}

// goPayV2 is its client of v2. Its host can be set.
func goPayV2(s *stage, r *sandboxtest.Receiver) {
	client := func(key string) *gopayv2.Client {
		c := gopayv2.NewClient(s.credentials["appid"], s.credentials["mchid"], key, true)
		c.BaseURL = s.wechatTLS
		c.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(s.tls))
		c.SetTLSHttpClient(xhttp.NewClient().SetHttpTLSConfig(s.tls))
		return c
	}
	genuine := func(key, signType string, all gopay.BodyMap) error {
		if ok, err := gopayv2.VerifySign(key, signType, all); !ok || err != nil {
			return errors.New("the answer's signature is wrong")
		}
		return nil
	}
	names := func(signType string) gopay.BodyMap {
		return gopay.BodyMap{"nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "sign_type": signType}
	}
	s.tryV2(r, v2Client{
		refund: func(signType, number, fee, key string) (v2Refund, error) {
			a, all, err := client(key).Refund(s.t.Context(), names(signType).
				Set("out_trade_no", "T1").Set("out_refund_no", number).Set("total_fee", 10000).Set("refund_fee", fee).
				Set("refund_desc", "商品 <&> 已售完").Set("notify_url", sandboxtest.NotifyURL))
			switch {
			case err != nil:
				return v2Refund{}, err
			case a.ReturnCode != "SUCCESS":
				return v2Refund{}, errors.New(a.ReturnMsg)
			case a.ResultCode != "SUCCESS":
				return v2Refund{}, errors.New(a.ErrCode)
			}
			return v2Refund{a.RefundId, a.ResultCode, a.RefundFee}, genuine(key, signType, all)
		},
		find: func(signType, number string) (v2Refund, error) {
			key := s.credentials["api_key"]
			a, all, err := client(key).QueryRefund(s.t.Context(), names(signType).Set("out_refund_no", number))
			switch {
			case err != nil:
				return v2Refund{}, err
			case a.ResultCode != "SUCCESS":
				return v2Refund{}, errors.New(a.ErrCode)
			}
			return v2Refund{a.RefundId0, a.RefundStatus0, a.RefundFee0}, genuine(key, signType, all)
		},
		order: func(signType, number string) (paidOrder, error) {
			a, all, err := client(s.credentials["api_key"]).QueryOrder(s.t.Context(), names(signType).Set("out_trade_no", number))
			switch {
			case err != nil:
				return paidOrder{}, err
			case a.ResultCode != "SUCCESS":
				return paidOrder{}, errors.New(a.ErrCode)
			}
			fen, err := strconv.ParseInt(a.TotalFee, 10, 64)
			return paidOrder{a.TradeState, a.Openid, fen}, errors.Join(err, genuine(s.credentials["api_key"], signType, all))
		},
		open: func(r *http.Request, key string) (v2Refund, error) {
			n, err := gopayv2.ParseRefundNotify(r)
			if err != nil {
				return v2Refund{}, err
			}
			a, err := gopayv2.DecryptRefundNotifyReqInfo(n.ReqInfo, key)
			if err != nil {
				return v2Refund{}, err
			}
			return v2Refund{a.RefundId, a.RefundStatus, a.RefundFee}, nil
		},
	})
}
