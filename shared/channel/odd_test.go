package channel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

// leftOut are the names that a log was told of, and whether it tells a value that
// nobody should see in it.
func leftOut(t *testing.T, log *bytes.Buffer, value string) []string {
	t.Helper()
	if value != "" && strings.Contains(log.String(), value) {
		t.Errorf("the log tells a value: %s", log)
	}
	var names []string
	for line := range strings.Lines(log.String()) {
		var entry struct {
			Msg    string
			No     string `json:"out_refund_no"`
			Fields []string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg != "left out" || entry.No != "R1" {
			t.Errorf("%s: %v", line, err)
		}
		names = append(names, entry.Fields...)
	}
	slices.Sort(names)
	return names
}

// v3Systems are those whose answers hold APIv3's refund object, each with a log.
func v3Systems(t *testing.T, object string) map[string]func(*slog.Logger) refund.Channel {
	return map[string]func(*slog.Logger) refund.Channel{
		"apiv3": func(log *slog.Logger) refund.Channel {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { signed(t, w, 200, object) })
			c.Log = log
			return c
		},
		"cloudbase": func(log *slog.Logger) refund.Channel {
			c := serveModule(t, says(`{"code":0,"data":`+object+`}`))
			c.Log = log
			return c
		},
		"wecom": func(log *slog.Logger) refund.Channel {
			c := (&wecomServer{answer: saysWeCom(`{"errcode":0,"errmsg":1,` + strings.TrimPrefix(object, "{"))}).start(t)
			c.Log = log
			return c
		},
	}
}

// Of APIv3's refund object only number, order, status and amount decide whether
// it can be read. What is odd of anything else is left out, by itself, and the log
// told its name.
func TestOddFieldsOfARefundObjectAreLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		want     func(*refund.Refund)
		left     []string
	}{
		"promotion_detail is an object": {`"promotion_detail":[`, `"promotion_detail":{"canary":1},"x":[`, func(r *refund.Refund) { r.PromotionDetail = nil }, []string{"promotion_detail"}},
		"promotion_detail is a text":    {`"promotion_detail":[`, `"promotion_detail":"","x":[`, func(r *refund.Refund) { r.PromotionDetail = nil }, []string{"promotion_detail"}},
		"one bad promotion": {`"promotion_detail":[`, `"promotion_detail":[{"promotion_id":"canary","refund_amount":"1"},7,`, func(*refund.Refund) {}, []string{
			"promotion_detail[0].refund_amount", "promotion_detail[1]",
		}},
		"only bad promotions": {`"promotion_detail":[`, `"promotion_detail":[7],"x":[`, func(r *refund.Refund) { r.PromotionDetail = nil }, []string{"promotion_detail[0]"}},
		"a scope of a promotion": {`"scope":"SINGLE"`, `"scope":["SINGLE"]`, func(r *refund.Refund) { r.PromotionDetail[0].Scope = "" }, []string{
			"promotion_detail[0].scope",
		}},
		"a face value below zero": {`"amount":10`, `"amount":-10`, func(r *refund.Refund) { r.PromotionDetail[0].Amount = nil }, []string{"promotion_detail[0].amount"}},
		"one bad article": {`"goods_detail":[`, `"goods_detail":[{"merchant_goods_id":"canary","unit_price":1.5},`, func(*refund.Refund) {}, []string{
			"promotion_detail[0].goods_detail[0].unit_price",
		}},
		"from is an object":          {`"from":[`, `"from":{},"x":[`, func(r *refund.Refund) { r.Amount.From = nil }, []string{"amount.from"}},
		"a part of from":             {`"from":[`, `"from":[{"account":"canary","amount":"1"},`, func(r *refund.Refund) { r.Amount.From = nil }, []string{"amount.from[0].amount"}},
		"refund_fee is a text":       {`"refund_fee":1`, `"refund_fee":"0"`, func(r *refund.Refund) { r.Amount.RefundFee = nil }, []string{"amount.refund_fee"}},
		"refund_fee is a decimal":    {`"refund_fee":1`, `"refund_fee":0.5`, func(r *refund.Refund) { r.Amount.RefundFee = nil }, []string{"amount.refund_fee"}},
		"payer_total is a decimal":   {`"payer_total":90`, `"payer_total":100.00`, func(r *refund.Refund) { r.Amount.PayerTotal = nil }, []string{"amount.payer_total"}},
		"payer_refund below zero":    {`"payer_refund":54`, `"payer_refund":-1`, func(r *refund.Refund) { r.Amount.PayerRefund = nil }, []string{"amount.payer_refund"}},
		"discount_refund is too big": {`"discount_refund":6`, `"discount_refund":9223372036854775808`, func(r *refund.Refund) { r.Amount.DiscountRefund = nil }, []string{"amount.discount_refund"}},
		"success_time is a number":   {`"success_time":"2026-11-22T10:05:00+08:00"`, `"success_time":0`, func(r *refund.Refund) { r.SuccessTime = "" }, []string{"success_time"}},
		"success_time is no time":    {`"success_time":"2026-11-22T10:05:00+08:00"`, `"success_time":"canary"`, func(r *refund.Refund) { r.SuccessTime = "" }, []string{"success_time"}},
		"success_time as v2 has it":  {`"success_time":"2026-11-22T10:05:00+08:00"`, `"success_time":"20261122100500"`, func(*refund.Refund) {}, nil},
		"create_time is a list":      {`"create_time":"2026-11-22T10:00:00+08:00"`, `"create_time":[]`, func(r *refund.Refund) { r.CreateTime = "" }, []string{"create_time"}},
		"funds_account is a list":    {`"funds_account":"UNSETTLED"`, `"funds_account":["canary"]`, func(r *refund.Refund) { r.FundsAccount = "" }, []string{"funds_account"}},
		"channel is a number":        {`"channel":"ORIGINAL"`, `"channel":1`, func(r *refund.Refund) { r.Channel = "" }, []string{"channel"}},
		"the receiver is a number":   {`"user_received_account":"招商银行信用卡0403"`, `"user_received_account":6222020200112233`, func(r *refund.Refund) { r.UserReceivedAccount = "" }, []string{"user_received_account"}},
		"two":                        {`"channel":"ORIGINAL","user_received_account":"招商银行信用卡0403"`, `"channel":{},"user_received_account":{}`, func(r *refund.Refund) { r.Channel, r.UserReceivedAccount = "", "" }, []string{"channel", "user_received_account"}},
		"a new field":                {`"channel":`, `"new":{"a":[1]},"channel":`, func(*refund.Refund) {}, nil},
		"null":                       {`"channel":"ORIGINAL"`, `"channel":null`, func(r *refund.Refund) { r.Channel = "" }, nil},
		"nothing":                    {`"new":{}`, `"new":{}`, func(*refund.Refund) {}, nil},
	} {
		odd := strings.Replace(strings.ReplaceAll(object, "\n", ""), c.old, c.new, 1)
		for system, build := range v3Systems(t, odd) {
			var log bytes.Buffer
			page, err := build(slog.New(slog.NewJSONHandler(&log, nil))).Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
			wanted := want()
			c.want(&wanted)
			isAnswer(t, system+", "+name, []refund.Refund{wanted}, page.Refunds, err)
			isEqual(t, system+", "+name+": left out", c.left, leftOut(t, &log, "canary"))
			if strings.Contains(log.String(), "6222020200112233") {
				t.Errorf("%s, %s: the log tells a value: %s", system, name, &log)
			}
			if _, err := build(nil).Refund(t.Context(), request()); err != nil { // nobody has to listen
				t.Errorf("%s, %s: refund: %v", system, name, err)
			}
		}
	}
}

