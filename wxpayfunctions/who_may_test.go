package wxpayfunctions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// A shop's upstream knows two paid orders, each with a payer, and the refunds that were
// made of them.
type shop struct {
	upstream
	payers map[string]string // of each order
	made   map[string]refund.Refund
	status refund.Status // of new refunds
}

func (s *shop) Spec() refund.Spec {
	spec := s.upstream.Spec()
	spec.OrderLookups, spec.Abnormal = []string{"transaction_id", "out_trade_no"}, true
	spec.Lookups = []string{"out_refund_no"}
	return spec
}

func (s *shop) Order(_ context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	payer, ok := s.payers[l.OutTradeNo]
	if !ok {
		return refund.PaidOrder{}, &refund.Error{Code: refund.CodeNotFound, Next: refund.LaterOrFix, Message: "no such order"}
	}
	return refund.PaidOrder{OutTradeNo: l.OutTradeNo, TransactionID: "42" + l.OutTradeNo, Status: refund.OrderPaid, Payers: []refund.Payer{{OpenID: payer}}, Total: 100, Currency: "CNY", PaidAt: time.Now().Add(-time.Hour)}, nil
}

func (s *shop) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	r := refund.Refund{
		RefundID: "50" + req.OutRefundNo, OutRefundNo: req.OutRefundNo, OutTradeNo: req.OutTradeNo, TransactionID: "42" + req.OutTradeNo, Status: s.status, FundsAccount: "AVAILABLE",
		Amount: refund.Amount{Refund: req.Amount.Refund, Total: req.Amount.Total, Currency: req.Amount.Currency},
	}
	s.made[req.OutRefundNo] = r
	return r, nil
}

func (s *shop) Query(_ context.Context, l refund.Lookup) (refund.Page, error) {
	r, ok := s.made[l.OutRefundNo]
	if !ok {
		return refund.Page{}, &refund.Error{Code: refund.CodeNotFound, Next: refund.LaterOrFix, Message: "no such refund"}
	}
	return refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{r}}, nil
}

func (s *shop) FinishAbnormal(_ context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	r := s.made[a.OutRefundNo]
	r.Status = refund.StatusProcessing
	s.made[a.OutRefundNo] = r
	return r, nil
}

// The callers of the table: the payer of mine, the payer of theirs, who has paid nothing,
// two operators of whom A has proposed, a server, and nobody.
func callers() (names []string, of map[string]refund.Caller) {
	user := func(openid string) refund.Caller { return refund.Caller{Kind: refund.User, OpenID: openid} }
	return []string{"payer", "other payer", "stranger", "operator A", "operator B", "server", "nobody"}, map[string]refund.Caller{
		"payer": user("oPayer"), "other payer": user("oOther"), "stranger": user("oStranger"), "operator A": user("oA"), "operator B": user("oB"),
		"server": {Kind: refund.Server, Source: "scf"}, "nobody": {},
	}
}

// openShop has a refund of the order mine and one of theirs, the payer's application about
// mine, and the refund of mine that operator A has proposed.
func openShop(t *testing.T, status refund.Status) (h *Handler, s *shop, applied, proposed string) {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s = &shop{payers: map[string]string{"mine": "oPayer", "theirs": "oOther", "new": "oPayer"}, made: map[string]refund.Refund{}, status: status}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h = New(&refund.Service{
		Channel: s, Ledger: store, Log: log, Pace: -1, VerifyOrder: refund.VerifyFirst, Self: refund.SelfService{Mode: refund.SelfPropose, Daily: 5},
		Policy: refund.Policy{Operators: []string{"oA", "oB"}, ApprovalFen: 40},
	}, log)
	_, of := callers()
	do := func(caller, event string, want float64) map[string]any {
		t.Helper()
		got := call(t, h, of[caller], event)
		if got["code"] != want {
			t.Fatalf("%s by %s: %v", event, caller, got)
		}
		data, _ := got["data"].(map[string]any)
		return data
	}
	for _, order := range []string{"mine", "theirs"} {
		do("server", fmt.Sprintf(`{"type":"wxpay_refund","out_refund_no":"R-%s","out_trade_no":%q,"amount":{"refund":5,"total":100,"currency":"CNY"}}`, order, order), 0)
	}
	applied, _ = do("payer", `{"type":"wxpay_refund_apply","out_trade_no":"mine","reason":"r","amount":{"refund":10}}`, 0)["application_id"].(string)
	proposed, _ = do("operator A", `{"type":"wxpay_refund","out_refund_no":"P-mine","out_trade_no":"mine","amount":{"refund":41,"total":100,"currency":"CNY"}}`, 202)["application_id"].(string)
	return h, s, applied, proposed
}

