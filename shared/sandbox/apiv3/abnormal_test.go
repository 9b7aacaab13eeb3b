package apiv3_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-pay/gopay"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// anAbnormal makes an abnormal refund R1, and returns WeChat Pay's number of it.
func anAbnormal(w *sandboxtest.World) string {
	w.Order("T1")
	w.Refund("T1", "R1")
	return w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200).Field("refund_id").(string)
}

// sealed seals a field with the public key of WeChat Pay that the merchant has.
func sealed(t *testing.T, w *sandboxtest.World, plain string) string {
	t.Helper()
	key, err := utils.LoadPublicKey(w.Settings["WXPAY_PUBLIC_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	out, err := wxpay.SealField(key, plain)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sendElsewhere asks for it, naming the key that fields are sealed with.
func sendElsewhere(w *sandboxtest.World, id, serial string, body map[string]any) sandboxtest.Answer {
	b, err := json.Marshal(body)
	if err != nil {
		w.T.Fatal(err)
	}
	r := w.Request("POST", sandboxtest.RefundsPath+"/"+id+"/apply-abnormal-refund", string(b))
	r.Header.Del("Wechatpay-Serial")
	if serial != "" {
		r.Header.Set("Wechatpay-Serial", serial)
	}
	return sandboxtest.Serve(w.Sandbox.WeChat(), r)
}

func aCard(t *testing.T, w *sandboxtest.World) map[string]any {
	return map[string]any{
		"out_refund_no": "R1", "type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT",
		"bank_account": sealed(t, w, "6222020200112233"), "real_name": sealed(t, w, "张三"),
	}
}

// The money of an abnormal refund goes to a card of the payer's or back to the merchant:
// it is being processed again, and succeeds with a notification that says where it went.
func TestAnAbnormalRefundIsSentElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		body     func(*testing.T, *sandboxtest.World) map[string]any
		accounts []string
	}{
		"to a card": {aCard, []string{"工商银行借记卡2233"}},
		"to the merchant": {func(*testing.T, *sandboxtest.World) map[string]any {
			return map[string]any{"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}
		}, []string{"商户基本账户", "商户结算银行账户"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sandboxtest.New(t, func(c *sandbox.Config) { c.Hostile = false })
				w.Run()
				id := anAbnormal(w)
				a := sendElsewhere(w, id, w.Settings["WXPAY_PUBLIC_KEY_ID"], c.body(t, w))
				if a.Status != 200 || a.Field("status") != "PROCESSING" || a.Field("out_refund_no") != "R1" || a.Field("refund_id") != id {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				if again := sendElsewhere(w, id, w.Settings["WXPAY_PUBLIC_KEY_ID"], c.body(t, w)); again.Field("code") != "INVALID_REQUEST" {
					t.Errorf("once more: %s", again.Body)
				}
				w.Advance("6m")
				found := w.Call("GET", sandboxtest.RefundsPath+"/R1", "")
				if found.Field("status") != "SUCCESS" || found.Field("channel") != "OTHER_BANKCARD" || !strings.Contains(strings.Join(c.accounts, " "), found.Field("user_received_account").(string)) {
					t.Errorf("%s", found.Body)
				}
				var told []string
				for _, d := range w.Deliveries() {
					told = append(told, d.EventType)
				}
				if fmt.Sprint(told) != "[REFUND.ABNORMAL REFUND.SUCCESS]" {
					t.Errorf("notifications: %v", told)
				}
			})
		})
	}
}

// One good request, one thing changed of it: each rule refuses, and nothing happens.
func TestEachRuleOfAbnormalRefundsIsHeld(t *testing.T) {
	w := sandboxtest.New(t)
	id := anAbnormal(w)
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R2","amount":1}`, 200)
	mine := w.Settings["WXPAY_PUBLIC_KEY_ID"]
	other := sandboxtest.OtherKeys(t)
	foreign, err := wxpay.SealField(&other.Merchant.RSA().PublicKey, "6222020200112233")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, serial string
		change     map[string]any
		code       string
	}{
		"no account":             {id, mine, map[string]any{"bank_account": nil}, "PARAM_ERROR"},
		"no name":                {id, mine, map[string]any{"real_name": nil}, "PARAM_ERROR"},
		"no bank":                {id, mine, map[string]any{"bank_type": nil}, "PARAM_ERROR"},
		"no type":                {id, mine, map[string]any{"type": nil}, "PARAM_ERROR"},
		"another type":           {id, mine, map[string]any{"type": "OTHER"}, "PARAM_ERROR"},
		"a field that is none":   {id, mine, map[string]any{"reason": "x"}, "PARAM_ERROR"},
		"a credit card":          {id, mine, map[string]any{"bank_type": "ICBC_CREDIT"}, "INVALID_REQUEST"},
		"an unlisted bank":       {id, mine, map[string]any{"bank_type": "HXB_DEBIT"}, "INVALID_REQUEST"},
		"not sealed":             {id, mine, map[string]any{"bank_account": "6222020200112233"}, "PARAM_ERROR"},
		"the name not sealed":    {id, mine, map[string]any{"real_name": "张三"}, "PARAM_ERROR"},
		"sealed for another":     {id, mine, map[string]any{"bank_account": foreign}, "PARAM_ERROR"},
		"no card":                {id, mine, map[string]any{"bank_account": sealed(t, w, "12")}, "PARAM_ERROR"},
		"no key named":           {id, "", nil, "PARAM_ERROR"},
		"a key of nobody":        {id, "PUB_KEY_ID_0", nil, "PARAM_ERROR"},
		"another refund's":       {id, mine, map[string]any{"out_refund_no": "R2"}, "INVALID_REQUEST"},
		"a sub-merchant's":       {id, mine, map[string]any{"sub_mchid": "1900000109"}, "RESOURCE_NOT_EXISTS"},
		"no such refund":         {"5", mine, nil, "RESOURCE_NOT_EXISTS"},
		"by the merchant's name": {"R1", mine, nil, "RESOURCE_NOT_EXISTS"},
	} {
		body := aCard(t, w)
		for field, value := range c.change {
			if body[field] = value; value == nil {
				delete(body, field)
			}
		}
		a := sendElsewhere(w, c.id, c.serial, body)
		for a.Field("code") == "FREQUENCY_LIMITED" { // six wrong ones a second
			a = sendElsewhere(w, c.id, c.serial, body)
		}
		if a.Field("code") != c.code {
			t.Errorf("%s: %d %s, want %s", name, a.Status, a.Body, c.code)
		}
	}
	if w.Status("R1") != "ABNORMAL" {
		t.Errorf("R1 is %v", w.Status("R1"))
	}
	if a := sendElsewhere(w, id, mine, aCard(t, w)); a.Status != 200 {
		t.Errorf("the good one: %s", a.Body)
	}
}

