package apiv3_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

const tradeBill, fundsBill = "/v3/bill/tradebill?bill_date=", "/v3/bill/fundflowbill?bill_date="

// aDay is a day with a payment, two refunds and the bill of it; the clock of a test begins
// at eight in the morning of the first of January 2000 in China.
func aDay(t *testing.T, mutate ...func(*sandbox.Config)) (w *sandboxtest.World, day string) {
	t.Helper()
	w = sandboxtest.New(t, mutate...)
	w.Order("T1")
	w.Refund("T1", "R1", 100)
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"HAND","amount":250,"reason":"缺货,少"}`, 200)
	return w, w.Issued()
}

// The headings are those of the public fixture of January 2021, whose bytes have a mark at
// their beginning and CRLF behind every line.
func TestATradeBillIsWrittenAsWeChatPayWritesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		file := w.Bill(tradeBill + day)
		const headings = "\ufeff交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n"
		const sums = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`3,`100.00,`3.50,`0.00,`0.57000,`100.00,`3.50\r\n"
		if !strings.HasPrefix(file, headings) || !strings.HasSuffix(file, sums) {
			t.Errorf("bill\n%s\nwant it to begin with\n%s\nand to end with\n%s", file, headings, sums)
		}
		if n := strings.Count(file, "\n"); n != strings.Count(file, "\r\n") || n != 6 {
			t.Errorf("the bill has %d lines, not all of which end with CRLF, want 6 that do", n)
		}
		rows := w.BillRows(file)
		want := map[string]string{
			"交易时间": "2000-01-01 08:00:00", "公众账号ID": w.Settings["WXPAY_APPID"], "商户号": "1900000001", "特约商户号": "0", "设备号": "",
			"微信订单号": rows[0]["微信订单号"], "商户订单号": "T1", "用户标识": rows[0]["用户标识"], "交易类型": "JSAPI", "交易状态": "SUCCESS", "付款银行": "OTHERS",
			"货币种类": "CNY", "应结订单金额": "100.00", "代金券金额": "0.00", "微信退款单号": "0", "商户退款单号": "0", "退款金额": "0.00", "充值券退款金额": "0.00",
			"退款类型": "", "退款状态": "", "商品名称": "商品", "商户数据包": "", "手续费": "0.60000", "费率": "0.60%", "订单金额": "100.00", "申请退款金额": "0.00", "费率备注": "",
		}
		if diff := cmp.Diff(want, rows[0]); diff != "" {
			t.Errorf("row of the payment (-want +got):\n%s", diff)
		}
		for name, value := range map[string]string{
			"交易状态": "REFUND", "应结订单金额": "0.00", "微信退款单号": rows[2]["微信退款单号"], "商户退款单号": "HAND", "退款金额": "2.50", "退款类型": "ORIGINAL",
			"退款状态": "SUCCESS", "手续费": "-0.02000", "订单金额": "0.00", "申请退款金额": "2.50",
		} {
			want[name] = value
		}
		if diff := cmp.Diff(want, rows[2]); diff != "" || len(want["微信退款单号"]) < 20 {
			t.Errorf("row of the refund by hand (-want +got):\n%s", diff)
		}
	})
}

func TestEachTypeOfATradeBillHasItsRowsAndColumns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		for kind, want := range map[string]struct {
			rows    int
			has, no string
		}{
			"ALL": {3, "微信退款单号", "退款申请时间"}, "SUCCESS": {1, "应结订单金额", "微信退款单号"}, "REFUND": {2, "退款申请时间", "没有"},
		} {
			rows := w.BillRows(w.Bill(tradeBill + day + "&bill_type=" + kind))
			_, has := rows[0][want.has]
			_, no := rows[0][want.no]
			if len(rows)-1 != want.rows || !has || no {
				t.Errorf("%s: %d rows, %s %v, %s %v, want %d, true, false", kind, len(rows)-1, want.has, has, want.no, no, want.rows)
			}
		}
		refund := w.BillRows(w.Bill(tradeBill + day + "&bill_type=REFUND"))[0]
		if refund["退款申请时间"] != "2000-01-01 08:00:00" || refund["退款成功时间"] == "" {
			t.Errorf("times of the refund %q and %q, want its acceptance and its success", refund["退款申请时间"], refund["退款成功时间"])
		}
	})
}

