package wxpayfunctions

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

const (
	applyEvent    = `{"type":"wxpay_refund_apply","out_trade_no":"O1","reason":"不想要了","amount":{"refund":60},"request_id":"a-1"}`
	listEvent     = `{"type":"wxpay_refund_list","kind":"refunds","state":"ABNORMAL","offset":20,"limit":50}`
	abnormalEvent = `{"type":"wxpay_refund_abnormal","data":{"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT","bank_account":"6222020000000000","real_name":"张三"}}`
)

// What a buyer may not ask for is one refusal, byte for byte, whatever they send: whether it
// can be read, has a type, or has one that exists. It is on record once, with who was denied.
func TestStrangersCannotTellWhatIsThere(t *testing.T) {
	h, up := setUp(t)
	buyer := refund.Caller{Kind: refund.User, OpenID: "oStranger"}
	const denied = `{"code":403,"err_code":"NOAUTH","message":"this caller may not refund or query: its openid is not in REFUND_OPERATORS","retry":"never"}`
	for _, e := range []string{
		event, ``, `null`, `[]`, `"x"`, `{`, `{}`, "\xff", `{"type":null}`, `{"type":7}`, `{"type":["wxpay_refund_apply"]}`, `{"type":"nothing"}`, `{"type":"wxpay_order"}`,
		`{"type":"WXPAY_REFUND_APPLY"}`, `{"type":"wxpay_refund_apply","type":"wxpay_refund"}`, `{"type":"wxpay_refund_apply"}x`, `{"data":{"type":"wxpay_refund_apply"}}`,
		`{"type":"wxpay_refund"}`, `{"type":"wxpay_refund_approve"}`, `{"type":"wxpay_refund_approve","application_id":"A1"}`, `{"type":"wxpay_refund_reject","application_id":7}`,
		abnormalEvent, `{"type":"wxpay_refund_abnormal"}`, strings.Replace(event, `"oForged"`, `"oOperator"`, 1),
		`{"type":"wxpay_refund_apply","reason":"` + strings.Repeat("x", maxEvent) + `"}`,
		`{"type":"wxpay_refund_apply","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		var log bytes.Buffer
		h.log = slog.New(slog.NewTextHandler(&log, nil))
		h.refunds.Log = h.log
		if got := string(h.Invoke(t.Context(), buyer, []byte(e))); got != denied {
			t.Errorf("%.80s: got %s", e, got)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN msg=denied") || !strings.Contains(got, "openid=oStranger") {
			t.Errorf("%.80s: the log: %s", e, got)
		}
	}
	if len(up.asked) > 0 {
		t.Error("the channel was asked")
	}
}

// Whoever has no openid that the platform attests is nobody's buyer, whatever the type.
func TestBuyersNeedAnOpenID(t *testing.T) {
	for _, caller := range []refund.Caller{{}, {Kind: refund.User}, {Kind: refund.Unlisted, Source: "x"}, {Kind: refund.Operator}, {OpenID: "oBuyer"}} {
		for _, row := range routes() {
			h, _ := setUp(t)
			want := call(t, h, caller, `{`)
			got := call(t, h, caller, `{"type":"`+row.name+`","out_trade_no":"O1","reason":"r","application_id":"A1"}`)
			if got["code"] != 403.0 || !cmp.Equal(got, want) {
				t.Errorf("%v, %s: %v, want as ever %v", caller.LogValue(), row.name, got, want)
			}
		}
	}
}

// A buyer's event of a type that buyers have is read: what is wrong with it is named.
func TestBuyersAreToldWhatIsWrongWithTheirs(t *testing.T) {
	h, _ := setUp(t)
	buyer := refund.Caller{Kind: refund.User, OpenID: "oBuyer"}
	for _, row := range routes() {
		got := call(t, h, buyer, `{"type":"`+row.name+`","offset":"x","out_trade_no":7,"application_id":7}`)
		if want := map[bool]float64{true: 400, false: 403}[row.buyers]; got["code"] != want {
			t.Errorf("%s: %v, want %v", row.name, got, want)
		}
	}
}

// Each field of the types arrives, beside type or in data.
func TestFieldsOfApplicationsArrive(t *testing.T) {
	h, _ := setUp(t)
	read := func(event string, dst any) {
		t.Helper()
		o, err := readObject([]byte(event))
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder()
		if _, err := h.fields(d, o, dst, "data"); err != nil || d.err() != nil {
			t.Errorf("%s: %v, %v", event, err, d.err())
		}
	}
	inside := func(event string) string {
		rest, _ := strings.CutPrefix(event, `{`)
		kind, fields, _ := strings.Cut(rest, ",")
		return `{` + kind + `,"data":{` + fields + `}`
	}
	for _, e := range []string{applyEvent, inside(applyEvent)} {
		var got refund.ApplyRequest
		read(e, &got)
		want := refund.ApplyRequest{OutTradeNo: "O1", Reason: "不想要了", Amount: refund.ApplyAmount{Refund: 60}, RequestID: "a-1"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", e, d)
		}
	}
	for _, e := range []string{listEvent, inside(listEvent)} {
		var got refund.ApplicationQuery
		read(e, &got)
		if d := cmp.Diff(refund.ApplicationQuery{Kind: "refunds", State: "ABNORMAL", Offset: 20, Limit: 50}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", e, d)
		}
	}
	decision := `{"type":"wxpay_refund_approve","application_id":"A1","reason":"好"}`
	for _, e := range []string{decision, inside(decision)} {
		var got refund.Decision
		read(e, &got)
		if d := cmp.Diff(refund.Decision{ApplicationID: "A1", Reason: "好"}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", e, d)
		}
	}
	var got refund.AbnormalRequest
	read(abnormalEvent, &got)
	want := refund.AbnormalRequest{OutRefundNo: "R1", Type: "USER_BANK_CARD", BankType: "ICBC_DEBIT", BankAccount: "6222020000000000", RealName: "张三"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// One message names all that is wrong with an application, a decision, a list or an
// abnormal refund. A sum that went missing on its way is not taken for the whole order.
func TestOneMessageNamesAllThatIsWrongWithAnApplication(t *testing.T) {
	const all = ": leave amount out for all that is left"
	apply := func(with string) string {
		return `{"type":"wxpay_refund_apply","out_trade_no":"O1","reason":"r"` + with + `}`
	}
	abnormal := func(fields string) string { return `{"type":"wxpay_refund_abnormal","data":{` + fields + `}}` }
	for event, says := range map[string]string{
		`{"type":"wxpay_refund_apply"}`:                                   "transaction_id or out_trade_no is required; reason is required",
		`{"type":"wxpay_refund_apply","reason":"","out_trade_no":""}`:     "transaction_id or out_trade_no is required; reason is required",
		`{"type":"wxpay_refund_apply","out_trade_no":"O 1","reason":"😀"}`: "out_trade_no may hold digits, letters and _-|*@ only; reason holds a character that WeChat Pay does not accept",
		`{"type":"wxpay_refund_apply","out_trade_no":1,"reason":"r"}`:     "out_trade_no must be a string, not a number",
		`{"type":"wxpay_refund_apply","Out_Trade_No":"O1","reason":"r"}`:  "Out_Trade_No must be written out_trade_no",
		apply(`,"amount":60`):                                                   "amount must be an object, not a number",
		apply(`,"amount":{}`):                                                   "amount.refund is required" + all,
		apply(`,"amount":{"refund":null}`):                                      "amount.refund must be in fen, an integer, not null" + all,
		apply(`,"amount":{"refund":0}`):                                         "amount.refund must be at least 1" + all,
		apply(`,"amount":{"refund":-1}`):                                        "amount.refund must be at least 0",
		apply(`,"amount":{"refund":0.5}`):                                       "amount.refund must be in fen, an integer (in other currencies the minor unit), not a decimal",
		apply(`,"amount":{"refund":"60"}`):                                      "amount.refund must be in fen, an integer (in other currencies the minor unit), not a string",
		apply(`,"amount":{"Refund":60}`):                                        "amount.Refund must be written refund",
		apply(`,"amount":{"refund":9007199254740993}`):                          "amount.refund must be at most 9007199254740991",
		apply(`,"request_id":"` + strings.Repeat("r", 65) + `"`):                "request_id must have at most 64 characters",
		apply(`,"data":{"out_trade_no":"O1"}`):                                  "out_trade_no, reason must not stand beside data: put all fields in one place",
		`{"type":"wxpay_refund_approve"}`:                                       "application_id is required",
		`{"type":"wxpay_refund_approve","application_id":7,"reason":"a\u0000"}`: "application_id must be a string, not a number; reason holds a character that WeChat Pay does not accept",
		`{"type":"wxpay_refund_reject","application_id":"` + strings.Repeat("A", 65) + `","reason":"` + strings.Repeat("r", 241) + `"}`: "application_id must have at most 64 characters; reason must have at most 240 bytes",
		`{"type":"wxpay_refund_withdraw","data":{}}`:                          "application_id is required",
		`{"type":"wxpay_refund_list","kind":"orders","limit":51,"offset":-1}`: "kind must be applications or refunds; offset must be at least 0; limit must be at most 50",
		`{"type":"wxpay_refund_list","kind":"orders","state":"OPEN"}`:         "kind must be applications or refunds",
		`{"type":"wxpay_refund_list","state":"SUCCESS"}`:                      "state must be PENDING, APPROVED, REJECTED, WITHDRAWN, EXPIRED or REFUNDED",
		`{"type":"wxpay_refund_list","kind":"refunds","state":"PENDING"}`:     "state must be CLAIMED, PROCESSING, SUCCESS, CLOSED, ABNORMAL or REJECTED",
		`{"type":"wxpay_refund_list","state":"pending"}`:                      "state must be PENDING, APPROVED, REJECTED, WITHDRAWN, EXPIRED or REFUNDED",
		`{"type":"wxpay_refund_abnormal","out_refund_no":"R1"}`:               "data is required: all fields stand in it, since one of them is type",
		abnormal(``): "type is required; out_refund_no is required",
		abnormal(`"out_refund_no":"R/1","type":"CARD"`):                                                                                         "type must be USER_BANK_CARD or MERCHANT_BANK_CARD; out_refund_no may hold digits, letters and _-|*@ only",
		abnormal(`"out_refund_no":"R1","type":"USER_BANK_CARD"`):                                                                                "bank_type is required with the type USER_BANK_CARD; bank_account is required with the type USER_BANK_CARD; real_name is required with the type USER_BANK_CARD",
		abnormal(`"out_refund_no":"R1","type":"MERCHANT_BANK_CARD","real_name":"张三"`):                                                           "real_name must not stand with the type MERCHANT_BANK_CARD, which names no card",
		abnormal(`"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT","bank_account":"6222 0200 0000 0000","real_name":"张三"`): "bank_account must be digits alone",
		abnormal(`"out_refund_no":"R1","type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT","bank_account":6222020000000000,"real_name":"张三"`):      "bank_account must be a string, not a number",
		`{"type":"wxpay_refund_abnormal","real_name":"张三","data":{"out_refund_no":"R1","type":"MERCHANT_BANK_CARD"}}`:                           "real_name must not stand beside data: put all fields in one place",
	} {
		if got := refusal(t, event); got != says {
			t.Errorf("%s\n got %s\nwant %s", event, got, says)
		}
	}
}

// What waits for another operator is no error: code 202, the application, and a sentence.
func TestARefundThatWaitsIsAReplyWithItsApplication(t *testing.T) {
	a := refund.Application{ID: "A1", State: refund.ApplicationPending, OutRefundNo: "R1", Amount: refund.ApplicationAmount{Refund: 60, Total: 100, Currency: "CNY"},
		Applicant: "user oCanary", History: []refund.HistoryEntry{{What: "proposed", By: "user oCanary"}}}
	const want = `{"code":202,"data":{"application_id":"A1","state":"PENDING","amount":{"refund":60,"total":100,"currency":"CNY"},"created_at":"0001-01-01T00:00:00Z","out_refund_no":"R1"},"message":"another operator must approve"}`
	if got := string(encode(nil, &refund.Error{Code: refund.CodeProposed, Next: refund.SameNumber, Message: "another operator must approve", Proposed: &a})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if a.Applicant == "" || a.History == nil {
		t.Error("the application was changed")
	}
}

// Whatever the service knows of who did what, no reply of the dispatcher holds it.
func TestApplicationsAreShownWithoutWhoIsWho(t *testing.T) {
	closed := refund.Refund{OutRefundNo: "R1", Status: refund.StatusClosed}
	a := refund.Application{ID: "A1", State: refund.ApplicationApproved, Refund: &closed, Applicant: "user oCanary", History: []refund.HistoryEntry{{By: "user oCanary"}}}
	for _, data := range []any{a, refund.Listing{Total: 2, Items: []any{a, closed}}} {
		got := string(encode(data, nil))
		if strings.Contains(got, "oCanary") || !strings.Contains(got, `"application_id":"A1"`) || !strings.Contains(got, `"status":"CLOSED"`) || strings.Contains(got, "retry") {
			t.Errorf("got %s", got)
		}
	}
	if got := string(encode(refund.Listing{}, nil)); got != `{"code":0,"data":{"total":0,"offset":0,"items":[]}}` {
		t.Errorf("an empty list: %s", got)
	}
}

// A card's number and its holder's name are in no reply and no log, whatever is wrong.
func TestCardsAreNeitherEchoedNorLogged(t *testing.T) {
	h, up := setUp(t)
	var log, replies bytes.Buffer
	h.log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.refunds.Log = h.log
	for _, change := range [][2]string{
		{`"R1"`, `"R/1"`}, {`"USER_BANK_CARD"`, `"MERCHANT_BANK_CARD"`}, {`"USER_BANK_CARD"`, `7`}, {`"bank_account":"`, `"Bank_Account":"`}, {`"6222020000000000"`, `["6222020000000000"]`},
		{`"6222020000000000"`, `"6222020000000000x"`}, {`张三`, `张三\u0000`}, {`"real_name"`, `"bank_account":"6222020000000000","real_name"`}, {`{"type"`, `{"real_name":"张三","type"`}, {``, ``},
	} {
		replies.Write(h.Invoke(t.Context(), server, []byte(strings.Replace(abnormalEvent, change[0], change[1], 1))))
	}
	if s := log.String() + replies.String(); strings.Contains(s, "6222") || strings.Contains(s, "张三") {
		t.Errorf("got %s", s)
	}
	if len(up.asked) > 0 {
		t.Error("the channel was asked for a refund")
	}
}

// Whatever a stranger sends, the reply is JSON, and either the one refusal or one about the
// fields of a type that buyers have.
func FuzzInvokeOfABuyer(f *testing.F) {
	for _, e := range []string{applyEvent, listEvent, abnormalEvent, event, `{"type":"wxpay_refund_withdraw","application_id":"A1"}`, `{"type":"wxpay_refund_apply","amount":{"refund":null},"Amount":[]}`, `{"type":"wxpay_refund_list","data":{"kind":"refunds","limit":1e9}}`} {
		f.Add([]byte(e))
	}
	h, up := setUp(f)
	f.Fuzz(func(t *testing.T, event []byte) {
		up.asked = nil
		var got envelope
		if err := json.Unmarshal(h.Invoke(t.Context(), refund.Caller{Kind: refund.User, OpenID: "oBuyer"}, event), &got); err != nil {
			t.Fatal(err)
		}
		if !forBuyers(event) && (got.Code != 403 || !strings.Contains(got.Message, "REFUND_OPERATORS")) || got.Code == 500 || got.Code == 0 && strings.Contains(string(event), `"wxpay_refund"`) {
			t.Fatalf("got %+v", got)
		}
		if len(up.asked) > 0 {
			t.Fatal("the channel was asked for a refund")
		}
		if err := json.Unmarshal(h.Invoke(t.Context(), server, event), &got); err != nil || got.Code == 500 {
			t.Fatalf("a server: %+v, %v", got, err)
		}
	})
}
