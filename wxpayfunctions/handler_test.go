package wxpayfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

var server = refund.Caller{Kind: refund.Server}

// upstream answers every refund with the same object or error, and keeps what it was asked.
type upstream struct {
	refund.Channel // what is not answered here is not asked for

	asked []refund.Request
	reply refund.Refund
	err   error
	panic bool
}

func (u *upstream) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	if u.panic {
		panic("a defect")
	}
	u.asked = append(u.asked, req)
	return u.reply, u.err
}

func (u *upstream) Query(context.Context, refund.Lookup) (refund.Page, error) {
	return refund.Page{Refunds: []refund.Refund{u.reply}}, u.err
}

func (*upstream) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (u *upstream) Spec() refund.Spec {
	return refund.Spec{
		Name: "test", NumberChars: "_-|*@", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32}, Reason: refund.Length{Min: 1, Max: 80}, Currencies: []string{"CNY"},
		FundsAccounts: []string{"AVAILABLE"}, FromAccounts: []string{"AVAILABLE", "UNAVAILABLE"}, Goods: true,
	}
}

func setUp(t testing.TB) (*Handler, *upstream) {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	up := &upstream{reply: full()}
	return New(&refund.Service{Channel: up, Ledger: store, Log: log, Policy: refund.Policy{Operators: []string{"oOperator"}}}, log), up
}

func ptr(n int64) *int64 { return &n }

// full is a refund object with every output field of the CloudBase template's wxpay_refund.
func full() refund.Refund {
	goods := []refund.Goods{{MerchantGoodsID: "1217", WechatpayGoodsID: "1001", GoodsName: "iPhone6s 16G", UnitPrice: 528800, RefundAmount: 10, RefundQuantity: 1}}
	return refund.Refund{
		RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1",
		Channel: "ORIGINAL", UserReceivedAccount: "招商银行信用卡0403", SuccessTime: "2026-11-22T10:05:00+08:00", CreateTime: "2026-11-22T10:00:00+08:00",
		Status: refund.StatusSuccess, FundsAccount: "UNSETTLED",
		Amount: refund.Amount{
			Total: 100, Refund: 60, From: []refund.From{{Account: "AVAILABLE", Amount: 60}}, PayerTotal: ptr(90), PayerRefund: ptr(54),
			SettlementRefund: ptr(60), SettlementTotal: ptr(100), DiscountRefund: ptr(6), RefundFee: ptr(0), Currency: "CNY",
		},
		PromotionDetail: []refund.Promotion{{PromotionID: "109519", Scope: "SINGLE", Type: "DISCOUNT", Amount: ptr(10), RefundAmount: 6, GoodsDetail: goods}},
	}
}

// event is a refund with every input field of the template.
const event = `{"type":"wxpay_refund","out_refund_no":"R1","transaction_id":"1217752501201407033233368018","out_trade_no":"O1",
"reason":"商品已售完","funds_account":"AVAILABLE",
"amount":{"refund":60,"total":100,"currency":"CNY","from":[{"account":"AVAILABLE","amount":60}]},
"goods_detail":[{"merchant_goods_id":"1217","wechatpay_goods_id":"1001","goods_name":"iPhone6s 16G","unit_price":528800,"refund_amount":60,"refund_quantity":1}],
"userInfo":{"openId":"oForged","appId":"wx1"}}`

func call(t testing.TB, h *Handler, caller refund.Caller, event string) map[string]any {
	t.Helper()
	reply := h.Invoke(context.Background(), caller, []byte(event))
	var got map[string]any
	if err := json.Unmarshal(reply, &got); err != nil {
		t.Fatalf("reply %q: %v", reply, err)
	}
	return got
}

