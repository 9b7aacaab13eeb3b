package clients_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/ArtisanCloud/PowerWeChat/v3/src/kernel/models"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/kernel/support"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/payment"
	notify "github.com/ArtisanCloud/PowerWeChat/v3/src/payment/notify/request"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/payment/refund/request"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/payment/refund/response"

	"wxrefund/shared/sandbox/sandboxtest"
)

// powerWeChat verifies no signatures: what it does not believe is what it cannot open. Its
// host can be set.
func powerWeChat(s *stage, r *sandboxtest.Receiver) {
	logs := s.t.TempDir()
	client := func(apiv3Key string) *payment.Payment {
		c, err := payment.NewPayment(&payment.UserConfig{
			AppID: s.credentials["appid"], MchID: s.credentials["mchid"], MchApiV3Key: apiv3Key,
			CertPath: s.file("apiclient_cert.pem", s.credentials["client_cert"]), KeyPath: s.file("apiclient_key.pem", s.credentials["private_key"]),
			SerialNo: s.credentials["serial_no"], Http: payment.Http{BaseURI: s.wechat},
			Log: payment.Log{Level: "error", File: filepath.Join(logs, "info.log"), Error: filepath.Join(logs, "error.log")},
		})
		if err != nil {
			s.t.Fatal(err)
		}
		return c
	}
	c := client(s.credentials["apiv3_key"])

	answer := func(a *response.ResponseRefund, err error) (v3Refund, error) {
		switch {
		case err != nil:
			return v3Refund{}, err
		case a.Code != "":
			return v3Refund{}, errors.New(a.Code)
		}
		return v3Refund{a.RefundID, a.Status, int64(a.Amount.Refund)}, nil
	}
	s.tryV3(r, v3Client{
		refund: func(number string, fen int64, notifyURL string) (v3Refund, error) {
			return answer(c.Refund.Refund(s.t.Context(), &request.RequestRefund{
				OutTradeNo: "T1", OutRefundNo: number, Reason: "商品 <&> 已售完", NotifyUrl: notifyURL,
				Amount: &request.RefundAmount{Refund: int(fen), Total: 10000, Currency: "CNY"},
			}))
		},
		find: func(number string) (v3Refund, error) { return answer(c.Refund.Query(s.t.Context(), number)) },
		open: func(r *http.Request, key string) (out v3Refund, err error) {
			_, err = client(key).HandleRefundedNotify(r, func(_ *notify.RequestNotify, refund *models.Refund, _ func(string)) any {
				out = v3Refund{refund.RefundID, refund.RefundStatus, refund.Amount.Refund}
				return true
			})
			return out, err
		},
		order: func(number string) (paidOrder, error) {
			a, err := c.Order.QueryByOutTradeNumber(s.t.Context(), number)
			switch {
			case err != nil:
				return paidOrder{}, err
			case a.Code != "":
				return paidOrder{}, errors.New(a.Code)
			}
			return paidOrder{a.TradeState, a.Payer.OpenID, int64(a.Amount.Total)}, nil
		},
		certificates: func(key string) (string, error) {
			a, err := c.Security.GetCertificates(s.t.Context())
			if err != nil {
				return "", err
			}
			if len(a.Data) == 0 {
				return "", errors.New("no certificates, and no code") // it keeps neither status nor code
			}
			var serials []string
			for _, c := range a.Data {
				sealed := c.EncryptCertificate
				if _, err := support.DecryptAES256GCM(key, sealed.AssociatedData, sealed.Nonce, sealed.Ciphertext); err != nil {
					return "", err
				}
				serials = append(serials, c.SerialNo)
			}
			return strings.Join(serials, ","), nil
		},
	})
}