// Who may do what, and with whose order: every caller, every type, each in a shop of its
// own. A code alone is told of; 403 is the same whether the thing exists or not.
func TestWhoMayDoWhatWithWhoseOrder(t *testing.T) {
	refundEvent := func(no, order string, fen int) string {
		return fmt.Sprintf(`{"type":"wxpay_refund","out_refund_no":%q,"out_trade_no":%q,"amount":{"refund":%d,"total":100,"currency":"CNY"}}`, no, order, fen)
	}
	names, of := callers()
	for _, row := range []struct {
		what, event string // APPLIED and PROPOSED stand for the applications
		status      refund.Status
		want        string // in the order of the callers
	}{
		{"refund of a little", refundEvent("N1", "mine", 3), "", "403 403 403 0 0 0 403"},
		{"refund above the limit", refundEvent("N1", "theirs", 50), "", "403 403 403 202 202 0 403"},
		{"refund with a wrong total", strings.Replace(refundEvent("N1", "new", 3), ":100", ":200", 1), "", "403 403 403 409 409 409 403"},
		{"refund of no order", refundEvent("N1", "none", 3), "", "403 403 403 0 0 0 403"}, // this upstream takes it
		{"refund under the number that waits", refundEvent("P-mine", "mine", 41), "", "403 403 403 202 202 202 403"},
		{"the same with other content", refundEvent("P-mine", "mine", 3), "", "403 403 403 409 409 409 403"},
		{"query of a refund", `{"type":"wxpay_refund_query","out_refund_no":"R-mine"}`, "", "0 403 403 0 0 0 403"},
		{"query of another's", `{"type":"wxpay_refund_query","out_refund_no":"R-theirs"}`, "", "403 0 403 0 0 0 403"},
		{"query of none", `{"type":"wxpay_refund_query","out_refund_no":"none"}`, "", "403 403 403 404 404 404 403"},
		{"query of an order", `{"type":"wxpay_refund_query","out_trade_no":"mine"}`, "", "0 403 403 0 0 0 403"},
		{"query of no order", `{"type":"wxpay_refund_query","out_trade_no":"none"}`, "", "403 403 403 404 404 404 403"},
		{"application", `{"type":"wxpay_refund_apply","out_trade_no":"mine","reason":"r"}`, "", "0 403 403 403 403 403 403"},
		{"application for another's", `{"type":"wxpay_refund_apply","out_trade_no":"theirs","reason":"r"}`, "", "403 0 403 403 403 403 403"},
		{"application for none", `{"type":"wxpay_refund_apply","out_trade_no":"none","reason":"r"}`, "", "403 403 403 403 403 403 403"},
		{"application for more than is left", `{"type":"wxpay_refund_apply","out_trade_no":"mine","reason":"r","amount":{"refund":96}}`, "", "409 403 403 403 403 403 403"},
		{"approval of an application", `{"type":"wxpay_refund_approve","application_id":"APPLIED"}`, "", "403 403 403 0 0 0 403"},
		{"approval of what A proposed", `{"type":"wxpay_refund_approve","application_id":"PROPOSED"}`, "", "403 403 403 403 0 0 403"},
		{"approval of none", `{"type":"wxpay_refund_approve","application_id":"none"}`, "", "403 403 403 404 404 404 403"},
		{"rejection of an application", `{"type":"wxpay_refund_reject","application_id":"APPLIED"}`, "", "403 403 403 0 0 0 403"},
		{"rejection of what A proposed", `{"type":"wxpay_refund_reject","application_id":"PROPOSED"}`, "", "403 403 403 403 0 0 403"},
		{"withdrawal of an application", `{"type":"wxpay_refund_withdraw","application_id":"APPLIED"}`, "", "0 403 403 403 403 403 403"},
		{"withdrawal of what A proposed", `{"type":"wxpay_refund_withdraw","application_id":"PROPOSED"}`, "", "403 403 403 0 403 403 403"},
		{"withdrawal of none", `{"type":"wxpay_refund_withdraw","application_id":"none"}`, "", "403 403 403 403 403 403 403"},
		{"list", `{"type":"wxpay_refund_list"}`, "", "0 0 0 0 0 0 403"},
		{"abnormal refund", `{"type":"wxpay_refund_abnormal","data":{"out_refund_no":"R-mine","type":"MERCHANT_BANK_CARD"}}`, refund.StatusAbnormal, "403 403 403 0 0 0 403"},
		{"abnormal refund that is none", `{"type":"wxpay_refund_abnormal","data":{"out_refund_no":"R-mine","type":"MERCHANT_BANK_CARD"}}`, "", "403 403 403 409 409 409 403"},
		{"nothing that there is", `{"type":"wxpay_order"}`, "", "403 403 403 400 400 400 403"},
	} {
		if row.status == "" {
			row.status = refund.StatusProcessing
		}
		want := strings.Fields(row.want)
		var got []string
		for i, name := range names {
			h, _, applied, proposed := openShop(t, row.status)
			event := strings.NewReplacer("APPLIED", applied, "PROPOSED", proposed).Replace(row.event)
			reply := call(t, h, of[name], event)
			got = append(got, fmt.Sprint(reply["code"]))
			if reply["code"] == 403.0 && (reply["data"] != nil || reply["err_code"] != "NOAUTH" || reply["retry"] != "never") {
				t.Errorf("%s by %s: %v", row.what, name, reply)
			}
			if i < len(want) && got[i] != want[i] {
				t.Errorf("%s by %s: %v, want %s", row.what, name, reply, want[i])
			}
		}
		if len(want) != len(names) {
			t.Errorf("%s: %d columns", row.what, len(want))
		}
		t.Logf("%-38s %s", row.what, strings.Join(got, " "))
	}
}

