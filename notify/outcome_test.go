package notify

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// relayE is CloudPay's relay with all fields that it has.
const relayE = `{"returnCode":"SUCCESS","appid":"wx1","mchId":"1800000001","subMchId":"1900000110","nonceStr":"n","outRefundNo":"R1","outTradeNo":"O1",
"transactionId":"420","refundId":"525","refundStatus":"SUCCESS","refundFee":60,"settlementRefundFee":57,"totalFee":100,"settlementTotalFee":95,"cashFee":90,"cashRefundFee":54,
"successTime":"2026-01-02 03:04:05","refundAccount":"REFUND_SOURCE_RECHARGE_FUNDS","refundRecvAccout":"支付用户零钱","refundRequestSource":"API"}`

func wantE() refund.Outcome {
	n := func(n int64) *int64 { return &n }
	return refund.Outcome{
		Source: refund.Relay, OutRefundNo: "R1", Merchant: refund.Merchant{SubMchID: "1900000110"},
		Refund: refund.Refund{
			RefundID: "525", OutRefundNo: "R1", TransactionID: "420", OutTradeNo: "O1", UserReceivedAccount: "支付用户零钱",
			SuccessTime: "2026-01-02T03:04:05+08:00", Status: refund.StatusSuccess, FundsAccount: "AVAILABLE",
			Amount: refund.Amount{
				Total: 100, Refund: 60, PayerTotal: n(90), PayerRefund: n(54), SettlementTotal: n(95), SettlementRefund: n(57),
			},
		},
	}
}

func diff(want, got refund.Outcome) string {
	return cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }))
}

// CloudPay's relay is read in full, in either spelling of names and of amounts. A
// malformed field that decides nothing is left out; one that decides leaves the
// outcome without a status.
func TestCloudPayRelayIsReadInFull(t *testing.T) {
	noStatus := func(o *refund.Outcome) { o.Refund.Status, o.Refund.SuccessTime = "", "" }
	for name, c := range map[string]struct {
		old, new string
		want     func(*refund.Outcome)
	}{
		"as it is":                      {"", "", func(*refund.Outcome) {}},
		"snake case":                    {`"outRefundNo"`, `"out_refund_no"`, func(*refund.Outcome) {}},
		"amounts as texts":              {`"refundFee":60,"settlementRefundFee":57`, `"refundFee":"60","settlementRefundFee":"57"`, func(*refund.Outcome) {}},
		"closed":                        {`"refundStatus":"SUCCESS"`, `"refundStatus":"REFUNDCLOSE"`, func(o *refund.Outcome) { o.Refund.Status, o.Refund.SuccessTime = refund.StatusClosed, "" }},
		"abnormal":                      {`"refundStatus":"SUCCESS"`, `"refundStatus":"CHANGE"`, func(o *refund.Outcome) { o.Refund.Status, o.Refund.SuccessTime = refund.StatusAbnormal, "" }},
		"processing":                    {`"refundStatus":"SUCCESS"`, `"refundStatus":"PROCESSING"`, func(o *refund.Outcome) { o.Refund.Status, o.Refund.SuccessTime = refund.StatusProcessing, "" }},
		"a time without separators":     {`2026-01-02 03:04:05`, `20260102030405`, func(*refund.Outcome) {}},
		"the same name twice":           {`"appid":"wx1"`, `"appid":"wx0","appid":"wx1"`, func(*refund.Outcome) {}},
		"a byte that is not UTF-8":      {`"支付用户零钱"`, "\"\xff\"", func(o *refund.Outcome) { o.Refund.UserReceivedAccount = "\ufffd" }},
		"no sub-merchant":               {`"subMchId":"1900000110",`, ``, func(o *refund.Outcome) { o.Merchant = refund.Merchant{} }},
		"no amounts":                    {`"refundFee":60,"settlementRefundFee":57,"totalFee":100,`, ``, func(o *refund.Outcome) { a := &o.Refund.Amount; a.Refund, a.Total, a.SettlementRefund = 0, 0, nil }},
		"a time that is an object":      {`"successTime":"2026-01-02 03:04:05"`, `"successTime":{}`, func(o *refund.Outcome) { o.Refund.SuccessTime = "" }},
		"a payer's amount with a point": {`"cashFee":90`, `"cashFee":90.5`, func(o *refund.Outcome) { o.Refund.Amount.PayerTotal = nil }},
		"a payer's amount below zero":   {`"cashFee":90`, `"cashFee":-90`, func(o *refund.Outcome) { o.Refund.Amount.PayerTotal = nil }},
		"a payer's amount twice":        {`"cashFee":90`, `"cashFee":90,"cash_fee":91`, func(o *refund.Outcome) { o.Refund.Amount.PayerTotal = nil }},
		"a receiver that is a number":   {`"支付用户零钱"`, `1`, func(o *refund.Outcome) { o.Refund.UserReceivedAccount = "" }},
		"an account that is a list":     {`"REFUND_SOURCE_RECHARGE_FUNDS"`, `[]`, func(o *refund.Outcome) { o.Refund.FundsAccount = "" }},

		"an unknown status":           {`"refundStatus":"SUCCESS"`, `"refundStatus":"DONE"`, noStatus},
		"another event":               {`{`, `{"event_type":"REFUND.CLOSED",`, noStatus},
		"the same event":              {`{`, `{"event_type":"REFUND.SUCCESS",`, func(*refund.Outcome) {}},
		"a refund in words":           {`"refundFee":60`, `"refundFee":"sixty"`, func(o *refund.Outcome) { noStatus(o); o.Refund.Amount.Refund = 0 }},
		"a refund of zero":            {`"refundFee":60`, `"refundFee":0`, func(o *refund.Outcome) { noStatus(o); o.Refund.Amount.Refund = 0 }},
		"a refund twice":              {`"refundFee":60`, `"refundFee":60,"refund_fee":61`, func(o *refund.Outcome) { noStatus(o); o.Refund.Amount.Refund = 0 }},
		"a total with a point":        {`"totalFee":100`, `"totalFee":100.0`, func(o *refund.Outcome) { noStatus(o); o.Refund.Amount.Total = 0 }},
		"an order that is a number":   {`"outTradeNo":"O1"`, `"outTradeNo":1`, func(o *refund.Outcome) { noStatus(o); o.Refund.OutTradeNo = "" }},
		"a merchant that is a number": {`"subMchId":"1900000110"`, `"subMchId":1900000110`, func(o *refund.Outcome) { noStatus(o); o.Merchant = refund.Merchant{} }},
		"an amount that is a list":    {`"refundFee":60`, `"amount":[60],"refundFee":60`, noStatus},
	} {
		want := wantE()
		c.want(&want)
		got, err := relayed([]byte(strings.Replace(relayE, c.old, c.new, 1)))
		if d := diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, d)
		}
	}
}

