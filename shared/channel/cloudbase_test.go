package channel_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

// serveModule answers as the gateway does when a function has returned.
func serveModule(t *testing.T, answer func(r *http.Request, c gatewayCall) string) *channel.CloudBase {
	t.Helper()
	return &channel.CloudBase{Gateway: serveGateway(t, func(w http.ResponseWriter, r *http.Request, c gatewayCall) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, invoked(answer(r, c)))
	})}
}

func invoked(returned string) string {
	return fields{"requestId": "6a33", "data": fields{"response_data": returned}}.json()
}

// checkInvoke checks the action, and returns what the module is called with.
func checkInvoke(t *testing.T, r *http.Request, c gatewayCall) any {
	t.Helper()
	checkEnvelope(t, r, c)
	if r.Header.Get("Content-Type") != "application/json" || len(c.values) != 3+len(commonNames) ||
		c.values["action"] != "functions.invokeFunction" || c.values["function_name"] != "cloudbase_module" {
		t.Errorf("%s: %v", r.Header.Get("Content-Type"), c.values)
	}
	return decode(t, c.values["request_data"])
}

// Every input that the template's wxpay_refund has is sent flat, what is not given is not
// sent, every output is read, and a query's input is inside params.
func TestCloudBaseOnTheWire(t *testing.T) {
	full := request()
	full.GoodsDetail[0].WechatpayGoodsID, full.GoodsDetail[0].GoodsName = "1001", "iPhone6s 16G <&>"
	const data = `{"out_refund_no":"R1","transaction_id":"1217752501201407033233368018","out_trade_no":"O1","reason":"商品已售完","funds_account":"AVAILABLE",
		"amount":{"refund":60,"total":100,"currency":"CNY","from":[{"account":"AVAILABLE","amount":60}]},
		"goods_detail":[{"merchant_goods_id":"1217","wechatpay_goods_id":"1001","goods_name":"iPhone6s 16G <&>","unit_price":528800,"refund_amount":60,"refund_quantity":1}]}`
	needed := refund.Request{OutRefundNo: "R1", OutTradeNo: "O1", Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"}}
	var sent string
	ch := serveModule(t, func(r *http.Request, c gatewayCall) string {
		isEqual(t, "request_data", decode(t, sent), checkInvoke(t, r, c))
		return `{"code":0,"data":` + object + `}`
	})
	for wantData, req := range map[string]refund.Request{
		data: full,
		`{"out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":60,"total":100,"currency":"CNY"}}`: needed,
	} {
		sent = `{"name":"wxpay_refund","data":` + wantData + `}`
		got, err := ch.Refund(t.Context(), req)
		isAnswer(t, "refund", want(), got, err)
	}
	sent = `{"name":"wxpay_refund_query","data":{"params":{"out_refund_no":"R1"}}}`
	page, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
	isAnswer(t, "query", refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{want()}}, page, err)
}