func TestRefundCarriesEveryDocumentedField(t *testing.T) {
	h, up := setUp(t)
	got := h.Invoke(t.Context(), server, []byte(event))
	want := refund.Request{
		OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1", Reason: "商品已售完", FundsAccount: "AVAILABLE",
		Amount:      refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY", From: []refund.From{{Account: "AVAILABLE", Amount: 60}}},
		GoodsDetail: []refund.Goods{{MerchantGoodsID: "1217", WechatpayGoodsID: "1001", GoodsName: "iPhone6s 16G", UnitPrice: 528800, RefundAmount: 60, RefundQuantity: 1}},
	}
	if d := cmp.Diff([]refund.Request{want}, up.asked); d != "" {
		t.Errorf("the channel was asked (-want +got):\n%s", d)
	}
	const reply = `{"code":0,"data":{"refund_id":"50000000382019052709732678859","out_refund_no":"R1","transaction_id":"1217752501201407033233368018",` +
		`"out_trade_no":"O1","channel":"ORIGINAL","user_received_account":"招商银行信用卡0403","success_time":"2026-11-22T10:05:00+08:00",` +
		`"create_time":"2026-11-22T10:00:00+08:00","status":"SUCCESS","funds_account":"UNSETTLED","amount":{"total":100,"refund":60,` +
		`"from":[{"account":"AVAILABLE","amount":60}],"payer_total":90,"payer_refund":54,"settlement_refund":60,"settlement_total":100,` +
		`"discount_refund":6,"refund_fee":0,"currency":"CNY"},"promotion_detail":[{"promotion_id":"109519","scope":"SINGLE","type":"DISCOUNT",` +
		`"amount":10,"refund_amount":6,"goods_detail":[{"merchant_goods_id":"1217","wechatpay_goods_id":"1001","goods_name":"iPhone6s 16G",` +
		`"unit_price":528800,"refund_amount":10,"refund_quantity":1}]}]}}`
	if d := cmp.Diff(reply, string(got)); d != "" {
		t.Errorf("reply (-want +got):\n%s", d)
	}
}

func TestFieldsMayStandInDataOrParams(t *testing.T) {
	h, _ := setUp(t)
	for _, e := range []string{
		`{"type":"wxpay_refund","data":{"out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":60,"total":100,"currency":"CNY"}}}`,
		`{"type":"wxpay_refund","data":null,"out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":60,"total":100,"currency":"CNY"}}`,
		`{"type":"wxpay_refund_query","out_refund_no":"R1"}`,
		`{"type":"wxpay_refund_query","data":{"out_refund_no":"R1"}}`,
		`{"type":"wxpay_refund_query","params":{"out_refund_no":"R1"}}`,
		`{"type":"wxpay_refund_query","data":{"params":{"out_refund_no":"R1"}}}`,
		`{"type":"wxpay_refund_query","refund_id":"50000000382019052709732678859","out_refund_no":"nobody"}`,
		`{"type":"wxpay_refund_query","out_refund_no":"R1","transaction_id":"nobody"}`,
	} {
		got := call(t, h, server, e)
		if got["code"] != 0.0 {
			t.Errorf("%s: %v", e, got)
			continue
		}
		if no := got["data"].(map[string]any)["out_refund_no"]; no != "R1" {
			t.Errorf("%s: out_refund_no %v", e, no)
		}
	}
	for _, e := range []string{
		`{"type":"wxpay_refund_query","transaction_id":"1217752501201407033233368018","out_trade_no":"nobody"}`,
		`{"type":"wxpay_refund_query","out_trade_no":"O1","offset":0}`,
	} {
		got := call(t, h, server, e)
		data, _ := got["data"].(map[string]any)
		if got["code"] != 0.0 || data["total_refund_count"] != 1.0 || data["refund_count"] != 1.0 || data["offset"] != 0.0 || len(data["refunds"].([]any)) != 1 {
			t.Errorf("%s: %v", e, got)
		}
	}
}

