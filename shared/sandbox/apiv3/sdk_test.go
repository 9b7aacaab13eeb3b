package apiv3_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-pay/gopay"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/downloader"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/refunddomestic"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// redirect sends what was meant for the real host, which the SDK has fixed, to
// the sandbox. Nothing else about the request is changed.
type redirect struct{ to *url.URL }

func (r redirect) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = r.to.Scheme, r.to.Host
	return http.DefaultTransport.RoundTrip(request)
}

// sdkWorld is a sandbox on a real listener, and an HTTP client for the SDK.
// The public key signs so many of a hundred notifications; an empty share: the first day's.
func sdkWorld(t *testing.T, merchant, share string) (*sandboxtest.World, *http.Client) {
	t.Helper()
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Transport, c.Merchant = nil, merchant })
	if share != "" {
		w.Control("POST", "/_sandbox/keys/share", `{"percent":`+share+`}`, 200)
	}
	server := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return w, &http.Client{Transport: redirect{to}, Timeout: 10 * time.Second}
}

// sdkKey is the merchant's key as the SDK reads it.
func sdkKey(t *testing.T, w *sandboxtest.World) *rsa.PrivateKey {
	t.Helper()
	key, err := utils.LoadPrivateKey(w.Settings["WXPAY_PRIVATE_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// An sdkMode is a way in which the SDK can work: it returns a client and what verifies
// notifications.
type sdkMode func(*testing.T, *sandboxtest.World, *http.Client) (*core.Client, auth.Verifier)

// sdkDownloader downloads certificates.
func sdkDownloader(t *testing.T, w *sandboxtest.World, h *http.Client) (*downloader.CertificateDownloaderMgr, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	first, err := core.NewClient(ctx, option.WithHTTPClient(h),
		option.WithMerchantCredential(w.Signer.MchID, w.Signer.SerialNo, sdkKey(t, w)), option.WithoutValidator())
	if err != nil {
		t.Fatal(err)
	}
	manager := downloader.NewCertificateDownloaderMgr(ctx)
	t.Cleanup(manager.Stop)
	return manager, manager.RegisterDownloaderWithClient(ctx, first, w.Signer.MchID, w.Settings["WXPAY_APIV3_KEY"])
}

func sdkCertificates(t *testing.T, w *sandboxtest.World, h *http.Client) (*core.Client, auth.Verifier) {
	manager, err := sdkDownloader(t, w, h)
	if err != nil {
		t.Fatal(err)
	}
	client, err := core.NewClient(t.Context(), option.WithHTTPClient(h),
		option.WithWechatPayAutoAuthCipherUsingDownloaderMgr(w.Signer.MchID, w.Signer.SerialNo, sdkKey(t, w), manager))
	if err != nil {
		t.Fatal(err)
	}
	return client, verifiers.NewSHA256WithRSAVerifier(manager.GetCertificateVisitor(w.Signer.MchID))
}

func sdkPublicKey(t *testing.T, w *sandboxtest.World, h *http.Client) (*core.Client, auth.Verifier) {
	public, err := utils.LoadPublicKey(w.Settings["WXPAY_PUBLIC_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	id := w.Settings["WXPAY_PUBLIC_KEY_ID"]
	client, err := core.NewClient(t.Context(), option.WithHTTPClient(h),
		option.WithWechatPayPublicKeyAuthCipher(w.Signer.MchID, w.Signer.SerialNo, sdkKey(t, w), id, public))
	if err != nil {
		t.Fatal(err)
	}
	return client, verifiers.NewSHA256WithRSAPubkeyVerifier(id, *public)
}

// sdkBoth is what WeChat Pay asks of those who switch: to name the public key, and to
// verify notifications with either.
func sdkBoth(t *testing.T, w *sandboxtest.World, h *http.Client) (*core.Client, auth.Verifier) {
	client, _ := sdkPublicKey(t, w, h)
	public, err := utils.LoadPublicKey(w.Settings["WXPAY_PUBLIC_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	manager, err := sdkDownloader(t, w, h)
	if err != nil {
		t.Fatal(err)
	}
	return client, verifiers.NewSHA256WithRSACombinedVerifier(manager.GetCertificateVisitor(w.Signer.MchID), w.Settings["WXPAY_PUBLIC_KEY_ID"], *public)
}

// sdkRuns are the merchants with the modes that suit them.
var sdkRuns = map[string]struct {
	merchant, share string
	mode            sdkMode
}{
	"certificates, downloaded":             {"certificate", "", sdkCertificates},
	"certificates, as the switch begins":   {"switching", "", sdkCertificates},
	"both, as the switch begins":           {"switching", "", sdkBoth},
	"both, in the middle of the switch":    {"switching", "50", sdkBoth},
	"public key, at the end of the switch": {"switching", "100", sdkPublicKey},
	"public key":                           {"public-key", "", sdkPublicKey},
}

func TestTheOfficialSDKRefundsAsksAndReadsNotifications(t *testing.T) {
	for name, run := range sdkRuns {
		t.Run(name, func(t *testing.T) {
			type read struct {
				request      *notify.Request
				notification map[string]any
				err          error
			}
			var handler *notify.Handler
			reads := make(chan read, 10)
			merchant := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				notification := map[string]any{}
				request, err := handler.ParseNotifyRequest(r.Context(), r, &notification)
				reads <- read{request, notification, err}
				if err != nil {
					rw.WriteHeader(http.StatusUnauthorized)
				}
			}))
			defer merchant.Close()

			w, h := sdkWorld(t, run.merchant, run.share)
			c, verifier := run.mode(t, w, h)
			handler, _ = notify.NewRSANotifyHandler(w.Settings["WXPAY_APIV3_KEY"], verifier)
			w.Order("SDK-1")
			api := refunddomestic.RefundsApiService{Client: c}
			ask := refunddomestic.CreateRequest{
				OutTradeNo: core.String("SDK-1"), OutRefundNo: core.String("R_1-|*@"), Reason: core.String("商品已售完 <&>"),
				NotifyUrl: core.String(merchant.URL + "/notify"), FundsAccount: refunddomestic.REQFUNDSACCOUNT_AVAILABLE.Ptr(),
				Amount: &refunddomestic.AmountReq{
					Refund: core.Int64(888), Total: core.Int64(10000), Currency: core.String("CNY"),
					From: []refunddomestic.FundsFromItem{{Account: refunddomestic.ACCOUNT_AVAILABLE.Ptr(), Amount: core.Int64(888)}},
				},
				GoodsDetail: []refunddomestic.GoodsDetail{{
					MerchantGoodsId: core.String("1217752501201407033233368018"), UnitPrice: core.Int64(888),
					RefundAmount: core.Int64(888), RefundQuantity: core.Int64(1),
				}},
			}
			made, _, err := api.Create(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			if *made.Status != refunddomestic.STATUS_PROCESSING || *made.Amount.Refund != 888 || *made.Amount.PayerRefund != 888 ||
				*made.OutTradeNo != "SDK-1" || *made.FundsAccount != refunddomestic.FUNDSACCOUNT_AVAILABLE {
				t.Errorf("Create() = %v", made)
			}
			again, _, err := api.Create(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(made.String(), again.String()); diff != "" {
				t.Errorf("the same request again gives another refund (-first +second):\n%s", diff)
			}
			if a := w.Control("POST", "/_sandbox/refunds/R_1-%7C*@/settle", `{"status":"SUCCESS"}`, 200); a.Field("status") != "SUCCESS" {
				t.Errorf("settle: %s", a.Body)
			}
			got := <-reads
			if got.err != nil {
				t.Fatal(got.err)
			}
			if got.request.EventType != "REFUND.SUCCESS" || got.request.Resource.OriginalType != "refund" || len(got.request.ID) != 36 {
				t.Errorf("notification %+v", got.request)
			}
			success, _ := got.notification["success_time"].(string)
			if _, err := time.Parse(time.RFC3339, success); err != nil {
				t.Error(err)
			}
			want := map[string]any{
				"mchid": w.Signer.MchID, "transaction_id": *made.TransactionId, "out_trade_no": "SDK-1",
				"refund_id": *made.RefundId, "out_refund_no": "R_1-|*@", "refund_status": "SUCCESS",
				"success_time": success, "user_received_account": *made.UserReceivedAccount,
				"amount": map[string]any{"total": 10000.0, "refund": 888.0, "payer_total": 10000.0, "payer_refund": 888.0},
			}
			if diff := cmp.Diff(want, got.notification); diff != "" {
				t.Errorf("notification (-want +got):\n%s", diff)
			}
			if d := w.Deliveries(); len(d) != 1 || d[0].State != "delivered" || len(d[0].Attempts) != 1 {
				t.Errorf("deliveries %+v", d)
			}

			found, _, err := api.QueryByOutRefundNo(t.Context(), refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("R_1-|*@")})
			if err != nil {
				t.Fatal(err)
			}
			if *found.Status != refunddomestic.STATUS_SUCCESS || found.SuccessTime == nil || *found.RefundId != *made.RefundId {
				t.Errorf("QueryByOutRefundNo() = %v", found)
			}

			*ask.Amount.Refund, *ask.Amount.From[0].Amount = 889, 889
			if _, _, err = api.Create(t.Context(), ask); !core.IsAPIError(err, "INVALID_REQUEST") {
				t.Errorf("other amount under the same number: %v, want INVALID_REQUEST", err)
			}
			_, _, err = api.QueryByOutRefundNo(t.Context(), refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("R2")})
			if !core.IsAPIError(err, "RESOURCE_NOT_EXISTS") {
				t.Errorf("query of an unknown refund: %v, want RESOURCE_NOT_EXISTS", err)
			}
		})
	}
}

func TestTheOfficialSDKActsForAServedMerchant(t *testing.T) {
	w, h := sdkWorld(t, "public-key", "")
	c, _ := sdkPublicKey(t, w, h)
	w.Order("SDK-1")
	api := refunddomestic.RefundsApiService{Client: c}
	sub := w.Control("GET", "/_sandbox/credentials", "", 200).Field("sub_mchid").(string)
	_, _, err := api.Create(t.Context(), refunddomestic.CreateRequest{
		SubMchid: &sub, OutTradeNo: core.String("SDK-1"), OutRefundNo: core.String("R1"),
		Amount: &refunddomestic.AmountReq{Refund: core.Int64(1), Total: core.Int64(10000), Currency: core.String("CNY")},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = api.QueryByOutRefundNo(t.Context(), refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("R1"), SubMchid: &sub})
	if err != nil {
		t.Error(err)
	}
	_, _, err = api.QueryByOutRefundNo(t.Context(), refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("R1")})
	if !core.IsAPIError(err, "RESOURCE_NOT_EXISTS") {
		t.Errorf("query without sub_mchid: %v, want RESOURCE_NOT_EXISTS", err)
	}
}

// Of many notifications in the middle of a switch either key signs some, and the SDK
// verifies every one if it has both, and only its own if it has one.
func TestTheOfficialSDKVerifiesEitherKeyWhileAMerchantSwitches(t *testing.T) {
	w, h := sdkWorld(t, "switching", "50")
	verified := map[string]map[bool]int{} // by mode and kind of key, how many
	handlers := map[string]*notify.Handler{}
	for name, mode := range map[string]sdkMode{"both": sdkBoth, "certificates": sdkCertificates, "public key": sdkPublicKey} {
		_, verifier := mode(t, w, h)
		handler, err := notify.NewRSANotifyHandler(w.Settings["WXPAY_APIV3_KEY"], verifier)
		if err != nil {
			t.Fatal(err)
		}
		handlers[name], verified[name] = handler, map[bool]int{}
	}
	sent := map[bool]int{}
	merchant := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		public := r.Header.Get("Wechatpay-Serial") == w.Settings["WXPAY_PUBLIC_KEY_ID"]
		sent[public]++
		for name, handler := range handlers {
			r.Body = io.NopCloser(bytes.NewReader(body))
			if _, err := handler.ParseNotifyRequest(r.Context(), r, &map[string]any{}); err == nil {
				verified[name][public]++
			}
		}
	}))
	defer merchant.Close()
	w.Order("SDK-1")
	for i := range 40 {
		no := fmt.Sprintf("R%d", i)
		w.Call("POST", sandboxtest.RefundsPath, fmt.Sprintf(
			`{"out_trade_no":"SDK-1","out_refund_no":%q,"notify_url":%q,"amount":{"refund":1,"total":10000,"currency":"CNY"}}`, no, merchant.URL+"/notify"))
		w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, 200)
	}
	if sent[true] < 5 || sent[false] < 5 {
		t.Errorf("%d notifications signed with the public key and %d with the certificate, want many of each", sent[true], sent[false])
	}
	want := map[string]map[bool]int{"both": sent, "certificates": {false: sent[false]}, "public key": {true: sent[true]}}
	if diff := cmp.Diff(want, verified); diff != "" {
		t.Errorf("verified (-want +got):\n%s", diff)
	}
}