// Fields that are sealed with a platform certificate, also one that is not signed with
// yet, are opened as well.
func TestFieldsMayBeSealedWithACertificate(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = "certificate" })
	id := anAbnormal(w)
	w.Control("POST", "/_sandbox/keys/rotate", `{"in":"1h"}`, 200)
	c := w.Control("GET", "/_sandbox/credentials", "", 200)
	cert, err := utils.LoadCertificate(c.Field("platform_cert").(string))
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"out_refund_no": "R1", "type": "USER_BANK_CARD", "bank_type": "CMB_DEBIT"}
	for field, plain := range map[string]string{"bank_account": "6222020200112233", "real_name": "张三"} {
		if body[field], err = utils.EncryptOAEPWithCertificate(plain, cert); err != nil {
			t.Fatal(err)
		}
	}
	if a := sendElsewhere(w, id, utils.GetCertificateSerialNumber(*cert), body); a.Field("status") != "PROCESSING" {
		t.Errorf("%s", a.Body)
	}
}

// Faults strike the call only where they say so.
func TestFaultsStrikeAbnormalRefundsOnDemand(t *testing.T) {
	w := sandboxtest.New(t)
	id := anAbnormal(w)
	body := map[string]any{"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}
	w.Control("POST", "/_sandbox/faults", `{"upstream":"500_after","on":"abnormal","count":1}`, 200)
	if a := sendElsewhere(w, id, "", body); a.Status != 500 || w.Status("R1") != "PROCESSING" {
		t.Errorf("%d %s, and then %v", a.Status, a.Body, w.Status("R1"))
	}
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200)
	w.Control("POST", "/_sandbox/faults", `{"upstream":"500_before","count":1}`, 200)
	if a := sendElsewhere(w, id, "", body); a.Status != 200 {
		t.Errorf("a fault of refunds strikes: %d %s", a.Status, a.Body)
	}
}

// gopay seals and asks as its users do, for orders too.
func TestGoPayFinishesAnAbnormalRefund(t *testing.T) {
	w, _ := sdkWorld(t, "", "")
	id := anAbnormal(w)
	server := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(server.Close)
	c, err := gopayv3.NewClientV3(w.Signer.MchID, w.Signer.SerialNo, w.Settings["WXPAY_APIV3_KEY"], w.Settings["WXPAY_PRIVATE_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	c.SetProxyHost(server.URL)
	if err := c.AutoVerifySignByPublicKey([]byte(w.Settings["WXPAY_PUBLIC_KEY"]), w.Settings["WXPAY_PUBLIC_KEY_ID"]); err != nil {
		t.Fatal(err)
	}
	order, err := c.V3TransactionQueryOrder(t.Context(), gopayv3.OutTradeNo, "T1")
	if err != nil || order.Code != gopayv3.Success || order.Response.TradeState != "REFUND" || order.Response.Payer.Openid == "" {
		t.Errorf("order: %v, %+v", err, order)
	}
	account, err := c.V3EncryptText("6222020200112233")
	if err != nil {
		t.Fatal(err)
	}
	name, err := c.V3EncryptText("张三")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.V3AbnormalRefund(t.Context(), id, gopay.BodyMap{
		"out_refund_no": "R1", "type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT", "bank_account": account, "real_name": name,
	})
	if err != nil || got.Code != gopayv3.Success || got.Response.Status != "PROCESSING" {
		t.Errorf("abnormal: %v, %+v", err, got)
	}
}