// B5, B6 and A9: a valid event with one thing changed is refused, 400, by the name of
// what is wrong. What stands for money and is none is in TestMoneyIsFenAnInteger, what
// is wrong together with other things in TestOneMessageNamesAllThatIsWrong, and what
// cannot be read in TestUnreadableEventHasOneProblem.
func TestEventWithOneThingWrongIsRefusedByName(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(event, old) {
			t.Fatalf("the event has no %q", old)
		}
		return strings.Replace(event, old, new, 1)
	}
	for _, c := range []struct{ name, event, says string }{
		{"empty", ``, "not JSON"},
		{"cut off", event[:len(event)-1], "not JSON"},
		{"null", `null`, "type is required"},
		{"trailing bracket", event + `]`, "nothing behind"},
		{"no type", replace(`"type":"wxpay_refund",`, ``), "type is required"},
		{"unknown type", replace(`"wxpay_refund"`, `"wxpay_refunds"`), "type must be wxpay_refund, wxpay_refund_query, "},
		{"type in other case", replace(`"wxpay_refund"`, `"WXPAY_REFUND"`), "type must be"},
		{"prototype type", replace(`"wxpay_refund"`, `"__proto__"`), "type must be"},
		{"array type", replace(`"wxpay_refund"`, `["wxpay_refund"]`), "type must be a string"},
		{"long type", replace(`"wxpay_refund"`, `"`+strings.Repeat("x", 1<<20)+`"`), "at most"},
		{"Type beside type", replace(`"type"`, `"Type":"wxpay_refund_query","type"`), "Type must be written type"},
		{"duplicate in an unknown object", replace(`"openId"`, `"openId":"x","openId"`), "userInfo.openId stands twice"},
		{"other case in a list", replace(`"unit_price"`, `"Unit_Price"`), "Unit_Price must be written unit_price"},
		{"data is text", replace(`"type"`, `"data":"x","type"`), "data must be an object"},
		{"deep", replace(`"userInfo":{`, `"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,"userInfo":{`), "nested too deeply"},

		{"number as refund number", replace(`"R1"`, `1`), "out_refund_no must be a string"},
		{"long refund number", replace(`"R1"`, `"`+strings.Repeat("R", 65)+`"`), "out_refund_no must have at most 64"},
		{"path as refund number", replace(`"R1"`, `"..%2f..%2fcertificates"`), "out_refund_no may hold"},
		{"line feed in refund number", replace(`"R1"`, `"R1\n"`), "out_refund_no may hold"},
		{"no order", strings.Replace(replace(`"transaction_id":"1217752501201407033233368018",`, ``), `"out_trade_no":"O1",`, ``, 1), "transaction_id or out_trade_no is required"},
		{"long order number", replace(`"O1"`, `"`+strings.Repeat("O", 33)+`"`), "out_trade_no must have at most 32"},
		{"negative", replace(`"refund":60`, `"refund":-60`), "amount.refund must be at least 1"},
		{"overflow downwards", replace(`"refund":60`, `"refund":-9223372036854775809`), "amount.refund must be at least 1"},
		{"zero total", replace(`"total":100,`, `"total":0,`), "amount.total must be at least 1"},
		{"null amount", `{"type":"wxpay_refund","out_refund_no":"R1","out_trade_no":"O1","amount":null}`, "amount is required"},
		{"empty refund number", replace(`"R1"`, `""`), "out_refund_no is required"},
		{"null in a list", replace(`[{"account":"AVAILABLE","amount":60}]`, `[null]`), "amount.from[0] must be an object, not null"},
		{"endless list", replace(`[{"account":"AVAILABLE","amount":60}]`, `[`+strings.Repeat(`{},`, 1000)+`{}]`), "amount.from must have at most"},
		{"no currency", replace(`"currency":"CNY",`, ``), "amount.currency is required"},
		{"no such currency", replace(`"CNY"`, `"YUAN"`), "amount.currency must be a three-letter code"},
		{"from does not sum", replace(`"amount":60}`, `"amount":59}`), "amount.from must sum"},
		{"from twice", replace(`{"account":"AVAILABLE","amount":60}`, `{"account":"AVAILABLE","amount":30},{"account":"AVAILABLE","amount":30}`), "twice"},
		{"from without account", replace(`{"account":"AVAILABLE",`, `{`), "amount.from[0].account is required"},
		{"long reason", replace(`商品已售完`, strings.Repeat("售", 27)), "reason must have at most 80 bytes"},
		{"emoji", replace(`商品已售完`, `😀`), "reason holds a character"},
		{"a byte that is not UTF-8", replace(`商品已售完`, "\xff"), "reason holds a character"},
		{"control character", replace(`商品已售完`, `a\u0000b`), "reason holds a character"},
		{"goods without id", replace(`"merchant_goods_id":"1217",`, ``), "goods_detail[0].merchant_goods_id is required"},
		{"goods without price", replace(`"unit_price":528800,`, ``), "goods_detail[0].unit_price is required"},
		{"goods without refund", replace(`"refund_amount":60,`, ``), "goods_detail[0].refund_amount is required"},
		{"goods quantity", replace(`"refund_quantity":1`, `"refund_quantity":0`), "goods_detail[0].refund_quantity must be at least 1"},

		{"query with params and fields", `{"type":"wxpay_refund_query","out_trade_no":"O1","params":{"out_trade_no":"O1"}}`, "beside params"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, up := setUp(t)
			got := call(t, h, server, c.event)
			message, _ := got["message"].(string)
			if got["code"] != 400.0 || got["err_code"] != "PARAM_ERROR" || got["retry"] != "never" || !strings.Contains(message, c.says) {
				t.Errorf("reply %v, want 400 that says %q", got, c.says)
			}
			if len(message) > 200 {
				t.Errorf("the message %q has %d bytes", message, len(message))
			}
			if len(up.asked) > 0 {
				t.Error("the channel was asked")
			}
			if read, err := h.ReadRefund([]byte(c.event)); err == nil {
				t.Errorf("ReadRefund: got %+v, want an error", read)
			}
		})
	}
}