// Who looks at the list while a new certificate is shown and not used never meets one that
// it does not know: the SDK looks once a day, and not when it meets one.
func TestTheOfficialSDKIsNotLeftBehindByANewCertificate(t *testing.T) {
	w, h := sdkWorld(t, "certificate", "")
	manager, err := sdkDownloader(t, w, h)
	if err != nil {
		t.Fatal(err)
	}
	client, err := core.NewClient(t.Context(), option.WithHTTPClient(h), option.WithMerchantCredential(w.Signer.MchID, w.Signer.SerialNo, sdkKey(t, w)),
		option.WithVerifier(verifiers.NewSHA256WithRSAVerifier(manager.GetCertificateVisitor(w.Signer.MchID))))
	if err != nil {
		t.Fatal(err)
	}
	w.Order("SDK-1")
	w.Refund("SDK-1", "R1")
	api := refunddomestic.RefundsApiService{Client: client}
	ask := func(when string) map[string]int {
		t.Helper()
		signed := map[string]int{}
		for range 20 {
			_, result, err := api.QueryByOutRefundNo(t.Context(), refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("R1")})
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			signed[result.Response.Header.Get("Wechatpay-Serial")]++
		}
		return signed
	}
	old := w.Control("GET", "/_sandbox/credentials", "", 200).Field("platform_serial").(string)
	fresh := w.Control("POST", "/_sandbox/keys/rotate", `{"in":"24h"}`, 200).Field("platform_serial").(string)
	if got := ask("before it is used"); got[old] != 20 {
		t.Errorf("before it is used: signed by %v, want %s alone", got, old)
	}
	manager.DownloadCertificates(t.Context())
	w.Advance("24h")
	ask("then") // whichever the SDK names, it verifies
	if got := manager.GetNewestCertificateSerial(t.Context(), w.Signer.MchID); got != fresh {
		t.Errorf("the newest certificate is %s, want %s", got, fresh)
	}
	w.Advance("168h")
	if got := ask("a week later"); got[fresh] != 20 {
		t.Errorf("a week later: signed by %v, want %s alone", got, fresh)
	}
}

