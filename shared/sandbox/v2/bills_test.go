package v2_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-pay/gopay"
	"github.com/go-pay/gopay/pkg/xhttp"
	gowechat "github.com/go-pay/gopay/wechat"
	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// inTheYear2000 is for tests that move time. The keys are made before, in the present one:
// who comes over TLS later in this program verifies a certificate of today.
func inTheYear2000(t *testing.T, test func(*testing.T)) {
	t.Helper()
	sandboxtest.Keys()
	synctest.Test(t, test)
}

// v2Day is a day with two refunds of an order in yen, and the request for its bill.
func v2Day(t *testing.T) (w *sandboxtest.World, ask wxpay.Fields) {
	t.Helper()
	w = sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T1","total":10000,"currency":"JPY"}`)
	for _, number := range []string{"R1", "R2"} {
		if f := w.CallV2("/secapi/pay/refund", w.GlobalRefund(map[string]string{"out_refund_no": number, "refund_fee_type": "JPY"})); f["result_code"] != "SUCCESS" {
			t.Fatalf("refund: %v", f)
		}
	}
	day := strings.ReplaceAll(w.Issued(), "-", "")
	return w, wxpay.Fields{"appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001", "nonce_str": "n", "bill_date": day, "bill_type": "ALL"}
}

func download(w *sandboxtest.World, path, host string, ask wxpay.Fields, change map[string]string) sandboxtest.Answer {
	w.T.Helper()
	f := wxpay.Fields{}
	for _, fields := range []map[string]string{ask, change} {
		for name, value := range fields {
			f[name] = value
		}
	}
	r := w.RequestV2(path, w.Signed(f))
	if host != "" {
		r.Host = host
	}
	return sandboxtest.Serve(w.Sandbox.WeChat(), r)
}

func TestTheBillAbroadIsATextWithCurrencies(t *testing.T) {
	inTheYear2000(t, func(t *testing.T) {
		w, ask := v2Day(t)
		for _, sign := range []string{"", "HMAC-SHA256"} {
			a := download(w, "/pay/downloadbill", "", ask, map[string]string{"sign_type": sign})
			rows := w.BillRows(string(a.Body))
			if len(rows) != 4 {
				t.Fatalf("%q: %d rows of payments, refunds and sums, want 4: %s", sign, len(rows), a.Body)
			}
			for name, want := range map[string]string{
				"商户退款单号": "R1", "退款状态": "SUCCESS", "标价币种": "JPY", "订单金额(标价币种)": "0", "申请退款金额": "100",
				"用户退款币种": "CNY", "用户退款金额": "4.80", "退款结算币种": "JPY", "退款应结订单金额": "100",
			} {
				if got := rows[1][name]; got != want {
					t.Errorf("%q: %s = %s, want %s", sign, name, got, want)
				}
			}
		}
	})
}

