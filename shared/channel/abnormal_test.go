package channel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const (
	refundID      = "50000000382019052709732678859"
	canaryAccount = "6222020200112233"
	canaryName    = "张三CANARY"
)

func toCard() refund.AbnormalRequest {
	return refund.AbnormalRequest{
		OutRefundNo: "R1", RefundID: refundID, Type: "USER_BANK_CARD", BankType: "ICBC_DEBIT", BankAccount: canaryAccount, RealName: canaryName,
	}
}

func toMerchant() refund.AbnormalRequest {
	return refund.AbnormalRequest{OutRefundNo: "R1", RefundID: refundID, Type: "MERCHANT_BANK_CARD"}
}

// The call goes by WeChat Pay's own number, what is said of a card is sealed for the key
// that Wechatpay-Serial names, and a provider names its sub-merchant.
func TestAPIv3FinishAbnormalOnTheWire(t *testing.T) {
	const processing = `"status":"PROCESSING"`
	for name, c := range map[string]struct {
		request refund.AbnormalRequest
		sub     string
		body    string
	}{
		"to a card":     {toCard(), "", `{"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT"}`},
		"to merchant":   {toMerchant(), "", `{"out_refund_no":"R1","type":"MERCHANT_BANK_CARD"}`},
		"of a provider": {toCard(), "1900000110", `{"sub_mchid":"1900000110","out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT"}`},
	} {
		var log bytes.Buffer
		ch := serve(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
			if got := r.Method + " " + r.URL.RequestURI(); got != "POST /v3/refund/domestic/refunds/"+refundID+"/apply-abnormal-refund" {
				t.Errorf("%s: %s", name, got)
			}
			if got := r.Header["Wechatpay-Serial"]; len(got) != 1 || got[0] != serial {
				t.Errorf("%s: Wechatpay-Serial %q", name, got)
			}
			if strings.Contains(string(body), canaryAccount) || strings.Contains(string(body), canaryName) {
				t.Errorf("%s: a card in the clear", name)
			}
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Error(err)
			}
			for field, want := range map[string]string{"bank_account": c.request.BankAccount, "real_name": c.request.RealName} {
				sealed, _ := got[field].(string)
				delete(got, field)
				if want == "" && sealed == "" {
					continue
				}
				if plain, err := wxpay.OpenField(platformKey(), sealed); err != nil || plain != want {
					t.Errorf("%s: %s: %v", name, field, err)
				}
			}
			isEqual(t, name, decode(t, c.body), any(got))
			signed(t, w, 200, strings.Replace(object, `"status":"SUCCESS"`, processing, 1))
		})
		ch.SubMchID, ch.Log = c.sub, slog.New(slog.NewJSONHandler(&log, nil))
		got, err := ch.FinishAbnormal(t.Context(), c.request)
		wanted := want()
		wanted.Status = refund.StatusProcessing
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		isEqual(t, name, wanted, got)
		if log.Len() > 0 {
			t.Errorf("%s: %s", name, &log)
		}
	}
}

// Without a public key the card is sealed with the newest certificate.
func TestAPIv3SealsACardWithTheNewestCertificate(t *testing.T) {
	ch := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
		if got := r.Header.Get("Wechatpay-Serial"); got != "5157F09E" {
			t.Errorf("Wechatpay-Serial %q", got)
		}
		sign(t, w, "5157F09E", object, time.Now())
		_, _ = w.Write([]byte(object))
	})
	ch.Client.Keys = wxpay.NewKeyring(nil, func(context.Context) ([]wxpay.Certificate, error) {
		return []wxpay.Certificate{
			{SerialNo: "OLD", Key: &merchantKey().PublicKey, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour)},
			{SerialNo: "5157F09E", Key: &platformKey().PublicKey, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)},
		}, nil
	})
	if _, err := ch.FinishAbnormal(t.Context(), toCard()); err != nil {
		t.Error(err)
	}
	ch.Client.Keys = wxpay.NewKeyring(nil, func(context.Context) ([]wxpay.Certificate, error) { return nil, errors.New("down") })
	_, err := ch.FinishAbnormal(t.Context(), toCard())
	isUnsent(t, "no key", err)
}

