package clients_test

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/downloader"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/services/refunddomestic"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"wxrefund/shared/sandbox/sandboxtest"
)

// weChatPayGo is WeChat Pay's own: with the certificates that it downloads, or with the
// public key. Whoever changes over asks with the public key and reads notifications with
// both, as WeChat Pay has it. Its host is fixed: as with HTTPS_PROXY, it comes through the
// proxy that WeChat's side is.
func weChatPayGo(s *stage, r *sandboxtest.Receiver) {
	check := func(err error) {
		if err != nil {
			s.t.Helper()
			s.t.Fatal(err)
		}
	}
	proxy, err := url.Parse(s.wechat)
	check(err)
	private, err := utils.LoadPrivateKey(s.credentials["private_key"])
	check(err)
	var public *rsa.PublicKey
	if s.kind != "certificate" {
		public, err = utils.LoadPublicKey(s.credentials["public_key"])
		check(err)
	}
	mchid, serial, id := s.credentials["mchid"], s.credentials["serial_no"], s.credentials["public_key_id"]
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	elsewhere := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: s.tls.RootCAs, MinVersion: tls.VersionTLS12},
	}}
	defer elsewhere.CloseIdleConnections()
	client := func(options ...core.ClientOption) *core.Client {
		c, err := core.NewClient(ctx, append(options, option.WithHTTPClient(elsewhere))...)
		check(err)
		return c
	}
	download := func(apiv3Key string) (*downloader.CertificateDownloaderMgr, error) {
		manager := downloader.NewCertificateDownloaderMgr(ctx)
		bare := client(option.WithMerchantCredential(mchid, serial, private), option.WithoutValidator())
		return manager, manager.RegisterDownloaderWithClient(ctx, bare, mchid, apiv3Key)
	}

	var (
		c        *core.Client
		verifier auth.Verifier
	)
	if s.kind != "certificate" {
		c = client(option.WithWechatPayPublicKeyAuthCipher(mchid, serial, private, id, public))
		verifier = verifiers.NewSHA256WithRSAPubkeyVerifier(id, *public)
	}
	if s.kind != "public-key" {
		manager, err := download(s.credentials["apiv3_key"])
		check(err)
		defer manager.Stop()
		visitor := manager.GetCertificateVisitor(mchid)
		if s.kind == "switching" {
			verifier = verifiers.NewSHA256WithRSACombinedVerifier(visitor, id, *public)
		} else {
			c = client(option.WithWechatPayAutoAuthCipherUsingDownloaderMgr(mchid, serial, private, manager))
			verifier = verifiers.NewSHA256WithRSAVerifier(visitor)
		}
	}

	api := refunddomestic.RefundsApiService{Client: c}
	answer := func(a *refunddomestic.Refund, err error) (v3Refund, error) {
		if err != nil {
			return v3Refund{}, err
		}
		return v3Refund{*a.RefundId, string(*a.Status), *a.Amount.Refund}, nil
	}
	s.tryV3(r, v3Client{
		refund: func(number string, fen int64, notifyURL string) (v3Refund, error) {
			a, _, err := api.Create(ctx, refunddomestic.CreateRequest{
				OutTradeNo: core.String("T1"), OutRefundNo: &number, Reason: core.String("商品 <&> 已售完"), NotifyUrl: &notifyURL,
				Amount: &refunddomestic.AmountReq{Refund: &fen, Total: core.Int64(10000), Currency: core.String("CNY")},
			})
			return answer(a, err)
		},
		find: func(number string) (v3Refund, error) {
			a, _, err := api.QueryByOutRefundNo(ctx, refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: &number})
			return answer(a, err)
		},
		open: func(r *http.Request, key string) (out v3Refund, err error) {
			handler, err := notify.NewRSANotifyHandler(key, verifier)
			check(err)
			var refund struct {
				RefundID     string `json:"refund_id"`
				RefundStatus string `json:"refund_status"`
				Amount       struct {
					Refund int64 `json:"refund"`
				} `json:"amount"`
			}
			_, err = handler.ParseNotifyRequest(ctx, r, &refund)
			return v3Refund{refund.RefundID, refund.RefundStatus, refund.Amount.Refund}, err
		},
		order: func(number string) (paidOrder, error) {
			a, _, err := (&jsapi.JsapiApiService{Client: c}).QueryOrderByOutTradeNo(ctx, jsapi.QueryOrderByOutTradeNoRequest{OutTradeNo: &number, Mchid: &mchid})
			if err != nil {
				return paidOrder{}, err
			}
			return paidOrder{*a.TradeState, *a.Payer.Openid, *a.Amount.Total}, nil
		},
		certificates: func(key string) (string, error) {
			manager, err := download(key)
			if err != nil {
				return "", err
			}
			defer manager.Stop()
			var serials []string
			for serial := range manager.GetCertificateVisitor(mchid).GetAll(ctx) {
				serials = append(serials, serial)
			}
			return strings.Join(serials, ","), nil
		},
	})
}
