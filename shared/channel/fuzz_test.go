package channel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// FuzzCloudPayAnswer: no answer of the gateway makes us panic, take long, or read
// the same bytes in two ways; what is read is within bounds.
func FuzzCloudPayAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"returnCode":"SUCCESS","result_code":"SUCCESS","out_refund_no":"R1","refund_fee":60,"total_fee":100,"coupon_refund_count":1,"coupon_type_0":"CASH"}`,
		`{"return_code":"SUCCESS","result_code":"SUCCESS","refund_count":2,"out_refund_no_list":["R1","R2"],"refund_channel":["ORIGINAL"],"coupon_refund_count_list":[1,0],"coupon_type_array":[["CASH"],[]]}`,
		`{"refund_count":1,"out_refund_no_0":"R1","refund_success_time_0":"2016-07-25 15:26:26","refund_status_0":"CHANGE","total_refund_count":36}`,
		`{"refund_count":"99999999999999999999","refund_fee_0":-1}`, `{"refundCount":1e2}`, `{"a":[[[[]]]]}`, `{"a_list":[1],"a_0":2}`, `[]`, `null`, ``, `{"a":{}}x`,
		`{"refund_count":1,"out_refund_no_list":[],"refund_status_list":[]}`, `{"refund_count":1,"out_refund_no_0":"R1","refund_fee_0":1,"refund_success_time_0":20261215094601,"cash_fee":100.00}`,
		`{"refund_count":1,"out_refund_no_0":"R1","refund_fee_0":1,"coupon_refund_count_0":9,"coupon_refund_fee_0_0":"abc","coupon_refund_id_0_1":{}}`,
		`{"outRefundNo":"R1","out_refund_no":"R2","OutRefundNo":"R1","refund_fee":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		flat, err := flatten(answer)
		again, errAgain := flatten(answer)
		if (err == nil) != (errAgain == nil) || err == nil && !reflect.DeepEqual(flat, again) {
			t.Fatalf("%+v, %v, then %+v, %v", flat, err, again, errAgain)
		}
		if err != nil {
			return
		}
		for name := range flat.odd {
			if _, read := flat.fields[name]; read {
				t.Fatalf("%s is odd and read", name)
			}
		}
		for _, l := range []refund.Lookup{{OutRefundNo: "R1"}, {RefundID: "5"}, {OutTradeNo: "O1", Offset: 3}} {
			v := &v2{fields: flat.fields, odd: flat.odd}
			page, err := v.answer(l)
			if err != nil {
				if e := refund.AsError(err); e.Code != refund.CodeUnavailable {
					t.Fatal(err)
				}
				continue
			}
			if len(page.Refunds) > maxV2 || page.RefundCount != len(page.Refunds) || page.TotalRefundCount < page.Offset+page.RefundCount {
				t.Fatalf("%+v", page)
			}
			if !l.ByOrder() && len(page.Refunds) != 1 {
				t.Fatalf("%d refunds to %+v", len(page.Refunds), l)
			}
			for _, r := range page.Refunds {
				checkRefund(t, r)
			}
		}
		v := &v2{fields: flat.fields, odd: flat.odd}
		if r := v.accepted(); v.err == nil {
			checkRefund(t, r)
		}
	})
}

func checkRefund(t *testing.T, r refund.Refund) {
	t.Helper()
	if r.Amount.Refund < 0 || r.Amount.Total < 0 {
		t.Fatalf("%+v", r)
	}
	for _, n := range []*int64{r.Amount.PayerTotal, r.Amount.PayerRefund, r.Amount.SettlementRefund, r.Amount.SettlementTotal, r.Amount.DiscountRefund, r.Amount.RefundFee} {
		if n != nil && *n < 0 {
			t.Fatalf("%+v has %d", r, *n)
		}
	}
	for _, at := range []string{r.SuccessTime, r.CreateTime} {
		if _, err := time.Parse(time.RFC3339, at); at != "" && err != nil {
			t.Fatalf("time %q", at)
		}
	}
}

// FuzzModuleAnswer: no answer of the module makes us panic or be of two minds, and
// no refusal is certain whose code is not in the table.
func FuzzModuleAnswer(f *testing.F) {
	paths, err := filepath.Glob("testdata/module/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		answer, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, left, err := readModule(answer)
		again, _, errAgain := readModule(answer)
		if !reflect.DeepEqual(got, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("%+v, %v, then %+v, %v", got, err, again, errAgain)
		}
		if err == nil {
			checkRefund(t, got)
			return
		}
		if !reflect.DeepEqual(got, refund.Refund{}) || left != nil {
			t.Fatalf("%+v beside an error", got)
		}
		e := refund.AsError(err)
		if _, known := apiv3Errors()[e.Upstream]; e.Code != refund.CodeUnavailable && !known {
			t.Fatalf("%v", e)
		}
		if strings.ContainsAny(e.Message+e.Upstream, "\n\r") || len([]rune(e.Message)) > 300 {
			t.Fatalf("message %q", e.Message)
		}
	})
}