// refusals are the answers under testdata/module that refuse, or that leave it
// open in some way of their own: code and next step, and the upstream's own code.
var refusals = map[string]struct {
	row  errorRow
	text string
}{
	"refused-wechat-pay-error":                  {errorRow{"RESOURCE_NOT_EXISTS", refund.CodeNotFound, refund.LaterOrFix}, "退款单不存在"},
	"refused-wechat-pay-error-inside-code-zero": {errorRow{"NOT_ENOUGH", refund.CodeRejected, refund.Later}, "基本账户余额不足，请充值后重新发起"},
	"refused-errmsg-json":                       {errorRow{"INVALID_REQUEST", refund.CodeRejected, refund.LaterOrFix}, "订单已全额退款"},
	"refused-msg-json":                          {errorRow{"PARAM_ERROR", refund.CodeInvalid, refund.AfterFix}, "参数错误"},
	"refused-errmsg-json-in-data":               {errorRow{"USER_ACCOUNT_ABNORMAL", refund.CodeRejected, refund.Never}, "用户账户注销"},
	"refused-errcode-text":                      {errorRow{"NO_AUTH", refund.CodeRejected, refund.LaterOrFix}, "商户号该产品权限未开通"},
	"refused-integration-centre":                {errorRow{"RESOURCE_NOT_EXISTS", refund.CodeNotFound, refund.LaterOrFix}, "订单不存在"},
	"refused-integration-centre-error-text":     {errorRow{"NOT_ENOUGH", refund.CodeRejected, refund.Later}, "基本账户余额不足"},
	"refused-integration-centre-error-object":   {errorRow{"NOT_ENOUGH", refund.CodeRejected, refund.Later}, "基本账户余额不足"},

	"unknown-integration-centre-500":        {errorRow{"NOT_ENOUGH", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-integration-centre-429":        {errorRow{"RATELIMIT_EXCEEDED", refund.CodeUnavailable, refund.Later}, ""},
	"unknown-integration-centre-validation": {errorRow{"-1", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-errcode-http-failed":           {errorRow{"-501001", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-missing-credentials":           {errorRow{"MISSING_CREDENTIALS", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-frequency-limited":             {errorRow{"FREQUENCY_LIMITED", refund.CodeUnavailable, refund.Later}, ""},
	"unknown-system-error":                  {errorRow{"SYSTEM_ERROR", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-unimplemented":                 {errorRow{"-1", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-numeric-text-code":             {errorRow{"-1", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-inner-errcode-beside-a-refund": {errorRow{"-1", refund.CodeUnavailable, refund.SameNumber}, ""},
	"unknown-result-errcode":                {errorRow{"40001", refund.CodeUnavailable, refund.SameNumber}, ""},
}

// Every shape of answer that users of the template report. What a file is called
// says what it is: a refund, a query's answer, a refusal, or nothing certain.
func TestCloudBaseAnswers(t *testing.T) {
	reduced := refund.Refund{OutRefundNo: "R1", Status: refund.StatusSuccess, SuccessTime: "2026-11-22T10:05:00+08:00"}
	shapes := map[string]refund.Refund{
		"refund-flat-short": {
			RefundID: "50000000382019052709732678859", OutRefundNo: "R1", Status: refund.StatusProcessing,
			Amount: refund.Amount{Refund: 60, Total: 100, Currency: "CNY"},
		},
		"query-reduced":         reduced,
		"query-reduced-v2-word": {OutRefundNo: "R1", Status: refund.StatusClosed},
	}
	paths, err := filepath.Glob("testdata/module/*.json")
	if err != nil || len(paths) < 40 {
		t.Fatal(len(paths), err)
	}
	for _, path := range paths {
		answer, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		kind, _, _ := strings.Cut(name, "-")
		t.Run(name, func(t *testing.T) {
			ch := serveModule(t, says(string(answer)))
			got, err := ch.Refund(t.Context(), request())
			switch kind {
			case "refund", "query":
				wanted, ok := shapes[name]
				if !ok {
					wanted = want()
				}
				page, queryErr := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
				isAnswer(t, "refund", wanted, got, err)
				isAnswer(t, "query", []refund.Refund{wanted}, page.Refunds, queryErr)
			case "refused", "unknown":
				told, ok := refusals[name]
				if !ok {
					told.row = errorRow{"", refund.CodeUnavailable, refund.SameNumber}
				}
				checkRow(t, "refund", name, told.row, err)
				if m := refund.AsError(err).Message; told.text != "" && m != "WeChat Pay refused: "+told.text {
					t.Errorf("message %q", m)
				}
				_, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
				checkRow(t, "query", name, told.row, err)
			default:
				t.Errorf("what is it?")
			}
		})
	}
	for name := range refusals {
		if _, err := os.Stat("testdata/module/" + name + ".json"); err != nil {
			t.Error(err)
		}
	}
}

// APIv3's table holds for the module, which passes its codes on (the template names no others).
func TestCloudBaseErrors(t *testing.T) {
	for _, row := range []errorRow{
		{"USER_ACCOUNT_ABNORMAL", refund.CodeRejected, refund.Never},
		{"NOT_ENOUGH", refund.CodeRejected, refund.Later},
		{"PARAM_ERROR", refund.CodeInvalid, refund.AfterFix},
		{"INVALID_REQUEST", refund.CodeRejected, refund.LaterOrFix},
		{"SIGN_ERROR", refund.CodeRejected, refund.LaterOrFix},
		{"NO_AUTH", refund.CodeRejected, refund.LaterOrFix},
		{"MCH_NOT_EXISTS", refund.CodeRejected, refund.LaterOrFix},
		{"RESOURCE_NOT_EXISTS", refund.CodeNotFound, refund.LaterOrFix},
		{"SYSTEM_ERROR", refund.CodeUnavailable, refund.SameNumber},
		{"FREQUENCY_LIMITED", refund.CodeUnavailable, refund.Later},
		{"RATELIMIT_EXCEEDED", refund.CodeUnavailable, refund.Later},
		{"SOMETHING_NEW", refund.CodeUnavailable, refund.SameNumber},
	} {
		inner := fields{"code": row.code, "message": "why"}
		for form, answer := range map[string]fields{
			"passed on": inner, "inside code 0": {"code": 0, "data": inner}, "in errmsg": {"errcode": 1, "errmsg": inner.json()},
			"as errcode": {"errcode": row.code, "errmsg": "why"}, "no text": {"code": row.code},
		} {
			ch := serveModule(t, says(answer.json()))
			for call, do := range both(ch) {
				err := do(t.Context())
				checkRow(t, call, row.code+" "+form, row, err)
				if m := refund.AsError(err).Message; strings.HasSuffix(m, ": ") {
					t.Errorf("%s %s: message %q", row.code, form, m)
				}
			}
		}
	}
}

// The states and words of the template pass through as they are.
func TestCloudBaseWords(t *testing.T) {
	for name, words := range map[string][]string{
		"status":                {"SUCCESS", "CLOSED", "PROCESSING", "ABNORMAL"},
		"channel":               {"ORIGINAL", "BALANCE", "OTHER_BALANCE", "OTHER_BANKCARD"},
		"funds_account":         {"UNSETTLED", "AVAILABLE", "UNAVAILABLE", "OPERATION", "BASIC", "ECNY_BASIC"},
		"user_received_account": {"招商银行信用卡0403", "支付用户零钱", "商户基本账户", "商户结算银行账户", "支付用户零钱通"},
		"create_time":           {"2015-05-20T13:29:35+08:00"},
	} {
		for _, word := range words {
			var answer fields
			if err := json.Unmarshal([]byte(object), &answer); err != nil {
				t.Fatal(err)
			}
			answer[name] = word
			got, err := serveModule(t, says(fields{"code": 0, "data": answer}.json())).Refund(t.Context(), request())
			told := map[string]string{
				"status": string(got.Status), "channel": got.Channel, "funds_account": got.FundsAccount,
				"user_received_account": got.UserReceivedAccount, "create_time": got.CreateTime,
			}
			if err != nil || told[name] != word {
				t.Errorf("%s: %q, %v, want %q", name, told[name], err, word)
			}
		}
	}
}

func TestCloudBaseCarries(t *testing.T) {
	notCarried(t, &channel.CloudBase{}, request(), map[string]func(*refund.Request){
		"out_refund_no may":              func(r *refund.Request) { r.OutRefundNo = "R|1" },
		"transaction_id or out_trade_no": func(r *refund.Request) { r.TransactionID, r.OutTradeNo = "", "" },
		"amount.currency":                func(r *refund.Request) { r.Amount.Currency = "USD" },
		"funds_account":                  func(r *refund.Request) { r.FundsAccount = "BASIC" },
		"amount.from[0].account":         func(r *refund.Request) { r.Amount.From = []refund.From{{Account: "BASIC", Amount: 60}} },
	})
}

// An amount may be left out; one that is there and says nothing is not believed.
func TestCloudBaseAmountOfNothing(t *testing.T) {
	for _, amount := range []string{`{}`, `{"refund":0}`, `{"refund":0,"total":100}`, `{"total":100}`, `{"refund":-60}`, `{"refund":null}`} {
		ch := serveModule(t, says(`{"code":0,"data":{"out_refund_no":"R1","status":"SUCCESS","amount":`+amount+`}}`))
		_, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		checkRow(t, "query", amount, errorRow{"", refund.CodeUnavailable, refund.SameNumber}, err)
	}
	ch := serveModule(t, says(`{"code":0,"data":{"out_refund_no":"R1","status":"SUCCESS","amount":null}}`))
	if _, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"}); err != nil {
		t.Error(err)
	}
}
