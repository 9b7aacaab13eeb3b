package channel_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
)

// fields of an answer, of which a test changes one.
type fields map[string]any

func (f fields) with(more fields) fields {
	out := fields{}
	for name, value := range f {
		out[name] = value
	}
	for name, value := range more {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = value
		}
	}
	return out
}

func (f fields) json() string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// accepted has every field of CloudPay.refund's answer, as the wire spells them.
var accepted = fields{
	"returnCode": "SUCCESS", "returnMsg": "OK", "result_code": "SUCCESS", "err_code": "", "err_code_des": "",
	"appid": "wxd678efh567hg6787", "mch_id": "1230000109", "sub_appid": "wx8888888888888888", "sub_mch_id": "1900000109",
	"nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "sign": "C380BEC2BFD727A4B6845133519F3AD6",
	"transaction_id": "1217752501201407033233368018", "out_trade_no": "O1", "out_refund_no": "R1", "refund_id": "50000000382019052709732678859",
	"refund_fee": 60, "settlement_refund_fee": 57, "total_fee": 100, "settlement_total_fee": 95, "fee_type": "CNY",
	"cash_fee": 90, "cash_refund_fee": 54, "coupon_refund_fee": 6, "coupon_refund_count": 2,
	"coupon_type_0": "CASH", "coupon_refund_id_0": "10000", "coupon_refund_fee_0": 3,
	"coupon_type_1": "NO_CASH", "coupon_refund_id_1": "10001", "coupon_refund_fee_1": 3,
}

func wantAccepted() refund.Refund {
	return refund.Refund{
		RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1",
		Status: refund.StatusProcessing, // SUCCESS means accepted
		Amount: refund.Amount{
			Total: 100, Refund: 60, PayerTotal: ptr(90), PayerRefund: ptr(54), SettlementRefund: ptr(57), SettlementTotal: ptr(95),
			DiscountRefund: ptr(6), Currency: "CNY",
		},
		PromotionDetail: []refund.Promotion{
			{PromotionID: "10000", Type: "COUPON", RefundAmount: 3},
			{PromotionID: "10001", Type: "DISCOUNT", RefundAmount: 3},
		},
	}
}

// found has every field of CloudPay.queryRefund's answer, for two refunds of one order.
var found = fields{
	"returnCode": "SUCCESS", "returnMsg": "OK", "result_code": "SUCCESS",
	"appid": "wxd678efh567hg6787", "mch_id": "1230000109", "sub_appid": "wx8888888888888888", "sub_mch_id": "1900000109",
	"nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "sign": "C380BEC2BFD727A4B6845133519F3AD6",
	"transaction_id": "1217752501201407033233368018", "out_trade_no": "O1", "total_fee": 100, "settlement_total_fee": 95, "fee_type": "CNY", "cash_fee": 90,
	"refund_count": 2, "total_refund_count": 35,
	"out_refund_no_0": "R1", "refund_id_0": "50000000382019052709732678859", "refund_channel_0": "ORIGINAL", "refund_fee_0": 60,
	"settlement_refund_fee_0": 57, "coupon_refund_fee_0": 6, "coupon_refund_count_0": 2,
	"coupon_type_0_0": "CASH", "coupon_refund_id_0_0": "10000", "coupon_refund_fee_0_0": 3,
	"coupon_type_0_1": "NO_CASH", "coupon_refund_id_0_1": "10001", "coupon_refund_fee_0_1": 3,
	"refund_status_0": "SUCCESS", "refund_account_0": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_recv_accout_0": "招商银行信用卡0403",
	"refund_success_time_0": "2016-07-25 15:26:26",
	"out_refund_no_1":       "R2", "refund_id_1": "50000000382019052709732678860", "refund_channel_1": "BALANCE", "refund_fee_1": 40,
	"settlement_refund_fee_1": 38, "coupon_refund_fee_1": 2, "coupon_refund_count_1": 1,
	"coupon_type_1_0": "NO_CASH", "coupon_refund_id_1_0": "10002", "coupon_refund_fee_1_0": 2,
	"refund_status_1": "CHANGE", "refund_account_1": "REFUND_SOURCE_UNSETTLED_FUNDS", "refund_recv_accout_1": "支付用户零钱",
}