// What a bill says is what was true when it was issued.
func TestABillIsTheSameWheneverItIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		w.Advance("15h58m") // 23:58
		w.Refund("T1", "R1", 100)
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200)
		day := w.Issued()
		before, funds := w.Bill(tradeBill+day), w.Bill(fundsBill+day)
		if got := w.BillRows(before)[1]["退款状态"]; got != "CHANGE" {
			t.Fatalf("state %s, want CHANGE", got)
		}
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"CLOSED"}`, 200)
		w.Control("POST", "/_sandbox/orders", `{"total":1,"success_time":"2000-01-01T12:00:00+08:00"}`, 200)
		w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T2","total":10000}`, 200)
		w.Call("POST", sandboxtest.RefundsPath, `{"sub_mchid":"1900000109","out_trade_no":"T2","out_refund_no":"R2","amount":{"refund":1,"total":10000,"currency":"CNY"}}`)
		w.Advance("72h")
		if diff := cmp.Diff(before, w.Bill(tradeBill+day)); diff != "" {
			t.Errorf("the bill of trade has changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(funds, w.Bill(fundsBill+day)); diff != "" {
			t.Errorf("the bill of the account has changed (-before +after):\n%s", diff)
		}
	})
}

func TestABillOfAnAccountSaysWhatMovedAndWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T3","total":10000,"promotion_detail":[{"promotion_id":"P","scope":"GLOBAL","type":"NOCASH","amount":5000}]}`, 200)
		w.Refund("T3", "R3", 1000)
		w.Control("POST", "/_sandbox/refunds/R3/settle", `{"status":"CLOSED"}`, 200)
		next := w.Issued()
		type move struct{ Voucher, Kind, Way, Amount, By, Remark string }
		moves := func(day string) (out []move) {
			for _, r := range w.BillRows(w.Bill(fundsBill + day)) {
				if r["业务类型"] != "" {
					out = append(out, move{r["业务凭证号"], r["业务类型"], r["收支类型"], r["收支金额(元)"], r["资金变更提交申请人"], r["备注"]})
				}
			}
			return out
		}
		if diff := cmp.Diff([]move{
			{"T1", "交易", "收入", "100.00", "system", ""}, {"T1", "扣除交易手续费", "支出", "0.60", "system", ""},
			{"R1", "退款", "支出", "1.00", "1900000001API", ""}, {"R1", "退还交易手续费", "收入", "0.01", "1900000001API", ""},
			{"HAND", "退款", "支出", "2.50", "1900000001@1900000001", "缺货,少"}, {"HAND", "退还交易手续费", "收入", "0.02", "1900000001@1900000001", "缺货,少"},
		}, moves(day)); diff != "" {
			t.Errorf("movements (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]move{
			{"R3", "退款", "支出", "5.00", "1900000001API", ""}, {"R3", "退还交易手续费", "收入", "0.03", "1900000001API", ""}, {"R3", "退款关闭", "收入", "5.00", "system", ""},
		}, moves(next)[2:]); diff != "" {
			t.Errorf("movements of the next day, behind the payment (-want +got):\n%s", diff)
		}
		sums := w.BillRows(w.Bill(fundsBill + day + "&account_type=BASIC"))
		if diff := cmp.Diff(map[string]string{"资金流水总笔数": "6", "收入笔数": "3", "收入金额": "100.03", "支出笔数": "3", "支出金额": "4.10"}, sums[len(sums)-1]); diff != "" {
			t.Errorf("sums (-want +got):\n%s", diff)
		}
		if a := w.Call("GET", fundsBill+day+"&account_type=FEES", ""); a.Field("code") != "NO_STATEMENT_EXIST" {
			t.Errorf("FEES: %s, want NO_STATEMENT_EXIST", a.Body)
		}
	})
}

// Accepted on one day and booked on the next is no difference; some are.
func TestSomeRefundsAreBookedOnTheNextDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		w.Advance("12h") // 20:00
		w.Partials(40)
		day := w.Issued()
		next := w.Issued()
		count := func(path string) (n int) {
			for _, r := range w.BillRows(w.Bill(path)) {
				if r["业务类型"] == "退款" || r["交易状态"] == "REFUND" {
					n++
				}
			}
			return n
		}
		accepted, booked, late := count(tradeBill+day), count(fundsBill+day), count(fundsBill+next)
		if accepted != 40 || booked+late != accepted || late == 0 {
			t.Errorf("%d accepted, %d booked on that day and %d on the next, want 40, and some on the next", accepted, booked, late)
		}
	})
}

