package channel_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// globalFile is tradeFile as the merchant of serveGlobal has it.
func globalFile() string { return strings.ReplaceAll(tradeFile(), "1900000109", "10000100") }

func globalRows() []refund.BillRow {
	rows := wantRows()
	for i := range rows {
		rows[i].MchID = "10000100"
	}
	return rows
}

func TestGlobalBillOnTheWire(t *testing.T) {
	for _, sub := range []string{"", "1900000111"} {
		for _, by := range []wxpay.SignType{wxpay.SignMD5, wxpay.SignHMACSHA256} {
			c := serveGlobal(t, func(w http.ResponseWriter, r *http.Request, asked wxpay.Fields) {
				if r.URL.Path != "/pay/downloadbill" || len(asked["nonce_str"]) < 16 {
					t.Errorf("%s %v", r.URL, asked)
				}
				delete(asked, "nonce_str")
				delete(asked, "sign")
				want := wxpay.Fields{"appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "bill_date": "20261125", "bill_type": "REFUND", "tar_type": "GZIP", "sign_type": string(by)}
				if sub != "" {
					want["sub_mch_id"] = sub
				}
				isEqual(t, "request", want, asked)
				_, _ = w.Write(packed(t, globalFile()))
			})
			c.SignType, c.SubMchID, c.SubAppID = by, sub, "wx6666666666666666"
			b, err := c.Bill(t.Context(), trade)
			checkBill(t, b, err, globalFile(), 2, globalRows(), nil)
		}
	}
}

func v2XML(code, text string) string {
	return string(wxpay.Fields{"return_code": "FAIL", "return_msg": text, "error_code": code}.XML())
}

// v2BillAnswers are answers of v2 that are no bill, and what they mean; "" for an empty day.
var v2BillAnswers = []struct {
	code, text string
	want       refund.Code
	next       refund.Next
	empty      bool
}{
	{"20002", "No Bill Exist", "", "", true},
	{"NO_BILL_EXIST", "账单不存在", "", "", true},
	{"20002", "Bill Creating", refund.CodeUnavailable, refund.Later, false},
	{"BILL_CREATING", "", refund.CodeUnavailable, refund.Later, false},
	{"20002", "data format error", refund.CodeUnavailable, refund.Later, false},
	{"SYSTEMERROR", "下载失败", refund.CodeUnavailable, refund.Later, false},
	{"", "签名错误", refund.CodeUnavailable, refund.Later, false},
	{"SIGNERROR", "SIGN ERROR", refund.CodeRejected, refund.LaterOrFix, false},
	{"20007", "NOAUTH", refund.CodeRejected, refund.LaterOrFix, false},
	{"20100", "SIGN ERROR", refund.CodeRejected, refund.LaterOrFix, false},
	{"NOAUTH", "no", refund.CodeRejected, refund.LaterOrFix, false},
	{"PARAM_ERROR", "invalid bill_type", refund.CodeInvalid, refund.AfterFix, false},
}

func checkNoBill(t *testing.T, what string, b *refund.Bill, err error, code string, want refund.Code, next refund.Next, empty bool) {
	t.Helper()
	code = cmp.Or(map[string]string{"20007": "NOAUTH", "20100": "SIGNERROR"}[code], code) // by the word
	if empty {
		if err != nil || !b.Empty || b.Query != trade {
			t.Errorf("%s: %+v, error %v, want an empty day", what, b, err)
		}
		return
	}
	if e := refund.AsError(err); b != nil || e.Code != want || e.Next != next || e.Upstream != code || e.MaybeNumberTaken || errors.Is(err, refund.ErrBillUnreadable) {
		t.Errorf("%s: %+v, error %+v, want %s %s", what, b, e, want, next)
	}
}

func TestGlobalSaysWhyThereIsNoBill(t *testing.T) {
	for _, tt := range v2BillAnswers {
		b, err := serveGlobalText(t, v2XML(tt.code, tt.text)).Bill(t.Context(), trade)
		checkNoBill(t, tt.code+" "+tt.text, b, err, tt.code, tt.want, tt.next, tt.empty)
	}
	for _, answer := range []string{"<html>busy</html>", "<xml><return_code>SUCCESS</return_code></xml>", "<xml><return_msg>No Bill Exist</return_msg></xml>", "{}"} {
		b, err := serveGlobalText(t, answer).Bill(t.Context(), trade)
		checkNoBill(t, answer, b, err, "", refund.CodeUnavailable, refund.Later, false)
	}
	b, err := serveGlobal(t, func(w http.ResponseWriter, _ *http.Request, _ wxpay.Fields) { w.WriteHeader(502) }).Bill(t.Context(), trade)
	checkNoBill(t, "502", b, err, "", refund.CodeUnavailable, refund.Later, false)
}

func TestV2BillsThatCannotBeUsedAreNotHandedOut(t *testing.T) {
	for _, file := range []string{"", globalFile()[:300], strings.Replace(globalFile(), "`0.58", "`0.59", 1), tradeFile()} {
		before := spools(t)
		b, err := serveGlobalText(t, file).Bill(t.Context(), trade)
		if b != nil || !errors.Is(err, refund.ErrBillUnreadable) || spools(t) != before {
			t.Errorf("%.40q: %+v, error %v", file, b, err)
		}
	}
}

func TestCloudPayBillOnTheWire(t *testing.T) {
	quoted, _ := json.Marshal(tradeFile())
	for name, answer := range map[string]string{
		"as text":          tradeFile(),
		"packed":           string(packed(t, tradeFile())),
		"as respdata":      `{"errcode":0,"errmsg":"ok","respdata":` + string(quoted) + `}`,
		"in camel case":    `{"errCode":0,"errMsg":"ok","respData":` + string(quoted) + `}`,
		"with white space": " \n" + `{"respdata":` + string(quoted) + `}`,
	} {
		c := serveCloudPay(t, func(r *http.Request, call gatewayCall) string {
			checkPay(t, r, call, "downloadBill")
			isEqual(t, "request", map[string]any{"sub_mch_id": "1900000109", "bill_date": "20261125", "bill_type": "REFUND"}, requestData(t, call))
			return answer
		})
		c.SubMchID = "1900000109"
		b, err := c.Bill(t.Context(), trade)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := wantRows()
		want[0].SubMchID = "1900000109" // the bill's own merchant
		checkBill(t, b, err, tradeFile(), 2, want, nil)
	}
}

func TestCloudPaySaysWhyThereIsNoBill(t *testing.T) {
	for _, tt := range v2BillAnswers {
		inner, _ := json.Marshal(map[string]any{"return_code": "FAIL", "return_msg": tt.text, "error_code": tt.code})
		quoted, _ := json.Marshal(string(inner))
		asXML, _ := json.Marshal(v2XML(tt.code, tt.text))
		for _, answer := range []string{
			string(inner), `{"errcode":0,"errmsg":"ok","respdata":` + string(inner) + `}`, `{"errcode":0,"errmsg":"ok","respdata":` + string(quoted) + `}`,
			`{"errcode":0,"respdata":` + string(asXML) + `}`, v2XML(tt.code, tt.text),
		} {
			b, err := serveCloudPay(t, func(*http.Request, gatewayCall) string { return answer }).Bill(t.Context(), trade)
			checkNoBill(t, answer, b, err, tt.code, tt.want, tt.next, tt.empty)
		}
	}
	for answer, code := range map[string]string{
		`{"errcode":-501001,"errmsg":"resource system error"}`: "-501001", `{"code":"SIGN_PARAM_INVALID","message":"x"}`: "SIGN_PARAM_INVALID",
		`{"errcode":0,"errmsg":"ok"}`: "", `{"respdata":7}`: "", `{`: "", `{"respdata":"{\"respdata\":\"{\\\"respdata\\\":\\\"{}\\\"}\"}"}`: "",
	} {
		b, err := serveCloudPay(t, func(*http.Request, gatewayCall) string { return answer }).Bill(t.Context(), trade)
		checkNoBill(t, answer, b, err, code, refund.CodeUnavailable, refund.Later, false)
	}
}

// A wecomBill is WeCom and WeChat Pay's hosts in one.
func wecomBill(t *testing.T, answer func(host string) string, file http.HandlerFunc) (*channel.WeCom, *atomic.Int32) {
	t.Helper()
	s := &wecomServer{}
	var host string
	var downloads atomic.Int32
	s.check = func(r *http.Request, body []byte) {
		if r.URL.Path == "/cgi-bin/miniapppay/get_bill" {
			isEqual(t, "body", decode(t, `{"bill_date":"2026-11-25","mchid":"1900000109","bill_type":"REFUND","tar_type":"GZIP"}`), decode(t, string(body)))
		}
	}
	s.answer = func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.URL.Path == "/v3/billdownload/file" {
			downloads.Add(1)
			file(w, r)
			return
		}
		_, _ = io.WriteString(w, answer(host))
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	host = srv.URL
	return newWeCom(srv.URL, wxpay.NewHTTPClient(nil)), &downloads
}

func wecomTicket(at, hash, auth string) string {
	return fmt.Sprintf(`{"errcode":0,"errmsg":"ok","download_url":%q,"hash_type":"SHA1","hash_value":%q,"auth":%q}`, at, hash, auth)
}

func TestWeComBillOnTheWire(t *testing.T) {
	const auth = `WECHATPAY2-SHA256-RSA2048 mchid="1900000109",nonce_str="x",signature="CANARY"`
	c, _ := wecomBill(t, func(host string) string {
		return wecomTicket(host+"/v3/billdownload/file?token=a", sha1Hex(tradeFile()), auth)
	}, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != auth || r.URL.RawQuery != "token=a" {
			t.Errorf("%s, Authorization %s", r.URL, got)
		}
		_, _ = w.Write(packed(t, tradeFile()))
	})
	b, err := c.Bill(t.Context(), trade)
	checkBill(t, b, err, tradeFile(), 2, wantRows(), nil)
}