// What decides is never guessed: where it cannot be read, the outcome is unknown.
func TestOddFieldsThatDecideLeaveItOpen(t *testing.T) {
	for name, c := range map[string][2]string{
		"number":             {`"out_refund_no":"R1"`, `"out_refund_no":1`},
		"order":              {`"out_trade_no":"O1"`, `"out_trade_no":["O1"]`},
		"WeChat Pay's order": {`"transaction_id":"1217752501201407033233368018"`, `"transaction_id":1217752501201407033233368018`},
		"status":             {`"status":"SUCCESS"`, `"status":1`},
		"status, an object":  {`"status":"SUCCESS"`, `"status":{}`},
		"amount":             {`"amount":{`, `"amount":[],"x":{`},
		"amount, a text":     {`"amount":{`, `"amount":"60","x":{`},
		"refund, a text":     {`"refund":60`, `"refund":"60"`},
		"refund, a decimal":  {`"refund":60`, `"refund":60.0`},
		"refund, below zero": {`"refund":60`, `"refund":-60`},
		"refund, nothing":    {`"refund":60`, `"refund":null`},
		"total, a text":      {`"total":100`, `"total":"100"`},
		"total, below zero":  {`"total":100`, `"total":-1`},
		"total, an exponent": {`"total":100`, `"total":1e2`},
		"currency":           {`"currency":"CNY"`, `"currency":156`},
	} {
		for system, build := range v3Systems(t, strings.Replace(object, c[0], c[1], 1)) {
			for call, do := range both(build(nil)) {
				isUnknown(t, system+", "+name+", "+call, do(t.Context()))
			}
		}
	}
}