// The other shapes are read in full, too.
func TestEveryRelayShapeIsReadInFull(t *testing.T) {
	files, err := filepath.Glob("testdata/relay-[abc]-*.json")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	n := func(n int64) *int64 { return &n }
	want := refund.Outcome{
		Source: refund.Relay, OutRefundNo: "R1", Merchant: refund.Merchant{MchID: "1900000109"},
		Refund: refund.Refund{
			RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1",
			UserReceivedAccount: "招商银行信用卡0403", SuccessTime: "2026-11-22T10:05:00+08:00", Status: refund.StatusSuccess,
			Amount: refund.Amount{Total: 100, Refund: 60, PayerTotal: n(100), PayerRefund: n(60)},
		},
	}
	for _, file := range files {
		event, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := relayed(event)
		if d := diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got):\n%s", file, err, d)
		}
		// APIv3 writes no amount as a text.
		got, err = relayed([]byte(strings.NewReplacer(`"refund": 60`, `"refund": "60"`, `\"refund\": 60`, `\"refund\": \"60\"`).Replace(string(event))))
		if err != nil || got.Refund.Status != "" || got.Refund.Amount.Refund != 0 {
			t.Errorf("%s, an amount that is a text: %+v, %v", file, got, err)
		}
	}
	got, err := relayed([]byte(`{"event_type":"REFUND.ABNORMAL","resource":{"out_refund_no":"R1"}}`))
	want = refund.Outcome{Source: refund.Relay, OutRefundNo: "R1", Refund: refund.Refund{OutRefundNo: "R1", Status: refund.StatusAbnormal}}
	if d := diff(want, got); err != nil || d != "" {
		t.Errorf("the least there is: %v (-want +got):\n%s", err, d)
	}
}