func TestWeComBillsGoNowhereElseAndSayWhy(t *testing.T) {
	ticket := func(at, hash, auth string) func(string) string {
		return func(host string) string { return wecomTicket(strings.Replace(at, "HOST", host, 1), hash, auth) }
	}
	word := func(code int, text string) func(string) string {
		return func(string) string { return fmt.Sprintf(`{"errcode":%d,"errmsg":%q}`, code, text) }
	}
	for _, tt := range []struct {
		name       string
		answer     func(string) string
		want       refund.Error
		empty      bool
		unreadable bool
	}{
		{"a foreign host", ticket("https://evil.example/v3/billdownload/file", sha1Hex(tradeFile()), "x"), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}, false, true},
		{"another hash", ticket("HOST/v3/billdownload/file", sha1Hex(""), "x"), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}, false, true},
		{"no auth", ticket("HOST/v3/billdownload/file", sha1Hex(tradeFile()), ""), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}, false, false},
		{"a header more", ticket("HOST/v3/billdownload/file", sha1Hex(tradeFile()), "x\r\ny: z"), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later}, false, false},
		{"an empty day", word(720599, "NO_STATEMENT_EXIST"), refund.Error{}, true, false},
		{"the same in v2's words", word(720599, "No Bill Exist, hint: x"), refund.Error{}, true, false},
		{"being made", word(720599, "STATEMENT_CREATING"), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Upstream: "720599", RetryAfter: 30 * time.Minute}, false, false},
		{"a code that nobody knows", word(720599, "x"), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Upstream: "720599"}, false, false},
		{"no permission", word(48002, "api forbidden"), refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "48002"}, false, false},
		{"too many", word(45009, "x"), refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Upstream: "45009", RetryAfter: time.Minute}, false, false},
	} {
		c, downloads := wecomBill(t, tt.answer, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tradeFile()) })
		b, err := c.Bill(t.Context(), trade)
		if tt.empty {
			checkNoBill(t, tt.name, b, err, "", "", "", true)
			continue
		}
		e := *refund.AsError(err)
		e.Message, e.Err = "", nil
		isEqual(t, tt.name, tt.want, e)
		if errors.Is(err, refund.ErrBillUnreadable) != tt.unreadable || b != nil || tt.name != "another hash" && downloads.Load() > 0 {
			t.Errorf("%s: %+v, error %v, %d downloads", tt.name, b, err, downloads.Load())
		}
	}
}