// The same of v2, over both systems that have it.
func TestOddFieldsOfV2AreLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		more fields
		want func(*refund.Refund)
		left []string
	}{
		"a time without signs":       {fields{"refund_success_time_0": "20160725152626"}, func(*refund.Refund) {}, nil},
		"a time in RFC 3339":         {fields{"refund_success_time_0": "2016-07-25T15:26:26+08:00"}, func(*refund.Refund) {}, nil},
		"a time that is none":        {fields{"refund_success_time_0": "canary"}, func(r *refund.Refund) { r.SuccessTime = "" }, []string{"refund_success_time_0"}},
		"what was paid is a decimal": {fields{"cash_fee": "100.00"}, func(r *refund.Refund) { r.Amount.PayerTotal = nil }, []string{"cash_fee"}},
		"what was paid, below zero":  {fields{"cash_fee": "-1"}, func(r *refund.Refund) { r.Amount.PayerTotal = nil }, []string{"cash_fee"}},
		"settlement, beyond int64":   {fields{"settlement_refund_fee_0": "9223372036854775808"}, func(r *refund.Refund) { r.Amount.SettlementRefund = nil }, []string{"settlement_refund_fee_0"}},
		"a discount of no number":    {fields{"coupon_refund_fee_0": "canary"}, func(r *refund.Refund) { r.Amount.DiscountRefund = nil }, []string{"coupon_refund_fee_0"}},
		"one bad coupon":             {fields{"coupon_refund_fee_0_0": "canary"}, func(r *refund.Refund) { r.PromotionDetail = r.PromotionDetail[1:] }, []string{"coupon_refund_fee_0_0"}},
		"more coupons than told":     {fields{"coupon_refund_count_0": "100000"}, func(*refund.Refund) {}, []string{"coupon_refund_count_0"}},
		"fewer coupons than told":    {fields{"coupon_refund_count_0": "1"}, func(*refund.Refund) {}, []string{"coupon_refund_count_0"}},
		"a count of no number":       {fields{"coupon_refund_count_0": "two"}, func(*refund.Refund) {}, []string{"coupon_refund_count_0"}},
		"a total count of refunds":   {fields{"total_refund_count": "canary"}, func(*refund.Refund) {}, nil}, // which nobody reads of one refund
		"a new field":                {fields{"new": "canary"}, func(*refund.Refund) {}, nil},
	} {
		for system, build := range map[string]func(*slog.Logger) refund.Channel{
			"cloudpay": func(log *slog.Logger) refund.Channel {
				ch := serveCloudPay(t, says(alone().with(c.more).json()))
				ch.Log = log
				return ch
			},
			"global": func(log *slog.Logger) refund.Channel {
				answer := alone().toGlobal().with(fields{"return_code": "SUCCESS", "returnCode": nil, "returnMsg": nil}).with(c.more)
				ch := serveGlobalText(t, answer.signed())
				ch.Log = log
				return ch
			},
		} {
			var log bytes.Buffer
			page, err := build(slog.New(slog.NewJSONHandler(&log, nil))).Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
			wanted := wantFound().Refunds[0]
			if system == "global" {
				wanted.Amount.PayerCurrency = "CNY"
				if c.more["cash_fee"] != nil {
					wanted.Amount.PayerCurrency = ""
				}
			}
			c.want(&wanted)
			isAnswer(t, system+", "+name, []refund.Refund{wanted}, page.Refunds, err)
			isEqual(t, system+", "+name+": left out", c.left, leftOut(t, &log, "canary"))
		}
	}
}

// CloudPay's answers are JSON, where a field can be odd in more ways.
func TestOddFieldsOfCloudPayAreLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		more fields
		want func(*refund.Refund)
	}{
		"a channel of no text":     {fields{"refund_channel_0": fields{}}, func(r *refund.Refund) { r.Channel = "" }},
		"a time of its own number": {fields{"refund_success_time_0": json.Number("20160725152626")}, func(*refund.Refund) {}},
		"what was paid, a decimal": {fields{"cash_fee": json.Number("100.00")}, func(r *refund.Refund) { r.Amount.PayerTotal = nil }},
		"what was paid, two ways":  {fields{"cashFee": 91}, func(r *refund.Refund) { r.Amount.PayerTotal = nil }},
		"a coupon's name":          {fields{"coupon_refund_id_0_1": true}, func(r *refund.Refund) { r.PromotionDetail[1].PromotionID = "" }},
		"a coupon's amount":        {fields{"coupon_refund_fee_0_1": fields{}}, func(r *refund.Refund) { r.PromotionDetail = r.PromotionDetail[:1] }},
		"lists without end":        {fields{"refund_recv_accout_list": []any{[]any{[]any{1}}}}, func(*refund.Refund) {}},
		"the receiver, two ways":   {fields{"refund_recv_accout_list": []any{"x"}}, func(r *refund.Refund) { r.UserReceivedAccount = "" }},
	} {
		page, err := serveCloudPay(t, says(alone().with(c.more).json())).Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		wanted := wantFound().Refunds[0]
		c.want(&wanted)
		isAnswer(t, name, []refund.Refund{wanted}, page.Refunds, err)
	}
	// An accepted application as well.
	got, err := serveCloudPay(t, says(accepted.with(fields{"cash_fee": json.Number("90.0"), "coupon_refund_count": 200, "settlement_total_fee": "x"}).json())).Refund(t.Context(), request())
	wanted := wantAccepted()
	wanted.Amount.PayerTotal, wanted.Amount.SettlementTotal = nil, nil
	isAnswer(t, "accepted", wanted, got, err)
}