// B1, B2: who may not gets 403 and nothing else, whatever he sends; what the event
// says of the caller is not read.
func TestWhoMayNotIsDeniedWhateverTheEvent(t *testing.T) {
	forged := strings.Replace(event, `"oForged"`, `"oOperator"`, 1)
	for _, caller := range []refund.Caller{{}, {Kind: refund.User, OpenID: "oStranger"}} {
		for _, e := range []string{event, forged, `{`, `{"type":"nothing"}`, `{"type":"wxpay_refund_query","out_refund_no":"nobody"}`} {
			h, up := setUp(t)
			got := call(t, h, caller, e)
			if got["code"] != 403.0 || got["err_code"] != "NOAUTH" || got["retry"] != "never" || got["data"] != nil {
				t.Errorf("%v: %v, want 403", caller.LogValue(), got)
			}
			if len(up.asked) > 0 {
				t.Error("the channel was asked")
			}
		}
	}
	h, _ := setUp(t)
	if got := call(t, h, refund.Caller{Kind: refund.User, OpenID: "oOperator"}, event); got["code"] != 0.0 {
		t.Errorf("operator: %v", got)
	}
}

// The table from domain errors to replies, row by row.
func TestEachErrorCodeHasItsReply(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix, Message: "m"}, `{"code":400,"err_code":"PARAM_ERROR","message":"m","retry":"never"}`},
		{&refund.Error{Code: refund.CodeDenied, Next: refund.Never, Message: "m"}, `{"code":403,"err_code":"NOAUTH","message":"m","retry":"never"}`},
		{&refund.Error{Code: refund.CodeNotFound, Next: refund.Never, Message: "m"}, `{"code":404,"err_code":"REFUNDNOTEXIST","message":"m","retry":"never"}`},
		{&refund.Error{Code: refund.CodeConflict, Next: refund.Never, Message: "m"}, `{"code":409,"err_code":"INVALID_REQUEST","message":"m","retry":"never"}`},
		{&refund.Error{Code: refund.CodeRejected, Next: refund.Later, Message: "m", Upstream: "NOT_ENOUGH"}, `{"code":422,"err_code":"NOT_ENOUGH","message":"m","retry":"later"}`},
		{&refund.Error{Code: refund.CodeRejected, Next: refund.NewNumber, Message: "m", Upstream: "X"}, `{"code":422,"err_code":"X","message":"m","retry":"new_number"}`},
		{&refund.Error{Code: refund.CodeLimited, Next: refund.Later, Message: "m", RetryAfter: 90 * time.Second}, `{"code":429,"err_code":"FREQUENCY_LIMITED","message":"m","retry":"later","retry_after":90}`},
		{&refund.Error{Code: refund.CodeLimited, Next: refund.Later, Message: "m", RetryAfter: time.Millisecond}, `{"code":429,"err_code":"FREQUENCY_LIMITED","message":"m","retry":"later","retry_after":1}`},
		{&refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "m"}, `{"code":503,"err_code":"SYSTEMERROR","message":"m","retry":"same_number"}`},
		{&refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "m", Err: errors.New("secret")}, `{"code":503,"err_code":"SYSTEMERROR","message":"m","retry":"same_number"}`},
		{errors.New("secret"), `{"code":500,"err_code":"SYSTEMERROR","message":"internal error; the log has the details","retry":"same_number"}`},
		{fmt.Errorf("wrapped: %w", &refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix, Message: "m"}), `{"code":400,"err_code":"PARAM_ERROR","message":"m","retry":"never"}`},
	} {
		if got := string(encode(nil, c.err)); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
	for code := range codes() {
		if codes()[code].ErrCode == "" && code != refund.CodeProposed {
			t.Errorf("%s has no name", code)
		}
	}
}

func TestPanicIsAReply(t *testing.T) {
	h, up := setUp(t)
	up.panic = true
	got := call(t, h, server, event)
	if got["code"] != 500.0 || got["err_code"] != "SYSTEMERROR" {
		t.Errorf("reply %v, want 500", got)
	}
}