func TestEveryChannelNamesTheBillsThatItHas(t *testing.T) {
	v3 := (&billServer{file: []byte(tradeFile()), plain: tradeFile()}).start(t)
	for _, tt := range []struct {
		c    refund.Channel
		want string
	}{
		{serveGlobalText(t, ""), "[trade] []"}, {serveCloudPay(t, says("")), "[trade] []"}, {newWeCom("", nil), "[trade] []"},
		{&channel.CloudBase{}, "[] []"}, {&channel.CloudBase{Bills: v3.Client}, "[trade funds] [BASIC OPERATION]"}, {&channel.CloudBase{Bills: v3.Client, SubMchID: "1"}, "[trade] []"},
	} {
		s := tt.c.Spec()
		if got := fmt.Sprint(s.Bills, s.BillAccounts); got != tt.want {
			t.Errorf("%s: %s, want %s", s.Name, got, tt.want)
		}
		if s.BillAccounts == nil {
			if _, err := tt.c.Bill(t.Context(), funds); !errors.Is(err, refund.ErrNoBill) {
				t.Errorf("%s, of an account: %v", s.Name, err)
			}
		}
	}
	if _, err := (&channel.CloudBase{}).Bill(t.Context(), trade); !errors.Is(err, refund.ErrNoBill) {
		t.Error("cloudbase without keys:", err)
	}
	b, err := (&channel.CloudBase{Bills: v3.Client}).Bill(t.Context(), trade)
	checkBill(t, b, err, tradeFile(), 2, wantRows(), nil)
}