func wantFound() refund.Page {
	order := refund.Amount{Total: 100, PayerTotal: ptr(90), SettlementTotal: ptr(95), Currency: "CNY"}
	one, two := order, order
	one.Refund, one.SettlementRefund, one.DiscountRefund = 60, ptr(57), ptr(6)
	two.Refund, two.SettlementRefund, two.DiscountRefund = 40, ptr(38), ptr(2)
	return refund.Page{TotalRefundCount: 35, RefundCount: 2, Refunds: []refund.Refund{
		{
			RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1",
			Channel: "ORIGINAL", UserReceivedAccount: "招商银行信用卡0403", SuccessTime: "2016-07-25T15:26:26+08:00",
			Status: refund.StatusSuccess, FundsAccount: "AVAILABLE", Amount: one,
			PromotionDetail: []refund.Promotion{{PromotionID: "10000", Type: "COUPON", RefundAmount: 3}, {PromotionID: "10001", Type: "DISCOUNT", RefundAmount: 3}},
		},
		{
			RefundID: "50000000382019052709732678860", OutRefundNo: "R2", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1",
			Channel: "BALANCE", UserReceivedAccount: "支付用户零钱", Status: refund.StatusAbnormal, FundsAccount: "UNSETTLED", Amount: two,
			PromotionDetail: []refund.Promotion{{PromotionID: "10002", Type: "DISCOUNT", RefundAmount: 2}},
		},
	}}
}

// alone is the same answer about the first of the two.
func alone() fields {
	out := found.with(fields{"refund_count": 1, "total_refund_count": nil})
	for name := range found {
		if strings.HasSuffix(name, "_1") && !strings.HasSuffix(name, "_0_1") || strings.Contains(name, "_1_") {
			delete(out, name)
		}
	}
	return out
}

// serveCloudPay answers with a text as the gateway passes WeChat Pay's answers on.
func serveCloudPay(t *testing.T, answer func(r *http.Request, c gatewayCall) string) *channel.CloudPay {
	t.Helper()
	g := serveGateway(t, func(w http.ResponseWriter, r *http.Request, c gatewayCall) {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, answer(r, c))
	})
	return &channel.CloudPay{Gateway: g, SubMchID: "1900000109"}
}

func says(text string) func(*http.Request, gatewayCall) string {
	return func(*http.Request, gatewayCall) string { return text }
}

// requestData decodes what CloudPay is asked, with numbers as they are written.
func requestData(t *testing.T, c gatewayCall) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(c.values["requestData"]))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Errorf("requestData: %v", err)
		return m
	}
	if nonce, _ := m["nonce_str"].(string); len(nonce) < 16 || len(nonce) > 32 {
		t.Errorf("nonce_str %q", nonce)
	}
	delete(m, "nonce_str")
	return m
}

// checkPay checks the action and its parts: their names, their order and their kinds.
func checkPay(t *testing.T, r *http.Request, c gatewayCall, api string) {
	t.Helper()
	checkEnvelope(t, r, c)
	if want := append([]string{"action", "apiName", "apiOptions", "requestData"}, commonNames...); !slices.Equal(c.names, want) {
		t.Errorf("parts %v, want %v", c.names, want)
	}
	for _, name := range c.names {
		if want := name == "apiOptions" || name == "requestData"; c.binary[name] != want {
			t.Errorf("%s: bytes %v, want %v", name, c.binary[name], want)
		}
	}
	if c.values["action"] != "wx.wxPayApi" || c.values["apiName"] != api || c.values["apiOptions"] != "" {
		t.Errorf("%v", c.values)
	}
}