// Whatever is sent, the reply is JSON with a known code, and an unidentified caller
// is always denied.
func FuzzInvoke(f *testing.F) {
	for _, e := range []string{event, `{}`, `[]`, `{"type":"wxpay_refund_query","params":{"offset":1}}`, `{"type":"wxpay_refund","type":1}`, `{"TYPE":null}`, "\xff", `{"a":{"a":[[{}]]}}`,
		`{"type":"wxpay_refund","data":{"out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":60,"total":100,"currency":"CNY"}}}`,
		`{"Type":"wxpay_refund","AMOUNT":{"refund":"1","total":1e2},"reason":null,"goods_detail":[{},[],1]}`,
	} {
		f.Add([]byte(e))
	}
	h, up := setUp(f)
	known := map[int]bool{0: true}
	for _, c := range codes() {
		known[c.Code] = true
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		up.asked = nil
		var got envelope
		if err := json.Unmarshal(h.Invoke(t.Context(), server, event), &got); err != nil || !known[got.Code] || got.Code == 500 {
			t.Fatalf("reply %+v, %v", got, err)
		}
		if got.Code == 400 && (got.Message == "" || got.Message == "internal error" || len(got.Message) > 2000 || strings.Contains(got.Message, "  ")) {
			t.Fatalf("the refusal %q names nothing", got.Message)
		}
		if _, err := parse(event); err == nil && !json.Valid(event) {
			t.Fatal("what is no JSON was parsed")
		}
		read, err := h.ReadRefund(event)
		if len(up.asked) > 0 && (err != nil || !cmp.Equal(read, up.asked[0])) {
			t.Fatalf("what was done: %+v, what is shown before: %+v, %v", up.asked[0], read, err)
		}
		if err == nil && got.Code == 400 {
			t.Fatalf("%+v is shown, and then refused: %s", read, got.Message)
		}
		for _, req := range up.asked { // encoding/json reads the same out of what is accepted
			var want struct {
				refund.Request
				Data *refund.Request `json:"data"`
			}
			if err := json.Unmarshal(event, &want); err != nil {
				t.Fatal(err)
			}
			if want.Data != nil {
				want.Request = *want.Data
			}
			if d := cmp.Diff(want.Request, req, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("the request (-encoding/json +ours):\n%s", d)
			}
			if req.Amount.Refund < 1 || req.Amount.Refund > req.Amount.Total || req.Amount.Currency != "CNY" {
				t.Fatalf("the channel was asked for %+v", req)
			}
		}
		if err := json.Unmarshal(h.Invoke(t.Context(), refund.Caller{}, event), &got); err != nil || got.Code != 403 {
			t.Fatalf("nobody: %+v, %v", got, err)
		}
	})
}

// Each refusal is one record, and a denial's says who was denied.
func TestEachRefusalIsOneLogRecord(t *testing.T) {
	h, _ := setUp(t)
	for name, tt := range map[string]struct {
		caller refund.Caller
		event  string
		want   string
	}{
		"a stranger":   {refund.Caller{Kind: refund.User, OpenID: "oStranger"}, event, `level=WARN msg=denied caller="user oS****er" openid=oStranger`},
		"no operation": {server, `{"type":"x"}`, "level=INFO msg=refused code=invalid"},
		"a refund":     {server, `{"type":"wxpay_refund","data":{"out_refund_no":"R1"}}`, "level=INFO msg=refused out_refund_no=R1 code=invalid"},
		"a query":      {server, `{"type":"wxpay_refund_query","out_refund_no":"R 1"}`, `level=INFO msg=refused out_refund_no="R 1" code=invalid`},
	} {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, nil))
		h.log, h.refunds.Log = log, log
		h.Invoke(t.Context(), tt.caller, []byte(tt.event))
		if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got\n%swant one record with %s", name, got, tt.want)
		}
	}
}

func TestTheCodeOfEachReplyIsTold(t *testing.T) {
	h, up := setUp(t)
	var told []int
	h.Replied = func(code int) { told = append(told, code) }
	refundEvent := []byte(`{"type":"wxpay_refund","out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":60,"total":100,"currency":"CNY"}}`)
	h.Invoke(t.Context(), refund.Caller{}, refundEvent)
	h.Invoke(t.Context(), server, []byte(`{"type":"wxpay_order"}`))
	h.Invoke(t.Context(), server, refundEvent)
	up.panic = true
	h.Invoke(t.Context(), server, []byte(strings.NewReplacer("R1", "R2", "O1", "O2").Replace(string(refundEvent))))
	if d := cmp.Diff([]int{403, 400, 0, 500}, told[:min(len(told), 4)]); d != "" || len(told) != 4 {
		t.Errorf("told %v (-want +got):\n%s", told, d)
	}
}