// An amount that an answer of the module tells in two ways does not count, and
// costs the answer only if it decides.
func TestCloudBaseToldInTwoWays(t *testing.T) {
	var answer fields
	if err := json.Unmarshal([]byte(object), &answer); err != nil {
		t.Fatal(err)
	}
	answer["amount"].(map[string]any)["payerTotal"] = 91
	answer["successTime"] = "2026-11-22T10:06:00+08:00"
	got, err := serveModule(t, says(fields{"code": 0, "data": answer}.json())).Refund(t.Context(), request())
	wanted := want()
	wanted.Amount.PayerTotal, wanted.SuccessTime = nil, ""
	isAnswer(t, "the answer", wanted, got, err)
	for name, more := range map[string]fields{"number": {"outRefundNo": "R2"}, "status": {"Status": "CLOSED"}, "amount": {"Amount": fields{"refund": 61}}} {
		_, err := serveModule(t, says(fields{"code": 0, "data": answer.with(more)}.json())).Refund(t.Context(), request())
		isUnknown(t, name, err)
	}
	_, err = serveModule(t, says(fields{"code": 0, "Code": "SYSTEM_ERROR", "data": answer}.json())).Refund(t.Context(), request())
	isUnknown(t, "a success and a failure", err)
}

// "Not found" is APIv3's only with the status and the code that its document
// gives it: a wrong path, a refused permission and an unknown merchant are none.
func TestAPIv3NotFoundIsVerified(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		found  bool
	}{
		"documented":     {404, `{"code":"RESOURCE_NOT_EXISTS","message":"退款单不存在"}`, true},
		"another status": {400, `{"code":"RESOURCE_NOT_EXISTS"}`, false},
		"forbidden":      {403, `{"code":"RESOURCE_NOT_EXISTS"}`, false},
		"too many":       {429, `{"code":"RESOURCE_NOT_EXISTS"}`, false},
		"a failure":      {500, `{"code":"RESOURCE_NOT_EXISTS"}`, false},
		"success":        {200, `{"code":"RESOURCE_NOT_EXISTS"}`, false},
		"a wrong path":   {404, `{"code":"NOT_FOUND","message":"not found"}`, false},
		"no merchant":    {404, `{"code":"MCH_NOT_EXISTS"}`, false},
		"no permission":  {403, `{"code":"NO_AUTH"}`, false},
		"no signature":   {401, `{"code":"SIGN_ERROR"}`, false},
		"no code":        {404, `{"message":"RESOURCE_NOT_EXISTS"}`, false},
		"no JSON":        {404, `<html>RESOURCE_NOT_EXISTS</html>`, false},
		"another case":   {404, `{"code":"resource_not_exists"}`, false},
	} {
		ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { signed(t, w, c.status, c.body) })
		for call, do := range both(ch) {
			if err := do(t.Context()); err == nil || refund.IsCode(err, refund.CodeNotFound) != c.found {
				t.Errorf("%s, %s: %v, want not found: %v", name, call, err, c.found)
			}
		}
		if c.status == 200 {
			continue
		}
		// The integration centre passes the status on.
		module := serveModule(t, says(fmt.Sprintf(`{"code":0,"data":{"status":%d,"error":%s}}`, c.status, strings.Replace(c.body, "<html>RESOURCE_NOT_EXISTS</html>", `"x"`, 1))))
		for call, do := range both(module) {
			if err := do(t.Context()); err == nil || refund.IsCode(err, refund.CodeNotFound) != c.found {
				t.Errorf("cloudbase, %s, %s: %v, want not found: %v", name, call, err, c.found)
			}
		}
	}
}

// A minute between two refunds of one order is WeChat Pay's rule on every channel.
// v2 alone judges again what it has refused.
func TestSpecsOfAllChannels(t *testing.T) {
	for _, c := range []refund.Channel{&channel.APIv3{}, &channel.CloudBase{}, &channel.CloudPay{}, &channel.Global{}, &channel.WeCom{}} {
		s := c.Spec()
		if s.Pace.String() != "1m0s" {
			t.Errorf("%s: pace %s", s.Name, s.Pace)
		}
		if v2 := s.Name == "cloudpay" || s.Name == "global"; s.Resend != v2 {
			t.Errorf("%s: resend %v", s.Name, s.Resend)
		}
	}
}