// What a merchant does not have the SDK does not get.
func TestTheOfficialSDKFindsOnlyTheKeysOfItsMerchant(t *testing.T) {
	w, h := sdkWorld(t, "public-key", "")
	if _, err := sdkDownloader(t, w, h); !core.IsAPIError(err, "RESOURCE_NOT_EXISTS") || !strings.Contains(err.Error(), "无可用的平台证书") {
		t.Errorf("downloading certificates: %v, want RESOURCE_NOT_EXISTS", err)
	}
	public := w.Settings // of the same keys, before that merchant was one of the public key
	w, h = sdkWorld(t, "certificate", "")
	w.Settings = public
	w.Order("SDK-1")
	w.Refund("SDK-1", "R1") // the SDK does not verify refusals
	c, _ := sdkPublicKey(t, w, h)
	_, _, err := (&refunddomestic.RefundsApiService{Client: c}).QueryByOutRefundNo(t.Context(), refunddomestic.QueryByOutRefundNoRequest{OutRefundNo: core.String("R1")})
	if err == nil || !strings.Contains(err.Error(), "does not match serial number") {
		t.Errorf("an answer to who names a public key that is not in use: %v, want it signed by a certificate", err)
	}
}

// The SDK has no call for bills, but a client that verifies what it is answered, and one that
// does not, for the file.
func TestSDKFetchesABill(t *testing.T) {
	w, h := sdkWorld(t, "", "")
	w.Order("T1")
	w.Refund("T1", "R1")
	day := w.Issued()
	client, _ := sdkPublicKey(t, w, h)
	res, err := client.Get(t.Context(), "https://api.mch.weixin.qq.com/v3/bill/tradebill?bill_date="+day+"&bill_type=REFUND&tar_type=GZIP")
	if err != nil {
		t.Fatal(err)
	}
	var address struct {
		HashValue   string `json:"hash_value"`
		DownloadURL string `json:"download_url"`
	}
	if err := json.NewDecoder(res.Response.Body).Decode(&address); err != nil {
		t.Fatal(err)
	}
	bare, err := core.NewClient(t.Context(), option.WithHTTPClient(h),
		option.WithMerchantCredential(w.Signer.MchID, w.Signer.SerialNo, sdkKey(t, w)), option.WithoutValidator())
	if err != nil {
		t.Fatal(err)
	}
	file, err := bare.Get(t.Context(), address.DownloadURL)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(file.Response.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.New()
	if n, err := io.Copy(sum, z); err != nil || n == 0 || hex.EncodeToString(sum.Sum(nil)) != address.HashValue {
		t.Errorf("%d bytes, %v, SHA1 %x, want %s", n, err, sum.Sum(nil), address.HashValue)
	}
}

// Another SDK has calls for both bills, and verifies the answers.
func TestGoPayAsksForBills(t *testing.T) {
	w, _ := sdkWorld(t, "", "")
	w.Order("T1")
	w.Refund("T1", "R1")
	day := w.Issued()
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
	trade, err := c.V3BillTradeBill(t.Context(), gopay.BodyMap{"bill_date": day, "bill_type": "ALL", "tar_type": "GZIP"})
	if err != nil || trade.Code != gopayv3.Success || trade.Response.HashType != "SHA1" || trade.Response.DownloadUrl == "" {
		t.Errorf("trade: %v, %+v", err, trade)
	}
	funds, err := c.V3BillFundFlowBill(t.Context(), gopay.BodyMap{"bill_date": day, "account_type": "BASIC"})
	if err != nil || funds.Code != gopayv3.Success || len(funds.Response.HashValue) != 40 {
		t.Errorf("funds: %v, %+v", err, funds)
	}
}