// Every input and every output of CloudPay.refund.
func TestCloudPayRefundOnTheWire(t *testing.T) {
	full := map[string]any{
		"sub_mch_id": "1900000109", "transaction_id": "1217752501201407033233368018", "out_trade_no": "O1", "out_refund_no": "R1",
		"total_fee": json.Number("100"), "refund_fee": json.Number("60"), "refund_fee_type": "CNY",
		"refund_desc": "商品已售完", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
	}
	for name, c := range map[string]struct {
		change   func(*refund.Request)
		callback string
		more     fields
	}{
		"all fields":      {func(*refund.Request) {}, "", nil},
		"unsettled funds": {func(r *refund.Request) { r.FundsAccount = "UNSETTLED" }, "", fields{"refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS"}},
		"needed fields": {
			func(r *refund.Request) { r.TransactionID, r.Reason, r.FundsAccount = "", "", "" }, "",
			fields{"transaction_id": nil, "refund_desc": nil, "refund_account": nil},
		},
		"another currency": {func(r *refund.Request) { r.Amount.Currency = "USD" }, "", fields{"refund_fee_type": "USD"}},
		"callback":         {func(*refund.Request) {}, "wxpay_refund_callback", fields{"function_name": "wxpay_refund_callback", "env_id": envID}},
	} {
		t.Run(name, func(t *testing.T) {
			ch := serveCloudPay(t, func(r *http.Request, got gatewayCall) string {
				checkPay(t, r, got, "refund")
				isEqual(t, "requestData", map[string]any(fields(full).with(c.more)), requestData(t, got))
				return accepted.json()
			})
			ch.Callback = c.callback
			req := request()
			c.change(&req)
			got, err := ch.Refund(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			isEqual(t, "refund", wantAccepted(), got)
		})
	}
}

// Each of the four numbers, of several the one that counts, and an offset for
// orders only.
func TestCloudPayQueryOnTheWire(t *testing.T) {
	all := refund.Lookup{RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1", Offset: 24}
	for name, c := range map[string]struct {
		lookup func(*refund.Lookup)
		want   fields
	}{
		"refund_id":      {func(*refund.Lookup) {}, fields{"refund_id": "50000000382019052709732678859"}},
		"out_refund_no":  {func(l *refund.Lookup) { l.RefundID = "" }, fields{"out_refund_no": "R1"}},
		"transaction_id": {func(l *refund.Lookup) { l.RefundID, l.OutRefundNo = "", "" }, fields{"transaction_id": "1217752501201407033233368018", "offset": json.Number("24")}},
		"out_trade_no":   {func(l *refund.Lookup) { *l = refund.Lookup{OutTradeNo: "O1", Offset: 24} }, fields{"out_trade_no": "O1", "offset": json.Number("24")}},
		"first page":     {func(l *refund.Lookup) { *l = refund.Lookup{OutTradeNo: "O1"} }, fields{"out_trade_no": "O1"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := all
			c.lookup(&l)
			ch := serveCloudPay(t, func(r *http.Request, got gatewayCall) string {
				checkPay(t, r, got, "queryRefund")
				want := map[string]any(c.want.with(fields{"sub_mch_id": "1900000109"}))
				isEqual(t, "requestData", want, requestData(t, got))
				if l.ByOrder() {
					return found.json()
				}
				return alone().json()
			})
			got, err := ch.Query(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			want := wantFound()
			want.Offset = l.Offset
			if !l.ByOrder() {
				want.Refunds = want.Refunds[:1]
				got.TotalRefundCount, got.RefundCount, want.TotalRefundCount, want.RefundCount = 0, 0, 0, 0
			}
			isEqual(t, "page", want, got)
		})
	}
}

// A lookup without a number is the upstream's to refuse.
func TestCloudPayQueryWithoutANumber(t *testing.T) {
	ch := serveCloudPay(t, says(`{"return_code":"SUCCESS","result_code":"FAIL","err_code":"PARAM_ERROR"}`))
	if _, err := ch.Query(t.Context(), refund.Lookup{}); !refund.IsCode(err, refund.CodeInvalid) {
		t.Errorf("%v, want invalid", err)
	}
}

// lists writes an answer's numbered fields as the gateway does: x_$n as x_list, or
// as x, and x_$n_$m as x_array.
func lists(f fields, refundChannel bool) fields {
	out := fields{}
	put := func(list string, i int, value any) {
		l, _ := out[list].([]any)
		for len(l) <= i {
			l = append(l, nil)
		}
		l[i] = value
		out[list] = l
	}
	for name, value := range f {
		parts := strings.Split(name, "_")
		last, err := strconv.Atoi(parts[len(parts)-1])
		if err != nil {
			out[name] = value
			continue
		}
		parts = parts[:len(parts)-1]
		first, err := strconv.Atoi(parts[len(parts)-1])
		base := strings.Join(parts, "_")
		switch {
		case err == nil: // coupon_type_0_1
			base = strings.Join(parts[:len(parts)-1], "_")
			outer, _ := out[base+"_array"].([]any)
			for len(outer) <= first {
				outer = append(outer, []any{})
			}
			inner := outer[first].([]any)
			for len(inner) <= last {
				inner = append(inner, nil)
			}
			inner[last] = value
			outer[first] = inner
			out[base+"_array"] = outer
		case base == "refund_channel" && refundChannel:
			put(base, last, value)
		default:
			put(base+"_list", last, value)
		}
	}
	return out
}

// camel writes names as the SDK shows them: capitals before letters only.
func camel(f fields) fields {
	out := fields{}
	for name, value := range f {
		var b strings.Builder
		for i := 0; i < len(name); i++ {
			if name[i] == '_' && name[i+1] >= 'a' {
				i++
				b.WriteByte(name[i] - 'a' + 'A')
				continue
			}
			b.WriteByte(name[i])
		}
		out[b.String()] = value
	}
	return out
}

// The gateway's forms of one answer all say the same.
func TestCloudPayForms(t *testing.T) {
	forms := map[string]func(fields) fields{
		"CloudPay's documents": func(f fields) fields { return f },
		"snake": func(f fields) fields {
			return f.with(fields{"returnCode": nil, "returnMsg": nil, "return_code": "SUCCESS", "return_msg": "OK"})
		},
		"camel": camel,
		"texts": func(f fields) fields { // amounts as texts, as XML has them
			out := fields{}
			for name, value := range f {
				out[name] = fmt.Sprint(value)
			}
			return out
		},
		"lists":       func(f fields) fields { return lists(f, true) },
		"more lists":  func(f fields) fields { return lists(f, false) },
		"camel lists": func(f fields) fields { return camel(lists(f, true)) },
		"lists of one refund": func(f fields) fields { // with its index behind them
			if f["coupon_type_1_0"] == nil {
				return f
			}
			return f.with(fields{
				"coupon_type_1_0": nil, "coupon_refund_id_1_0": nil, "coupon_refund_fee_1_0": nil,
				"coupon_type_list_1": []string{"NO_CASH"}, "coupon_refund_id_list_1": []string{"10002"}, "coupon_refund_fee_list_1": []int{2},
			})
		},
		"both forms": func(f fields) fields { return lists(f, true).with(f) },
		"both names": func(f fields) fields { return camel(f).with(f) },
		"new fields": func(f fields) fields {
			return f.with(fields{"new": fields{"a": 1}, "new_flag": true, "new_list": []any{fields{}}})
		},
		"no count": func(f fields) fields { return f.with(fields{"empty_list": []any{}, "empty_array": []any{[]any{}}}) },
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			got, err := serveCloudPay(t, says(form(accepted).json())).Refund(t.Context(), request())
			isAnswer(t, "refund", wantAccepted(), got, err)
			page, err := serveCloudPay(t, says(form(found).json())).Query(t.Context(), refund.Lookup{OutTradeNo: "O1"})
			isAnswer(t, "query", wantFound(), page, err)
		})
	}
}

// What may be absent is, and then is not said; a currency that is not named is CNY.
func TestCloudPayOptionalFields(t *testing.T) {
	for _, name := range []string{
		"returnMsg", "err_code", "err_code_des", "settlement_refund_fee", "settlement_total_fee", "fee_type", "cash_refund_fee",
		"coupon_refund_fee", "coupon_refund_count", "appid", "mch_id", "sub_appid", "sub_mch_id", "nonce_str", "sign",
	} {
		want := wantAccepted()
		switch name {
		case "settlement_refund_fee":
			want.Amount.SettlementRefund = nil
		case "settlement_total_fee":
			want.Amount.SettlementTotal = nil
		case "cash_refund_fee":
			want.Amount.PayerRefund = nil
		case "coupon_refund_fee":
			want.Amount.DiscountRefund = nil
		case "coupon_refund_count":
			want.PromotionDetail = nil
		}
		got, err := serveCloudPay(t, says(accepted.with(fields{name: nil}).json())).Refund(t.Context(), request())
		isAnswer(t, name, want, got, err)
	}
}

// v2's words for a refund's state and for where it went.
func TestCloudPayWords(t *testing.T) {
	for theirs, want := range map[string]refund.Status{
		"SUCCESS": refund.StatusSuccess, "REFUNDCLOSE": refund.StatusClosed, "PROCESSING": refund.StatusProcessing, "CHANGE": refund.StatusAbnormal,
		"NOTSURE": "", // of which the document does not know: said nothing yet
	} {
		ch := serveCloudPay(t, says(alone().with(fields{"refund_status_0": theirs}).json()))
		page, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		if err != nil || page.Refunds[0].Status != want {
			t.Errorf("%s: %+v, %v, want %q", theirs, page, err, want)
		}
	}
	for _, where := range []string{"ORIGINAL", "BALANCE", "OTHER_BALANCE", "OTHER_BANKCARD"} {
		ch := serveCloudPay(t, says(alone().with(fields{"refund_channel_0": where}).json()))
		page, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		if err != nil || page.Refunds[0].Channel != where {
			t.Errorf("%s: %+v, %v", where, page, err)
		}
	}
}

// v2Errors are the codes that the error tables of CloudPay.refund and of
// CloudPay.queryRefund share, and those of v2's own documents.
var v2Errors = []errorRow{
	{"SYSTEMERROR", refund.CodeUnavailable, refund.SameNumber},
	{"INVALID_REQ_TOO_MUCH", refund.CodeUnavailable, refund.Later},
	{"INVALID_TRANSACTIONID", refund.CodeInvalid, refund.AfterFix},
	{"PARAM_ERROR", refund.CodeInvalid, refund.AfterFix},
	{"APPID_NOT_EXIST", refund.CodeRejected, refund.LaterOrFix},
	{"MCHID_NOT_EXIST", refund.CodeRejected, refund.LaterOrFix},
	{"REQUIRE_POST_METHOD", refund.CodeRejected, refund.AfterFix},
	{"SIGNERROR", refund.CodeRejected, refund.LaterOrFix},
	{"XML_FORMAT_ERROR", refund.CodeRejected, refund.AfterFix},
	{"FREQUENCY_LIMITED", refund.CodeUnavailable, refund.Later},
	{"NOAUTH", refund.CodeRejected, refund.LaterOrFix},
	{"ORDERNOTEXIST", refund.CodeNotFound, refund.LaterOrFix},
	{"SOMETHING_NEW", refund.CodeUnavailable, refund.SameNumber},
	{"", refund.CodeUnavailable, refund.SameNumber},
}

// cloudPayRefundErrors are those of a refund.
var cloudPayRefundErrors = slices.Concat(v2Errors, []errorRow{
	{"BIZERR_NEED_RETRY", refund.CodeUnavailable, refund.SameNumber},
	{"TRADE_OVERDUE", refund.CodeRejected, refund.Never},
	{"ERROR", refund.CodeRejected, refund.LaterOrFix},
	{"USER_ACCOUNT_ABNORMAL", refund.CodeRejected, refund.Never},
	{"NOTENOUGH", refund.CodeRejected, refund.Later},
	{"INVALID_REQUEST", refund.CodeRejected, refund.LaterOrFix},
	{"REFUND_FEE_MISMATCH", refund.CodeRejected, refund.LaterOrFix},
})

// queryErrors are those of a query.
var queryErrors = slices.Concat(v2Errors, []errorRow{
	{"APPID_MCHID_NOT_MATCH", refund.CodeRejected, refund.LaterOrFix},
	{"REFUNDNOTEXIST", refund.CodeNotFound, refund.LaterOrFix},
})

func refusal(code string) fields {
	return fields{
		"return_code": "SUCCESS", "return_msg": "OK", "result_code": "FAIL", "err_code": code, "err_code_des": "订单已全额退款",
		"appid": "wxd678efh567hg6787", "mch_id": "1230000109", "sub_mch_id": "1900000109", "nonce_str": "x", "sign": "y",
	}
}

func TestCloudPayErrors(t *testing.T) {
	for call, table := range map[string][]errorRow{"refund": cloudPayRefundErrors, "query": queryErrors} {
		for _, row := range table {
			for form, answer := range map[string]fields{"wire": refusal(row.code), "camel": camel(refusal(row.code)), "no text": refusal(row.code).with(fields{"err_code_des": nil})} {
				err := both(serveCloudPay(t, says(answer.json())))[call](t.Context())
				checkRow(t, call, row.code+" "+form, row, err)
				e := refund.AsError(err)
				if e.Code != refund.CodeUnavailable && form == "wire" && e.Message != "WeChat Pay refused: 订单已全额退款" || strings.HasSuffix(e.Message, ": ") {
					t.Errorf("%s %s: message %q", row.code, form, e.Message)
				}
			}
		}
	}
}

// What is certain in answer to one call says nothing in answer to another, whose
// document does not have the code.
func TestCodesOfAnotherCallLeaveTheOutcomeOpen(t *testing.T) {
	for call, codes := range map[string][]string{
		"refund": {"APPID_MCHID_NOT_MATCH", "REFUNDNOTEXIST"},
		"query":  {"BIZERR_NEED_RETRY", "TRADE_OVERDUE", "ERROR", "USER_ACCOUNT_ABNORMAL", "NOTENOUGH", "INVALID_REQUEST", "REFUND_FEE_MISMATCH"},
	} {
		for _, code := range codes {
			err := both(serveCloudPay(t, says(refusal(code).json())))[call](t.Context())
			checkRow(t, call, code, errorRow{code, refund.CodeUnavailable, refund.SameNumber}, err)
		}
	}
}

// An answer that is none to what was asked leaves the outcome open.
func TestBrokenCloudPayAnswersLeaveTheOutcomeOpen(t *testing.T) {
	for name, more := range map[string]fields{
		"return_code FAIL":        {"returnCode": "FAIL", "returnMsg": "参数格式校验错误"},
		"no return_code":          {"returnCode": nil},
		"no result_code":          {"result_code": nil},
		"another result_code":     {"result_code": "MAYBE"},
		"another merchant":        {"sub_mch_id": "1900000110"},
		"a refusal to another":    {"sub_mch_id": "1900000110", "result_code": "FAIL", "err_code": "NOTENOUGH"},
		"another refund":          {"out_refund_no": "R2", "out_refund_no_0": "R2"},
		"no refund":               {"out_refund_no": nil, "out_refund_no_0": nil},
		"an amount with a point":  {"refund_fee": 60.5, "refund_fee_0": 60.5},
		"an amount in a sentence": {"total_fee": "100 fen"},
		"no amount":               {"refund_fee": nil, "refund_fee_0": nil},
		"an amount of nothing":    {"refund_fee": 0, "refund_fee_0": 0},
		"two refunds":             {"refund_count": 2, "out_refund_no": "R1,R2"},
		"too many refunds":        {"refund_count": 101, "out_refund_no": "R1,R2"},
		"a count below zero":      {"refund_count": -1, "out_refund_no": "R1,R2"},
		"a count of no number":    {"refund_count": "one", "out_refund_no": "R1,R2"},
		"a total below zero":      {"total_fee": -1},
		"a total beyond int64":    {"total_fee": "9223372036854775808"},
		"a total of its own":      {"total_fee": []any{100}, "totalFee": fields{}},
		"an amount below zero":    {"refund_fee": -60, "refund_fee_0": -60},
		"an amount of no number":  {"refund_fee": "sixty", "refund_fee_0": true},
		"an order of no text":     {"out_trade_no": fields{}},
		"an order in two ways":    {"outTradeNo": "O2"},
		"a currency of no text":   {"fee_type": true},
		"a merchant of no text":   {"sub_mch_id": fields{}},
		"a merchant in two ways":  {"subMchId": "1900000110"},
		"a refusal that is none":  {"result_code": nil, "err_code": "REFUNDNOTEXIST"},
		"a refusal in two ways":   {"resultCode": "FAIL", "err_code": "REFUNDNOTEXIST"},
		"told in two ways":        {"out_refund_no_list": []string{"R2"}, "outRefundNo": "R2"},
		"a total in two ways":     {"totalFee": 101},
	} {
		for call, good := range map[string]fields{"refund": accepted, "query": alone()} {
			do := both(serveCloudPay(t, says(good.with(more).json())))[call]
			isUnknown(t, name+", "+call, do(t.Context()))
		}
	}
}

// emptyLists is what users report (developers.weixin.qq.com/community
// 000484fe0ec200394c409a2a466800, 000606c10cc7986b182beb48251000): one refund is
// counted, whichever number is asked for, and nothing told of it.
func emptyLists() fields {
	answer := fields{
		"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "sub_mch_id": "1900000109", "transaction_id": "T1", "out_trade_no": "O1",
		"total_fee": 1, "cash_fee": 1, "refund_count": 1,
	}
	for _, name := range []string{
		"out_refund_no_list", "refund_id_list", "refund_channel", "refund_fee_list", "settlement_refund_fee_list", "coupon_type_array", "coupon_refund_fee_list",
		"coupon_refund_count_list", "coupon_refund_id_array", "coupon_refund_fee_array", "refund_status_list", "refund_account_list", "refund_recv_accout_list", "refund_success_time_list",
	} {
		answer[name] = []any{}
	}
	return answer
}

// A refund that is counted and not told exists, and no more is known of it. What
// is not even counted is not known, and never "not found". Of an order nothing is
// made up.
func TestCloudPayEmptyLists(t *testing.T) {
	lookups := []refund.Lookup{
		{OutRefundNo: "R1"}, {RefundID: "5"}, {RefundID: "5", OutRefundNo: "R1"},
		{OutTradeNo: "O1"}, {TransactionID: "T1"}, {OutTradeNo: "O1", Offset: 10},
	}
	for name, c := range map[string]struct {
		more   fields
		exists bool
	}{
		"counted":                {fields{}, true},
		"counted as a text":      {fields{"refund_count": "1"}, true},
		"counted twice":          {fields{"refund_count": 2}, true},
		"empty texts":            {fields{"out_refund_no_list": []any{""}, "refund_id_list": []any{nil}}, true},
		"no lists":               {fields{"out_refund_no_list": nil, "refund_id_list": nil, "refund_fee_list": nil}, true},
		"not counted":            {fields{"refund_count": 0}, false},
		"without a count":        {fields{"refund_count": nil}, false},
		"less than nothing":      {fields{"refund_count": -1}, false},
		"more than there can be": {fields{"refund_count": 1 << 40}, false},
		"a count of no number":   {fields{"refund_count": "one"}, false},
		"a count of no text":     {fields{"refund_count": true}, false},
		"a count in two ways":    {fields{"refundCount": 2}, false},
		"another refund's":       {fields{"out_refund_no_list": []any{"R2"}}, false},
		"another id":             {fields{"refund_id_list": []any{"6"}}, false},
		"a number of no text":    {fields{"out_refund_no_list": []any{fields{}}}, false},
		"another merchant's":     {fields{"sub_mch_id": "1900000110"}, false},
		"refused":                {fields{"result_code": "FAIL"}, false},
	} {
		answer := emptyLists().with(c.more)
		for form, answer := range map[string]fields{"wire": answer, "camel": camel(answer)} {
			if len(answer) != len(emptyLists().with(c.more)) {
				continue // camel has told two spellings as one
			}
			ch := serveCloudPay(t, says(answer.json()))
			for _, l := range lookups {
				_, err := ch.Query(t.Context(), l)
				isUnknown(t, fmt.Sprintf("%s, %s, %+v", name, form, l), err)
				if got := refund.AsError(err).CountedOnly; got != c.exists {
					t.Errorf("%s, %s, %+v: exists %v: %v", name, form, l, got, err)
				}
			}
		}
	}
}

// An answer about another order or refund is no answer.
func TestCloudPayAnswersAnotherQuestion(t *testing.T) {
	for _, l := range []refund.Lookup{{RefundID: "5"}, {OutRefundNo: "R9"}, {TransactionID: "T9"}, {OutTradeNo: "O9"}} {
		for name, answer := range map[string]fields{"one refund": alone(), "two refunds": found} {
			_, err := serveCloudPay(t, says(answer.json())).Query(t.Context(), l)
			isUnknown(t, fmt.Sprintf("%s to %+v", name, l), err)
		}
	}
	for _, l := range []refund.Lookup{{RefundID: "50000000382019052709732678859"}, {OutRefundNo: "R1"}} {
		_, err := serveCloudPay(t, says(found.json())).Query(t.Context(), l)
		isUnknown(t, fmt.Sprintf("two refunds to %+v", l), err)
	}
}

// pageOf answers as an order with the given number of refunds does, ten at a time.
func pageOf(total, offset int) fields {
	if offset > total {
		return refusal("PARAM_ERROR")
	}
	f := fields{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "sub_mch_id": "1900000109", "appid": "wxd678efh567hg6787", "mch_id": "1230000109",
		"transaction_id": "T1", "out_trade_no": "O1", "total_fee": 1000, "cash_fee": 1000, "fee_type": "CNY",
	}
	if total > 10 || offset > 0 {
		f["total_refund_count"] = total
	}
	n := min(10, total-offset)
	f["refund_count"] = n
	for i := range n {
		at := fmt.Sprintf("_%d", i)
		f["out_refund_no"+at], f["refund_id"+at] = fmt.Sprintf("R%d", offset+i+1), fmt.Sprintf("5000%d", offset+i+1)
		f["refund_fee"+at], f["refund_status"+at], f["refund_recv_accout"+at] = offset+i+1, "SUCCESS", "支付用户零钱"
	}
	return f
}

// checkPages pages through 36 refunds, as CloudPay.queryRefund's example does.
func checkPages(t *testing.T, c refund.Channel) {
	t.Helper()
	for _, p := range []struct{ offset, first, last int }{{0, 1, 10}, {10, 11, 20}, {24, 25, 34}, {30, 31, 36}, {36, 0, 0}} {
		page, err := c.Query(t.Context(), refund.Lookup{OutTradeNo: "O1", Offset: p.offset})
		if err != nil {
			t.Errorf("offset %d: %v", p.offset, err)
			continue
		}
		var want, got []string
		for i := p.first; i <= p.last && i > 0; i++ {
			want = append(want, fmt.Sprintf("R%d %d SUCCESS", i, i))
		}
		for _, r := range page.Refunds {
			got = append(got, fmt.Sprintf("%s %d %s", r.OutRefundNo, r.Amount.Refund, r.Status))
		}
		if d := cmp.Diff(want, got); d != "" || page.TotalRefundCount != 36 || page.RefundCount != len(want) || page.Offset != p.offset {
			t.Errorf("offset %d: %d of %d (-want +got):\n%s", p.offset, page.RefundCount, page.TotalRefundCount, d)
		}
		if page.Refunds == nil {
			t.Errorf("offset %d: an empty page is no null", p.offset)
		}
	}
	_, err := c.Query(t.Context(), refund.Lookup{OutTradeNo: "O1", Offset: 37})
	checkRow(t, "query", "offset beyond the total", errorRow{"PARAM_ERROR", refund.CodeInvalid, refund.AfterFix}, err)
}

func TestCloudPayPages(t *testing.T) {
	checkPages(t, serveCloudPay(t, func(_ *http.Request, c gatewayCall) string {
		var m struct{ Offset int }
		if err := json.Unmarshal([]byte(c.values["requestData"]), &m); err != nil {
			t.Error(err)
		}
		return pageOf(36, m.Offset).json()
	}))
	page, err := serveCloudPay(t, says(pageOf(3, 0).json())).Query(t.Context(), refund.Lookup{OutTradeNo: "O1"})
	if err != nil || page.TotalRefundCount != 3 || page.RefundCount != 3 {
		t.Errorf("without total_refund_count: %+v, %v", page, err)
	}
}

func TestCloudPayCarries(t *testing.T) {
	ok := request()
	ok.GoodsDetail, ok.Amount.From = nil, nil
	notCarried(t, &channel.CloudPay{}, ok, map[string]func(*refund.Request){
		"goods_detail":           func(r *refund.Request) { r.GoodsDetail = request().GoodsDetail },
		"amount.from[0].account": func(r *refund.Request) { r.Amount.From = request().Amount.From },
		"funds_account":          func(r *refund.Request) { r.FundsAccount = "OPERATION" },
		"out_refund_no may":      func(r *refund.Request) { r.OutRefundNo = "R|1" },
		"out_trade_no must":      func(r *refund.Request) { r.OutTradeNo = strings.Repeat("1", 33) },
		"out_trade_no may":       func(r *refund.Request) { r.OutTradeNo = "O 1" },
		"transaction_id must":    func(r *refund.Request) { r.TransactionID = strings.Repeat("1", 33) },
		"transaction_id or":      func(r *refund.Request) { r.TransactionID, r.OutTradeNo = "", "" },
	})
	spec := (*channel.CloudPay)(nil).Spec()
	if spec.Rate != 150 || spec.BadRate != 6 || spec.MaxRefunds != 0 {
		t.Errorf("limits %+v, want those of CloudPay.refund", spec)
	}
	if err := spec.Number("out_refund_no", "R_1-aZ"); err != nil {
		t.Error(err)
	}
}

type identity struct{}

// Two requests at one time use each its own credentials.
func TestGatewayCredentialsNeverMix(t *testing.T) {
	var meet sync.WaitGroup
	meet.Add(2)
	seen := make(chan gatewayCall, 2)
	ch := serveCloudPay(t, func(_ *http.Request, c gatewayCall) string {
		seen <- c
		return accepted.json()
	})
	ch.Gateway.Credentials = func(ctx context.Context) (cloudbase.Credentials, error) {
		meet.Done()
		meet.Wait() // both are on their way
		return credentials(ctx.Value(identity{}).(string)), nil
	}
	var done sync.WaitGroup
	for _, n := range []string{"1", "2"} {
		done.Go(func() {
			if _, err := ch.Refund(context.WithValue(t.Context(), identity{}, n), request()); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	close(seen)
	var who []string
	for c := range seen {
		n := strings.TrimPrefix(c.secretID, "AKID")
		if c.values["sessionToken"] != "session"+n || c.values["wxCloudApiToken"] != "api"+n || c.values["tcb_sessionToken"] != "tcb"+n {
			t.Errorf("signed by %s, with %v", c.secretID, c.values)
		}
		who = append(who, n)
	}
	if slices.Sort(who); !slices.Equal(who, []string{"1", "2"}) {
		t.Errorf("called by %v", who)
	}
}

// What v2 does not tell of a coupon, its face value, is absent and not 0.
func TestCouponWithoutAFaceValue(t *testing.T) {
	ch := serveCloudPay(t, says(accepted.json()))
	got, err := ch.Refund(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got.PromotionDetail)
	if want := `[{"promotion_id":"10000","type":"COUPON","refund_amount":3},{"promotion_id":"10001","type":"DISCOUNT","refund_amount":3}]`; err != nil || string(b) != want {
		t.Errorf("%s, error %v, want %s", b, err, want)
	}
}