func TestAProvidersBillHasTheRowsOfAllItsMerchants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		w.Refund("T1", "R1")
		w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T2","total":10000,"sub_mchid":"1900000109"}`, 200)
		if a := w.Call("POST", sandboxtest.RefundsPath, `{"sub_mchid":"1900000109","out_trade_no":"T2","out_refund_no":"R2","amount":{"refund":100,"total":10000,"currency":"CNY"}}`); a.Status != 200 {
			t.Fatalf("refund: %s", a.Body)
		}
		day := w.Issued()
		subs := func(path string) map[string]int {
			out := map[string]int{}
			for _, r := range w.BillRows(w.Bill(path)) {
				if sub, ok := r["特约商户号"]; ok {
					out[sub]++
				}
			}
			return out
		}
		if diff := cmp.Diff(map[string]int{"1900000109": 2}, subs(tradeBill+day+"&sub_mchid=1900000109")); diff != "" {
			t.Errorf("of one merchant (-want +got):\n%s", diff)
		}
		all := subs(tradeBill + day)
		if all["0"] != 2 || all["1900000109"] != 2 || all["1900000110"] < 2 || all["1900000111"] < 2 {
			t.Errorf("rows by merchant %v, want those of the direct one, of the one that is served and of two others", all)
		}
		if strings.Contains(w.Bill(fundsBill+day), "R2") {
			t.Error("the bill of the provider's account has what moved in its merchant's")
		}
	})
}

// One thing of a valid request is changed.
func TestEachRuleOfAskingForABillIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t) // it is ten o'clock
		for _, tc := range []struct {
			path, code string
			status     int
		}{
			{tradeBill + day, "", 200},
			{tradeBill + w.Today(0), "INVALID_REQUEST", 400},
			{tradeBill + w.Today(1), "INVALID_REQUEST", 400},
			{tradeBill + "1999-10-01", "INVALID_REQUEST", 400},
			{tradeBill + "1999-10-02", "NO_STATEMENT_EXIST", 400},
			{tradeBill + "20000101", "PARAM_ERROR", 400},
			{tradeBill + "2000-02-30", "PARAM_ERROR", 400},
			{tradeBill, "PARAM_ERROR", 400},
			{tradeBill + day + "&bill_type=OTHER", "PARAM_ERROR", 400},
			{tradeBill + day + "&tar_type=ZIP", "PARAM_ERROR", 400},
			{tradeBill + day + "&account_type=BASIC", "PARAM_ERROR", 400},
			{tradeBill + day + "&bill_date=" + day, "PARAM_ERROR", 400},
			{tradeBill + day + "&sub_mchid=1900000001", "INVALID_REQUEST", 400},
			{tradeBill + day + "&sub_mchid=1900000002", "NO_AUTH", 403},
			{tradeBill + day + "&sub_mchid=1900000109", "NO_STATEMENT_EXIST", 400},
			{fundsBill + day, "", 200},
			{fundsBill + day + "&account_type=Basic", "PARAM_ERROR", 400},
			{fundsBill + day + "&account_type=OPERATION", "NO_STATEMENT_EXIST", 400},
			{fundsBill + w.Today(0), "INVALID_REQUEST", 400},
			{fundsBill + day + "&sub_mchid=1900000109", "PARAM_ERROR", 400},
		} {
			a := w.Call("GET", tc.path, "")
			if code, _ := a.Field("code").(string); a.Status != tc.status || code != tc.code {
				t.Errorf("%s: %d %s, want %d %s", tc.path, a.Status, a.Body, tc.status, tc.code)
			}
			w.VerifyReply(a, w.Serial) // what is refused is signed too
		}
	})
}

func TestABillIsBeingMadeUntilTenOClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		day := w.Today(0)
		w.Advance("25h59m59s") // from eight o'clock
		for _, path := range []string{tradeBill + day, fundsBill + day} {
			if a := w.Call("GET", path, ""); a.Status != 400 || a.Field("code") != "STATEMENT_CREATING" {
				t.Errorf("%s at 09:59:59: %d %s, want STATEMENT_CREATING", path, a.Status, a.Body)
			}
		}
		w.Advance("1s")
		w.Bill(tradeBill + day)
		w.Bill(fundsBill + day)
	})
}

func TestTheAddressOfABillIsGoodOnceAndForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		first, late := w.Call("GET", tradeBill+day, ""), w.Call("GET", tradeBill+day, "")
		if got, _ := first.Field("download_url").(string); !strings.HasPrefix(got, "http://example.com/v3/billdownload/file?token=") {
			t.Errorf("download_url %s is not on the host that was asked", got)
		}
		if a := w.Download(first); a.Status != 200 || a.Header.Get("Wechatpay-Signature") != "" {
			t.Errorf("download: %d with signature %q, want 200 without one", a.Status, a.Header.Get("Wechatpay-Signature"))
		}
		w.Advance("5m")
		for name, a := range map[string]sandboxtest.Answer{"used": w.Download(first), "too old": w.Download(late), "unknown": w.Call("GET", "/v3/billdownload/file?token=x", "")} {
			if a.Status != 400 || a.Field("code") != "INVALID_REQUEST" {
				t.Errorf("%s: %d %s, want INVALID_REQUEST", name, a.Status, a.Body)
			}
		}
	})
}

func TestADownloadThatIsNotSignedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		a := w.Call("GET", tradeBill+day, "")
		address, _ := a.Field("download_url").(string)
		r := w.Request("GET", "/v3/billdownload/file?token=other", "")
		signed := w.Request("GET", strings.TrimPrefix(address, "http://example.com"), "")
		signed.Header.Set("Authorization", r.Header.Get("Authorization"))
		if a := sandboxtest.Serve(w.Sandbox.WeChat(), signed); a.Status != 401 {
			t.Errorf("signed over another token: %d %s, want 401", a.Status, a.Body)
		}
	})
}

// The hash is of what is packed.
func TestTheHashIsOfTheFileUnpacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		plain := w.Bill(tradeBill + day)
		a := w.Call("GET", tradeBill+day+"&tar_type=GZIP", "")
		if address, _ := a.Field("download_url").(string); !strings.HasSuffix(address, "&tartype=gzip") {
			t.Errorf("download_url %s, want it to end with &tartype=gzip", address)
		}
		packed := w.Download(a)
		z, err := gzip.NewReader(bytes.NewReader(packed.Body))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := io.ReadAll(z)
		if err != nil || string(unpacked) != plain {
			t.Errorf("unpacked: %v, and not what comes plain", err)
		}
		sum := sha1.Sum(unpacked)
		if a.Field("hash_type") != "SHA1" || a.Field("hash_value") != hex.EncodeToString(sum[:]) {
			t.Errorf("hash %v %v, want SHA1 %x", a.Field("hash_type"), a.Field("hash_value"), sum)
		}
	})
}

func TestEachFaultOfABillDoesWhatItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, day := aDay(t)
		whole := w.Bill(tradeBill + day)
		fault := func(name string) (sandboxtest.Answer, string) {
			w.Control("POST", "/_sandbox/faults", `{"bill":"`+name+`","count":1}`, 200)
			a := w.Call("GET", tradeBill+day, "")
			if a.Status != 200 {
				return a, ""
			}
			return a, string(w.Download(a).Body)
		}
		for name, code := range map[string]string{"empty_day": "NO_STATEMENT_EXIST", "creating": "STATEMENT_CREATING", "no_auth": "NO_AUTH"} {
			if a, _ := fault(name); a.Field("code") != code {
				t.Errorf("%s: %s, want %s", name, a.Body, code)
			}
		}
		sum := func(s string) string { b := sha1.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
		if a, file := fault("wrong_hash"); file != whole || a.Field("hash_value") == sum(whole) {
			t.Error("wrong_hash: the file has changed, or the hash has not")
		}
		if a, file := fault("cut_off"); len(file) != len(whole)/2 || !strings.HasPrefix(whole, file) || a.Field("hash_value") != sum(whole) {
			t.Error("cut_off: the file is not the half of the whole, or its hash is not the whole's")
		}
		if a, _ := fault("foreign_host"); !strings.HasPrefix(a.Field("download_url").(string), "http://api.mch.weixin.qq.com.bills.example/") {
			t.Errorf("foreign_host: %s", a.Body)
		}
		for name, want := range map[string]string{
			"old_layout": "子商户号,", "odd_names": "`可乐,330ml \"冰\" 6'装,两箱,`{", "bad_row": ",`壹元,`", "bad_sums": ",`4.50\r\n",
		} {
			a, file := fault(name)
			if !strings.Contains(file, want) || a.Field("hash_value") != sum(file) {
				t.Errorf("%s: %s lacks %q, or its hash is not its own", name, file, want)
			}
		}
		if got := w.Bill(tradeBill + day); got != whole {
			t.Error("a fault has outlived its count")
		}
	})
}

// Bills come from what is held, which is bounded by memory alone; asking for one costs
// the day's rows.
func TestABillOfManyRefundsAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		for i := range 60 {
			no := fmt.Sprintf("T%d", i)
			w.Order(no)
			w.Refund(no, "R"+no, i+1)
			w.Advance("1s")
		}
		rows := w.BillRows(w.Bill(tradeBill + w.Issued()))
		if got := rows[len(rows)-1]; got["总交易单数"] != "120" || got["申请退款总金额"] != "18.30" {
			t.Errorf("sums %v, want 120 rows and 18.30", got)
		}
	})
}