// Only an answer about this refund counts, and only a code of the table refuses; whatever
// else comes leaves it open whether it was taken. No error has the card in it.
func TestAPIv3FinishAbnormalErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		row    errorRow
	}{
		"not abnormal":    {400, `{"code":"INVALID_REQUEST","message":"退款单状态不是退款异常"}`, errorRow{"INVALID_REQUEST", refund.CodeRejected, refund.LaterOrFix}},
		"a field":         {400, `{"code":"PARAM_ERROR","message":"参数错误"}`, errorRow{"PARAM_ERROR", refund.CodeInvalid, refund.AfterFix}},
		"no permission":   {403, `{"code":"NO_AUTH","message":"x"}`, errorRow{"NO_AUTH", refund.CodeRejected, refund.LaterOrFix}},
		"no refund":       {404, `{"code":"RESOURCE_NOT_EXISTS","message":"退款单不存在"}`, errorRow{"RESOURCE_NOT_EXISTS", refund.CodeNotFound, refund.LaterOrFix}},
		"busy":            {500, `{"code":"SYSTEM_ERROR","message":"x"}`, errorRow{"SYSTEM_ERROR", refund.CodeUnavailable, refund.SameNumber}},
		"too many":        {429, `{"code":"FREQUENCY_LIMITED","message":"x"}`, errorRow{"FREQUENCY_LIMITED", refund.CodeUnavailable, refund.Later}},
		"nothing":         {204, ``, errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
		"another refund":  {200, strings.Replace(object, `"R1"`, `"R2"`, 1), errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
		"another number":  {200, strings.Replace(object, refundID, "5", 1), errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
		"no refund in it": {200, `{}`, errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
		"no JSON":         {200, `PROCESSING`, errorRow{"", refund.CodeUnavailable, refund.SameNumber}},
	} {
		ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { signed(t, w, c.status, c.body) })
		_, err := ch.FinishAbnormal(t.Context(), toCard())
		e := refund.AsError(err)
		if err == nil || e.Code != c.row.want || e.Next != c.row.next || e.Upstream != c.row.code || e.MaybeNumberTaken || strings.Contains(e.Message, "identically") {
			t.Errorf("%s: %+v", name, e)
		}
		if text := fmt.Sprintf("%v %+v", err, e); strings.Contains(text, canaryAccount) || strings.Contains(text, "CANARY") {
			t.Errorf("%s: %s", name, text)
		}
	}
	ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { hangUp(w) })
	_, err := ch.FinishAbnormal(t.Context(), toCard())
	isUnknown(t, "hung up", err)
}

// Nothing is sent that cannot be right, and only APIv3 has the call.
func TestFinishAbnormalIsCheckedBeforeItIsSent(t *testing.T) {
	ch := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) { t.Errorf("%s was sent", r.URL) })
	for name, change := range map[string]func(*refund.AbnormalRequest){
		"no account":   func(a *refund.AbnormalRequest) { a.BankAccount = "" },
		"no name":      func(a *refund.AbnormalRequest) { a.RealName = "" },
		"no bank":      func(a *refund.AbnormalRequest) { a.BankType = "" },
		"a card":       func(a *refund.AbnormalRequest) { a.Type = "MERCHANT_BANK_CARD" },
		"no number":    func(a *refund.AbnormalRequest) { a.RefundID = "" },
		"a long name":  func(a *refund.AbnormalRequest) { a.RealName = strings.Repeat("名", 100) },
		"another type": func(a *refund.AbnormalRequest) { a.Type = "OTHER" },
	} {
		a := toCard()
		change(&a)
		if _, err := ch.FinishAbnormal(t.Context(), a); !refund.IsCode(err, refund.CodeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []refund.Channel{&channel.CloudBase{}, &channel.CloudPay{}, &channel.Global{}, &channel.WeCom{}} {
		if _, err := c.FinishAbnormal(t.Context(), toCard()); !refund.IsCode(err, refund.CodeInvalid) || !strings.Contains(err.Error(), "merchant platform") || c.Spec().Abnormal {
			t.Errorf("%s: %v", c.Spec().Name, err)
		}
	}
	if !ch.Spec().Abnormal {
		t.Error("APIv3 has the call")
	}
}