func TestTheBillAtHomeHasTheHeadingsOfHome(t *testing.T) {
	inTheYear2000(t, func(t *testing.T) {
		w, ask := v2Day(t)
		file := string(download(w, "/pay/downloadbill", "api.mch.weixin.qq.com", ask, map[string]string{"tar_type": "GZIP"}).Body)
		z, err := gzip.NewReader(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil || !strings.Contains(string(plain), "应结订单金额,代金券金额,微信退款单号") {
			t.Errorf("%v, headings of %.200s", err, plain)
		}
	})
}

// One thing of a request that is granted is changed.
func TestEachRuleOfAV2BillIsToldInItsWords(t *testing.T) {
	inTheYear2000(t, func(t *testing.T) {
		w, ask := v2Day(t)
		for _, tc := range []struct {
			change       map[string]string
			code, reason string
		}{
			{map[string]string{"bill_date": strings.ReplaceAll(w.Today(0), "-", "")}, "20001", "invalid bill_date"},
			{map[string]string{"bill_date": "19991231"}, "20002", "No Bill Exist"},
			{map[string]string{"bill_date": "2000-01-01"}, "20001", "data format error"},
			{map[string]string{"bill_type": "OTHER"}, "20001", "data format error"},
			{map[string]string{"bill_type": "RECHARGE_REFUND"}, "20002", "No Bill Exist"},
			{map[string]string{"tar_type": "ZIP"}, "20001", "data format error"},
			{map[string]string{"nonce_str": ""}, "20001", "data format error"},
			{map[string]string{"sub_mch_id": "1900000002"}, "20007", "NOAUTH"},
			{map[string]string{"sub_mch_id": "1900000109"}, "20002", "No Bill Exist"},
		} {
			f := download(w, "/pay/downloadbill", "", ask, tc.change).Fields(t)
			if f["return_code"] != "FAIL" || f["error_code"] != tc.code || f["return_msg"] != tc.reason {
				t.Errorf("%v: %v, want FAIL %s %s", tc.change, f, tc.code, tc.reason)
			}
		}
		r := w.RequestV2("/pay/downloadbill", bytes.Replace(w.Signed(ask), []byte("<sign>"), []byte("<sign>0"), 1))
		if f := sandboxtest.Serve(w.Sandbox.WeChat(), r).Fields(t); f["return_code"] != "FAIL" || f["return_msg"] != "签名错误" {
			t.Errorf("wrong signature: %v, want FAIL 签名错误", f)
		}
		w.Control("POST", "/_sandbox/faults", `{"bill":"creating","count":1}`, 200)
		if f := download(w, "/pay/downloadbill", "", ask, nil).Fields(t); f["error_code"] != "20003" || f["return_msg"] != "Bill Creating" {
			t.Errorf("creating: %v, want 20003 Bill Creating", f)
		}
		w.Control("POST", "/_sandbox/faults", `{"bill":"wrong_hash","count":1}`, 200)
		if a := download(w, "/pay/downloadbill", "", ask, nil); !strings.Contains(string(a.Body), "R2") {
			t.Errorf("wrong_hash strikes where there is no hash: %s", a.Body)
		}
	})
}

func TestAV2BillOfAnAccountWantsACertificateAndHMAC(t *testing.T) {
	inTheYear2000(t, func(t *testing.T) {
		w, ask := v2Day(t)
		delete(ask, "bill_type")
		ask["sign_type"], ask["account_type"] = "HMAC-SHA256", "Basic"
		const path = "/pay/downloadfundflow"
		a := download(w, path, "", ask, nil)
		sum := sha1.Sum(a.Body)
		if rows := w.BillRows(string(a.Body)); len(rows) < 5 || a.Header.Get("Digest") != "SHA="+hex.EncodeToString(sum[:]) {
			t.Errorf("%d rows, Digest %s, want SHA=%x", len(rows), a.Header.Get("Digest"), sum)
		}
		for want, change := range map[string]map[string]string{
			"SIGNERROR": {"sign_type": "MD5"}, "PARAM_ERROR": {"account_type": "BASIC"}, "NO_BILL_EXIST": {"account_type": "Fees"},
		} {
			if f := download(w, path, "", ask, change).Fields(t); f["err_code"] != want {
				t.Errorf("%v: %v, want %s", change, f, want)
			}
		}
		r := w.RequestV2(path, w.Signed(ask))
		r.TLS = nil
		if a := sandboxtest.Serve(w.Sandbox.WeChat(), r); a.Status != 400 || !strings.Contains(string(a.Body), "certificate") {
			t.Errorf("without a certificate: %d %s", a.Status, a.Body)
		}
	})
}

func TestCloudPayHandsOutABillAsAText(t *testing.T) {
	inTheYear2000(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		if a := w.CloudPay("refund", sandboxtest.PayRefund); a.Field("result_code") != "SUCCESS" {
			t.Fatalf("refund: %s", a.Body)
		}
		day := strings.ReplaceAll(w.Issued(), "-", "")
		one := w.CloudPay("downloadBill", `{"nonce_str":"n","sub_mch_id":"1900000109","bill_date":"`+day+`","bill_type":"REFUND"}`)
		text, _ := one.Field("respdata").(string)
		rows := w.BillRows(text)
		if one.Field("errcode") != 0.0 || len(rows) != 2 || rows[0]["商户退款单号"] != "R1" || rows[0]["特约商户号"] != "1900000109" || rows[0]["商户号"] != "1900000001" {
			t.Errorf("bill of one: %s", one.Body)
		}
		all, _ := w.CloudPay("downloadBill", `{"nonce_str":"n","bill_date":"`+day+`","bill_type":"ALL"}`).Field("respdata").(string)
		if !strings.Contains(all, "`1900000110,") {
			t.Errorf("bill of all merchants lacks the others: %s", all)
		}
		none := w.CloudPay("downloadBill", `{"nonce_str":"n","bill_date":"19991231","bill_type":"ALL"}`)
		if diff := cmp.Diff(map[string]any{"return_code": "FAIL", "return_msg": "No Bill Exist", "error_code": "20002"}, none.Field("respdata")); diff != "" {
			t.Errorf("a day without a bill (-want +got):\n%s", diff)
		}
	})
}

// A public SDK downloads both bills of v2.
func TestAPublicSDKDownloadsV2sBills(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Transport = nil })
	w.Order("T1")
	w.Refund("T1", "R1")
	day := strings.ReplaceAll(w.Issued(), "-", "")
	settings := w.SettingsOf("global")
	url, config := sandboxtest.TLSServer(t, w)
	client := gowechat.NewClient(settings["WXPAY_APPID"], settings["WXPAY_MCHID"], settings["WXPAY_API_KEY"], true)
	client.BaseURL = url
	client.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(config))
	client.SetTLSHttpClient(xhttp.NewClient().SetHttpTLSConfig(config))
	for _, sign := range []string{gowechat.SignType_MD5, gowechat.SignType_HMAC_SHA256} {
		file, err := client.DownloadBill(t.Context(), gopay.BodyMap{"nonce_str": "n", "sign_type": sign, "bill_date": day, "bill_type": "REFUND"})
		if err != nil || !strings.Contains(file, ",`R1,`") {
			t.Errorf("%s: %v: %s", sign, err, file)
		}
	}
	file, err := client.DownloadFundFlow(t.Context(), gopay.BodyMap{"nonce_str": "n", "bill_date": day, "account_type": "Basic"})
	if err != nil || !strings.Contains(file, "记账时间") {
		t.Errorf("fund flow: %v: %s", err, file)
	}
}