// A v2 notification is read as CloudPay's relay is; its envelope names the merchant.
func TestV2NotificationIsReadInFull(t *testing.T) {
	key, err := wxpay.ParseAPIKey("192006250b4c09247ec02edce69f6a2d")
	if err != nil {
		t.Fatal(err)
	}
	ours := refund.Merchant{MchID: "1800000001", SubMchID: "1900000110"}
	h := &Handler{Refunds: &refund.Service{Merchant: ours}, APIKey: key, Log: slog.New(slog.DiscardHandler)}
	for name, c := range map[string]struct {
		field, value string
		want         func(*refund.Outcome)
	}{
		"as it is":                      {"new", "1", func(*refund.Outcome) {}},
		"a time without separators":     {"success_time", "20260102030405", func(*refund.Outcome) {}},
		"a time that is an object":      {"success_time", "soon", func(o *refund.Outcome) { o.Refund.SuccessTime = "" }},
		"no payer's amount":             {"cash_refund_fee", "", func(o *refund.Outcome) { o.Refund.Amount.PayerRefund = nil }},
		"a payer's amount with a point": {"cash_refund_fee", "54.00", func(o *refund.Outcome) { o.Refund.Amount.PayerRefund = nil }},
		"a refund in words":             {"refund_fee", "sixty", func(o *refund.Outcome) { o.Refund.Status, o.Refund.SuccessTime, o.Refund.Amount.Refund = "", "", 0 }},
	} {
		inner := wxpay.Fields{
			"out_refund_no": "R1", "out_trade_no": "O1", "transaction_id": "420", "refund_id": "525", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
			"refund_fee": "60", "total_fee": "100", "settlement_refund_fee": "57", "settlement_total_fee": "95", "cash_fee": "90", "cash_refund_fee": "54",
			"refund_recv_accout": "支付用户零钱", "refund_request_source": "API", "refund_status": "SUCCESS", "success_time": "2026-01-02 03:04:05",
		}
		inner[c.field] = c.value
		plain := strings.NewReplacer("<xml>", "<root>", "</xml>", "</root>").Replace(string(inner.XML()))
		outer := wxpay.Fields{"return_code": "SUCCESS", "mch_id": ours.MchID, "sub_mch_id": ours.SubMchID, "req_info": key.SealReqInfo([]byte(plain))}
		want := wantE()
		want.Merchant = ours
		c.want(&want)
		got, a := h.readV2(t.Context(), outer.XML())
		if d := diff(want, got); d != "" {
			t.Errorf("%s: %+v (-want +got):\n%s", name, a, d)
		}
	}
}

// A relay that names another sub-merchant is refused; one that names another
// provider is a hint without a status. CloudPay's mch_id is the platform's.
func TestRelayOfAnotherMerchantIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ours, named refund.Merchant
		want        refund.Merchant
		ok          bool
	}{
		"none":            {refund.Merchant{MchID: "1", SubMchID: "2"}, refund.Merchant{}, refund.Merchant{MchID: "1", SubMchID: "2"}, true},
		"ours":            {refund.Merchant{MchID: "1", SubMchID: "2"}, refund.Merchant{SubMchID: "2"}, refund.Merchant{MchID: "1", SubMchID: "2"}, true},
		"a direct one":    {refund.Merchant{MchID: "1"}, refund.Merchant{SubMchID: "1"}, refund.Merchant{MchID: "1"}, true},
		"another":         {refund.Merchant{MchID: "1", SubMchID: "2"}, refund.Merchant{SubMchID: "3"}, refund.Merchant{SubMchID: "3"}, false},
		"the provider":    {refund.Merchant{MchID: "1", SubMchID: "2"}, refund.Merchant{SubMchID: "1"}, refund.Merchant{SubMchID: "1"}, false},
		"another direct":  {refund.Merchant{MchID: "1"}, refund.Merchant{SubMchID: "3"}, refund.Merchant{SubMchID: "3"}, false},
		"another by name": {refund.Merchant{MchID: "1"}, refund.Merchant{MchID: "3"}, refund.Merchant{MchID: "3"}, true}, // a hint, and the upstream is asked under our own
	} {
		h := &Handler{Refunds: &refund.Service{Merchant: c.ours}}
		got, ok := h.ours(refund.Outcome{Merchant: c.named, Refund: refund.Refund{Status: refund.StatusSuccess}})
		if got.Merchant != c.want || ok != c.ok || (got.Refund.Status == "") != (ok && c.want != c.ours) {
			t.Errorf("%s: %+v, %v, want %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

// No event makes us panic or read two things, and what is read is within bounds.
func FuzzRelayed(f *testing.F) {
	f.Add([]byte(relayE))
	files, err := filepath.Glob("testdata/relay-*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		event, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(event)
	}
	f.Add([]byte(`{"outRefundNo":"R1","out_refund_no":"R2","OutRefundNo":"R1","refundStatus":"SUCCESS"}`))
	f.Add([]byte(`{"out_refund_no":"R1","refund_status":"SUCCESS","refund_fee":-1,"total_fee":1e2,"amount":{"refund":"60"}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		got, err := relayed(event)
		again, errAgain := relayed(event)
		if (err == nil) != (errAgain == nil) || diff(got, again) != "" {
			t.Fatalf("%+v, %v, then %+v, %v", got, err, again, errAgain)
		}
		if err != nil {
			if diff(refund.Outcome{}, got) != "" {
				t.Fatalf("%+v beside an error", got)
			}
			return
		}
		r := got.Refund
		if got.Source != refund.Relay || got.OutRefundNo == "" || r.OutRefundNo != got.OutRefundNo || r.Amount.Refund < 0 || r.Amount.Total < 0 {
			t.Fatalf("%+v", got)
		}
		if _, err := time.Parse(time.RFC3339, r.SuccessTime); r.SuccessTime != "" && err != nil {
			t.Fatalf("time %q", r.SuccessTime)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