// What a buyer may not see, a buyer cannot tell from what does not exist: not by the
// answer, whatever it is asked about.
func TestWhatIsNotTheirsBuyersCannotTellFromNothing(t *testing.T) {
	h, _, applied, proposed := openShop(t, refund.StatusProcessing)
	_, of := callers()
	for _, same := range [][]string{
		{`{"type":"wxpay_refund_query","out_refund_no":"R-mine"}`, `{"type":"wxpay_refund_query","out_refund_no":"none"}`, `{"type":"wxpay_refund_query","refund_id":"50R-mine"}`,
			`{"type":"wxpay_refund_query","out_trade_no":"mine"}`, `{"type":"wxpay_refund_query","out_trade_no":"none"}`, `{"type":"wxpay_refund_query","transaction_id":"42mine"}`},
		{`{"type":"wxpay_refund_apply","out_trade_no":"mine","reason":"r"}`, `{"type":"wxpay_refund_apply","out_trade_no":"none","reason":"r"}`, `{"type":"wxpay_refund_apply","out_trade_no":"mine","reason":"r","amount":{"refund":1000}}`},
		{`{"type":"wxpay_refund_withdraw","application_id":"` + applied + `"}`, `{"type":"wxpay_refund_withdraw","application_id":"` + proposed + `"}`, `{"type":"wxpay_refund_withdraw","application_id":"none"}`},
	} {
		var first string
		for _, e := range same {
			for _, name := range []string{"stranger", "other payer"} {
				got := string(h.Invoke(t.Context(), of[name], []byte(e)))
				if first == "" {
					first = got
				}
				if got != first || !strings.HasPrefix(got, `{"code":403,`) {
					t.Errorf("%s by %s: %s, want %s", e, name, got, first)
				}
			}
		}
	}
}

// A buyer's own refund is shown without what is between the shop and WeChat Pay, and their
// lists have what is theirs.
func TestBuyersSeeWhatIsTheirs(t *testing.T) {
	h, _, applied, _ := openShop(t, refund.StatusProcessing)
	_, of := callers()
	got := call(t, h, of["payer"], `{"type":"wxpay_refund_query","out_refund_no":"R-mine"}`)
	if data, _ := got["data"].(map[string]any); data["out_refund_no"] != "R-mine" || data["funds_account"] != nil {
		t.Errorf("got %v", got)
	}
	list := func(caller, fields string) (total float64, ids []string) {
		t.Helper()
		var r struct {
			Code int
			Data struct {
				Total float64
				Items []struct {
					ApplicationID string `json:"application_id"`
					OutRefundNo   string `json:"out_refund_no"`
				}
			}
		}
		reply := h.Invoke(t.Context(), of[caller], []byte(`{"type":"wxpay_refund_list"`+fields+`}`))
		if err := json.Unmarshal(reply, &r); err != nil || r.Code != 0 || strings.Contains(string(reply), "oPayer") || strings.Contains(string(reply), "history") {
			t.Fatalf("%s: %s", caller, reply)
		}
		for _, item := range r.Data.Items {
			if item.ApplicationID != "" {
				ids = append(ids, item.ApplicationID)
			} else {
				ids = append(ids, item.OutRefundNo)
			}
		}
		slices.Sort(ids)
		return r.Data.Total, ids
	}
	for _, c := range []struct {
		caller, fields string
		total          float64
		ids            []string
	}{
		{"payer", ``, 1, []string{applied}},
		{"payer", `,"kind":"refunds"`, 1, []string{"R-mine"}},
		{"payer", `,"state":"REJECTED"`, 0, nil},
		{"other payer", ``, 0, nil},
		{"stranger", `,"kind":"refunds"`, 0, nil},
		{"operator B", `,"kind":"refunds","state":"PROCESSING"`, 2, []string{"R-mine", "R-theirs"}},
		{"server", `,"state":"PENDING","limit":1,"offset":5`, 2, nil},
	} {
		total, ids := list(c.caller, c.fields)
		if d := cmp.Diff(c.ids, ids); d != "" || total != c.total {
			t.Errorf("%s%s: total %v, want %v (-want +got):\n%s", c.caller, c.fields, total, c.total, d)
		}
	}
}