// FuzzRefundObject: no answer makes us panic; what is read is within bounds, is
// what a stricter reader reads, and an odd field costs nothing but itself.
func FuzzRefundObject(f *testing.F) {
	const valid = `{"refund_id":"5","out_refund_no":"R1","status":"SUCCESS","success_time":"20261215094601","amount":{"total":100,"refund":60,"payer_total":90,"from":[{"account":"A","amount":60}],"currency":"CNY"},"promotion_detail":[{"promotion_id":"1","refund_amount":2,"goods_detail":[{"merchant_goods_id":"g"}]}]}`
	f.Add([]byte(valid))
	for _, odd := range []string{
		`"promotion_detail":{}`, `"promotion_detail":[1,{"promotion_id":2}]`, `"success_time":0`, `"funds_account":["A"]`, `"amount":[]`, `"amount":{"refund":"60"}`,
		`"amount":{"refund":1e2}`, `"amount":{"refund":60,"refund_fee":0.5,"from":{}}`, `"status":{}`, `"out_refund_no":null`, `"refund_id":538`,
	} {
		f.Add([]byte(strings.TrimSuffix(valid, "}") + "," + odd + "}"))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, left, err := readRefund(answer)
		if err != nil {
			if !reflect.DeepEqual(got, refund.Refund{}) || left != nil {
				t.Fatalf("%+v beside an error", got)
			}
			return
		}
		checkRefund(t, got)
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		back, left, err := readRefund(again)
		if err != nil || len(left) > 0 {
			t.Fatalf("%s: %v, left out %v", again, err, left)
		}
		if written, err := json.Marshal(back); err != nil || string(written) != string(again) {
			t.Fatalf("%s became %s", again, written)
		}
	})
}

// FuzzV2BillAnswer: of whatever comes where a bill is awaited, either all is handed on as
// the bill, or part of it as one within JSON, or an error says why there is none: never that
// something was refused which only a bill would show.
func FuzzV2BillAnswer(f *testing.F) {
	for _, seed := range []string{
		"\ufeff交易时间,公众账号ID", `{"errcode":0,"errmsg":"ok","respdata":"交易时间"}`, `{"return_code":"FAIL","return_msg":"No Bill Exist","error_code":"20002"}`,
		`{"respdata":{"return_code":"FAIL","return_msg":"Bill Creating"}}`, `{"respdata":"{\"return_code\":\"FAIL\",\"error_code\":20002}"}`, `{"errcode":-1}`, `{"respdata":7}`, `{`, `{}`,
		"<xml><return_code>FAIL</return_code><return_msg><![CDATA[No Bill Exist]]></return_msg></xml>", "<html>", "", "\x1f\x8b",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		text, err := v2BillText(answer, 0)
		if err != nil {
			e := refund.AsError(err)
			if text != "" || e.MaybeNumberTaken || e.NotEnough || e.Code == refund.CodeNotFound || e.Code == refund.CodeInternal || strings.ContainsAny(e.Message, "\r\n") {
				t.Fatalf("%q, %+v", text, e)
			}
			return
		}
		if len(text) > len(answer)*3 { // what is not UTF-8 becomes U+FFFD
			t.Fatalf("%d bytes of %d", len(text), len(answer))
		}
	})
}

// FuzzOrderAnswer: no answer about an order makes us panic or be of two minds, of the
// module's no refusal is certain whose code is not in the table, and what passes is about
// the order that was asked for, with a status, an amount and payers that can be.
func FuzzOrderAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"mchid":"1","out_trade_no":"O1","transaction_id":"4","trade_state":"SUCCESS","success_time":"2026-11-22T10:00:00+08:00","appid":"wx1","payer":{"openid":"o"},"amount":{"total":100,"currency":"CNY"}}`,
		`{"code":0,"data":{"outTradeNo":"O1","tradeState":"REFUND","payer":null,"amount":{"total":9007199254740992}}}`,
		`{"out_trade_no":"O1","trade_state":"CLOSED","promotion_detail":[{"scope":"SINGLE","goods_detail":[{}]},7]}`,
		`{"return_code":"SUCCESS","result_code":"SUCCESS","out_trade_no":"O1","trade_state":"SUCCESS","total_fee":100,"openid":"o","appid":["x"],"sub_openid":"p","time_end":20261122100000}`,
		`{"errcode":404,"errmsg":"{\"code\":\"ORDER_NOT_EXIST\"}"}`, `{"trade_state":"SUCCESS"}`, `[]`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	by := number{"out_trade_no", "O1"}
	check := func(t *testing.T, o refund.PaidOrder) {
		t.Helper()
		got, err := checkedOrder(o, by)
		if err != nil {
			if e := refund.AsError(err); e.Code != refund.CodeUnavailable {
				t.Fatal(err)
			}
			return
		}
		if got.OutTradeNo != "O1" || got.Status == "" || got.Total < 0 || got.Total > maxFen || len(got.Payers) > 3 {
			t.Fatalf("%+v", got)
		}
		for _, p := range got.Payers {
			if p.OpenID == "" || len(p.OpenID) > maxOpenID {
				t.Fatalf("%+v", p)
			}
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, _, err := readOrder(answer)
		again, _, errAgain := readOrder(answer)
		if !reflect.DeepEqual(got, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("%+v, %v, then %+v, %v", got, err, again, errAgain)
		}
		if err == nil {
			check(t, got.PaidOrder)
		}
		if got, _, err = readModuleOrder(answer); err == nil {
			check(t, got.PaidOrder)
		} else if e := refund.AsError(err); e.Code != refund.CodeUnavailable {
			if _, known := apiv3OrderErrors()[e.Upstream]; !known {
				t.Fatal(err)
			}
		}
		if v, err := flatten(answer); err == nil {
			if o := v.order(); v.err == nil {
				check(t, o)
			}
		}
	})
}
