package control_test

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// shop has four refunds, an hour apart: R1 of 60 fen and R2 of 1234.50 yuan from order T1, R3
// of 500 yen from T2, and R4 that only the merchant has.
func shop(t *testing.T) (*sandboxtest.World, *merchant) {
	m := merchant{}
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.MerchantRefunds = m.read })
	w.Run()
	w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T1","transaction_id":"4200000000000000000000000001","total":1000000}`, 200)
	w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T2","total":900,"currency":"JPY"}`, 200)
	for i, body := range []string{
		`{"out_trade_no":"T1","out_refund_no":"R1","amount":60}`, `{"out_trade_no":"T1","out_refund_no":"R2","amount":123450}`,
		`{"out_trade_no":"T2","out_refund_no":"R3","amount":500}`,
	} {
		if i > 0 {
			time.Sleep(time.Hour)
		}
		w.Control("POST", "/_sandbox/refunds", body, 200)
	}
	time.Sleep(time.Hour)
	m.writes(w, sandbox.MerchantRefund{
		OutRefundNo: "R4", TransactionID: "4200000000000000000000000001", State: "claimed", Refund: 5, Held: 5, Currency: "CNY", At: time.Now(),
		InDoubt: true, Event: []byte(`{"type":"x"}`), History: []sandbox.MerchantEvent{{At: time.Now(), What: "claimed", Detail: "server"}},
	})
	return w, &m
}

// The bubble's time begins in 2000, at eight in China.
func TestRefundsAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := shop(t)
		id := view(w, "refunds?q=r1").Refunds[0].RefundID
		for query, want := range map[string]string{
			"":                                   "R4 R3 R2 R1",
			"q=R2":                               "R2",
			"q=r2":                               "R2",
			"q=%20r2%20":                         "R2",
			"q=T1":                               "R4 R2 R1",
			"q=" + id[5:]:                        "R1",
			"q=420000000000000000000000000":      "R4 R2 R1",
			"q=nothing":                          "",
			"q=0.60":                             "R1",
			"q=0.6":                              "R1",
			"q=¥0.60":                            "R1",
			"q=￥0.60":                            "R1",
			"q=CNY+0.60":                         "R1",
			"q=1234.50":                          "R2",
			"q=¥1,234.50":                        "R2",
			"q=1234.505":                         "",
			"q=10000.00":                         "R4 R2 R1", // their order's total
			"q=500":                              "R3",
			"q=JPY 500":                          "R3",
			"q=500.00":                           "R3",
			"q=500.01":                           "",
			"state=claimed":                      "R4",
			"state=success":                      "R3 R2 R1",
			"state=open":                         "R4",
			"state=open,success":                 "R4 R3 R2 R1",
			"min=60&max=500":                     "R3 R1",
			"max=5":                              "R4",
			"currency=JPY":                       "R3",
			"currency=jpy":                       "R3",
			"order=T1":                           "R4 R2 R1",
			"order=4200000000000000000000000001": "R4 R2 R1",
			"order=T":                            "",
			"doubt=true":                         "R4",
			"doubt=false":                        "R3 R2 R1",
			"difference=true":                    "R4 R3 R2 R1",
			"since=2000-01-01T09:00:00%2B08:00":  "R4 R3 R2",
			"since=2000-01-01T09:00:00+08:00":    "R4 R3 R2",
			"until=2000-01-01T01:00:00Z":         "R2 R1",
			"since=2000-01-01&until=2000-01-01":  "R4 R3 R2 R1",
			"since=2000-01-02":                   "",
			"until=1999-12-31":                   "",
			"limit=2":                            "R4 R3",
			"limit=2&offset=2":                   "R2 R1",
			"offset=4":                           "",
			"q=T1&limit=1&offset=1":              "R2",
		} {
			got := view(w, "refunds?"+strings.ReplaceAll(query, " ", "%20"))
			if d := cmp.Diff(strings.Fields(want), got.numbers()); d != "" && want+strings.Join(got.numbers(), "") != "" {
				t.Errorf("?%s (-want +got):\n%s", query, d)
			}
		}
		if got := view(w, "refunds?limit=1&q=T1"); got.Total != 3 {
			t.Errorf("total of a page: got %d, want 3", got.Total)
		}
		for query, want := range map[string]int{"": 2, "q=t1": 1, "q=42000": 2, "q=900": 1, "q=10000.00": 1, "q=x": 0} {
			if got := view(w, "orders?"+query); got.Total != want || len(got.Orders) != want {
				t.Errorf("orders?%s: got %d, want %d", query, got.Total, want)
			}
		}
		for query, want := range map[string][2]int{"": {3, 3}, "q=r1": {1, 1}, "state=delivered": {3, 3}, "state=pending,lost": {}, "q=refund.success&limit=2": {3, 2}} {
			if got := view(w, "notifications?"+query); got.Total != want[0] || len(got.Deliveries) != want[1] {
				t.Errorf("notifications?%s: got %d of %d, want %v", query, len(got.Deliveries), got.Total, want)
			}
		}
		if got := view(w, "notifications").Deliveries; got[0].ID == got[2].ID || got[0].ID != view(w, "notifications?q=r3").Deliveries[0].ID {
			t.Errorf("got %v, want R3's first", got)
		}
	})
}

// What is misspelt is refused by name: who filters believes what he is shown.
func TestWhatAListDoesNotKnowIsRefusedByName(t *testing.T) {
	w := sandboxtest.New(t)
	for path, names := range map[string]string{
		"view/refunds?stat=open":                     "?stat",
		"view/refunds?limit=0":                       "?limit",
		"view/refunds?limit=201":                     "?limit",
		"view/refunds?limit=":                        "?limit",
		"view/refunds?limit=1&limit=2":               "?limit",
		"view/refunds?offset=-1":                     "?offset",
		"view/refunds?offset=1e3":                    "?offset",
		"view/refunds?state=OPEN":                    "?state",
		"view/refunds?state=open,":                   "?state",
		"view/refunds?since=yesterday":               "?since",
		"view/refunds?until=2000-13-01":              "?until",
		"view/refunds?min=0.60":                      "?min",
		"view/refunds?max=-1":                        "?max",
		"view/refunds?doubt=1":                       "?doubt",
		"view/refunds?owed=":                         "?owed",
		"view/refunds?q=" + strings.Repeat("x", 201): "?q",
		"view/refunds?q=%zz":                         "query",
		"view/refunds.csv?limit=1":                   "?limit",
		"view/refunds/R1?x=1":                        "?x",
		"view/orders?state=open":                     "?state",
		"view/orders/T1?limit=1":                     "?limit",
		"view/notifications?state=sent":              "?state",
		"view/notifications?order=T1":                "?order",
		"view/exchanges?Refund=R1":                   "?Refund",
		"view/exchanges?refund=R1&refund=R":          "?refund",
		"view/exchanges?kind=calls":                  "?kind",
		"view/exchanges?refused=1":                   "?refused",
		"view/exchanges?limit=0":                     "?limit",
		"view/exchanges?limit=201":                   "?limit",
		"view/exchanges?limit=x":                     "?limit",
		"view/exchanges?offset=-1":                   "?offset",
		"view/exchanges?%zz":                         "query",
		"view/day?date=2024-02-30":                   "?date",
		"view/day?date=20240229":                     "?date",
		"view/day?hour=1":                            "?hour",
		"state?x=1":                                  "?x",
		"events?since=1":                             "?since",
	} {
		a := w.Control("GET", "/_sandbox/"+path, "", 400)
		if e, _ := a.Field("error").(string); !strings.Contains(e, names) {
			t.Errorf("%s: got %s, want %s named", path, a.Body, names)
		}
	}
	for _, path := range []string{"view/refunds/R1", "view/orders/T1", "view/exchanges/x1", "view/exchanges/1", "view/exchanges/x", "view/exchanges/%20"} {
		w.Control("GET", "/_sandbox/"+path, "", 404)
	}
}

// A refund is shown with its order and the other refunds of it, even one that the merchant
// alone has and calls otherwise.
func TestARefundIsShownWithItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := shop(t)
		var got refundView
		w.Control("GET", "/_sandbox/view/refunds/R4", "", 200).Decode(t, &got)
		if d := cmp.Diff([]string{"R2", "R1"}, listView{Refunds: got.Siblings}.numbers()); d != "" {
			t.Errorf("siblings (-want +got):\n%s", d)
		}
		if got.Order == nil || got.Order.OutTradeNo != "T1" || got.Order.Refunded != 123510 || string(got.Event) != `{"type":"x"}` || len(got.Can) != 0 || !got.InDoubt || len(got.Notices) != 0 {
			t.Errorf("R4: got %+v of %+v", got, got.Order)
		}
		w.Control("GET", "/_sandbox/view/refunds/R3", "", 200).Decode(t, &got)
		if len(got.Siblings) != 0 || got.Order.OutTradeNo != "T2" || len(got.Notices) != 1 || got.Notices[0].State != "delivered" {
			t.Errorf("R3: got %+v of %+v", got, got.Order)
		}
		var order struct {
			orderView
			Refunds []refundView
		}
		w.Control("GET", "/_sandbox/view/orders/T1", "", 200).Decode(t, &order)
		if d := cmp.Diff([]string{"R4", "R2", "R1"}, listView{Refunds: order.Refunds}.numbers()); d != "" || order.Remaining != 1000000-123510 {
			t.Errorf("T1: %d remain; refunds (-want +got):\n%s", order.Remaining, d)
		}
		w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R|*@5","amount":7}`, 200)
		w.Control("POST", "/_sandbox/refunds/R%7C*@5/settle", `{"status":"ABNORMAL"}`, 200)
		w.Control("GET", "/_sandbox/view/refunds/R%7C*@5", "", 200).Decode(t, &got)
		if got.Status != "abnormal" || got.Order.Open != 7 || view(w, "refunds?state=open").Total != 2 {
			t.Errorf("an abnormal refund: got %s, %d open in the order, want it open in all places", got.Status, got.Order.Open)
		}
		// An order that is called as another's transaction is no part of that one.
		w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"N1","transaction_id":"N2","total":100}`, 200)
		w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"N2","total":100}`, 200)
		for order, no := range map[string]string{"N1": "O1", "N2": "O2"} {
			w.Control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":7}`, order, no), 200)
		}
		for order, no := range map[string]string{"N1": "O1", "N2": "O2"} {
			var got listView
			w.Control("GET", "/_sandbox/view/orders/"+order, "", 200).Decode(t, &got)
			if d := cmp.Diff([]string{no}, got.numbers()); d != "" {
				t.Errorf("%s: refunds (-want +got):\n%s", order, d)
			}
		}
		// Of an order that WeChat's side has never had, each by another of its names.
		for no, names := range map[string][2]string{"E1": {"", "42"}, "E2": {"T9", "42"}, "E3": {"T9", ""}} {
			m.writes(w, sandbox.MerchantRefund{OutRefundNo: no, OutTradeNo: names[0], TransactionID: names[1], State: "success", Refund: 1, Currency: "CNY", At: time.Now()})
		}
		for no, want := range map[string][]string{"E1": {"E2"}, "E2": {"E3", "E1"}, "E3": {"E2"}} {
			var got refundView
			w.Control("GET", "/_sandbox/view/refunds/"+no, "", 200).Decode(t, &got)
			if d := cmp.Diff(want, listView{Refunds: got.Siblings}.numbers()); d != "" || got.Order != nil {
				t.Errorf("%s: of order %v, siblings (-want +got):\n%s", no, got.Order, d)
			}
		}
	})
}

// One of an earlier run is found by its number, though nobody has told of it, and is listed
// from then on.
func TestALinkFindsWhatTheLedgerAloneHas(t *testing.T) {
	m := merchant{records: map[string]sandbox.MerchantRefund{"R1": {OutRefundNo: "R1", State: "success", Refund: 60, Held: 60, Arrived: 60, Currency: "CNY"}}}
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.MerchantRefunds = m.read })
	if n := view(w, "refunds").Total; n != 0 {
		t.Errorf("before: %d are listed, want none", n)
	}
	var got refundView
	w.Control("GET", "/_sandbox/view/refunds/R1", "", 200).Decode(t, &got)
	if got.Status != "success" || got.WeChat != nil || view(w, "refunds").Total != 1 {
		t.Errorf("got %+v, want the merchant's record, listed", got)
	}
	m.asked = nil
	w.Control("GET", "/_sandbox/view/refunds/R2", "", 404)
	// What cannot be a number is not asked for: a ledger may refuse it, and with it what is
	// read at the same time.
	for _, no := range []string{strings.Repeat("x", 65), "%E9%80%80", "R%202", "R%2F2"} {
		w.Control("GET", "/_sandbox/view/refunds/"+no, "", 404)
	}
	if d := cmp.Diff([]string{"R2"}, m.asked); d != "" {
		t.Errorf("what the merchant was asked for (-want +got):\n%s", d)
	}
}

// The file holds what is chosen and no formulas, and long numbers stay as they are.
func TestTheFileOfRefundsIsForASpreadsheet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := shop(t)
		for i, text := range []string{"=1+1", "+1", "-1", "@A1", "\t=1", "＝1", `a "quoted", one`, "two\nlines"} {
			m.writes(w, sandbox.MerchantRefund{OutRefundNo: fmt.Sprintf("X%d", i), State: "rejected", Refusal: text, Refund: 1, Currency: "CNY", At: time.Now()})
		}
		a := w.Control("GET", "/_sandbox/view/refunds.csv", "", 200)
		if h := a.Header; h.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(h.Get("Content-Disposition"), `attachment; filename="`) {
			t.Errorf("headers %v", h)
		}
		text, ok := strings.CutPrefix(string(a.Body), "\ufeff")
		if !ok || strings.Count(text, "\n") != strings.Count(text, "\r\n") {
			t.Error("no byte order mark, or lines that do not end as RFC 4180 has it")
		}
		records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(records) != 13 {
			t.Fatalf("got %d records and %v, want 13", len(records), err)
		}
		rows := map[string]map[string]string{}
		for _, r := range records[1:] {
			row := map[string]string{}
			for i, name := range records[0] {
				row[name] = r[i]
			}
			rows[row["out_refund_no"]] = row
		}
		for name, want := range map[string]string{
			"refund": "1234.50", "total": "10000.00", "status": "success", "ours_state": "", "wechat_arrived": "1234.50",
			"difference_held": "-1234.50", "transaction_id": "\t4200000000000000000000000001", "at": "2000-01-01T09:00:00.000+08:00", "in_doubt": "false",
		} {
			if got := rows["R2"][name]; got != want {
				t.Errorf("R2's %s: got %q, want %q", name, got, want)
			}
		}
		if r := rows["R3"]; r["refund"] != "500" || rows["R4"]["refund"] != "0.05" || rows["R4"]["in_doubt"] != "true" {
			t.Errorf("yen and fen: got %s and %s, want 500 and 0.05", r["refund"], rows["R4"]["refund"])
		}
		for i, want := range []string{"'=1+1", "'+1", "'-1", "'@A1", "'\t=1", "'＝1", `a "quoted", one`, "two\nlines"} {
			if got := rows[fmt.Sprintf("X%d", i)]["ours_refusal"]; got != want {
				t.Errorf("a text: got %q, want %q", got, want)
			}
		}
		chosen := string(w.Control("GET", "/_sandbox/view/refunds.csv?"+url.Values{"q": {"¥0.60"}}.Encode(), "", 200).Body)
		if strings.Count(chosen, "\r\n") != 2 {
			t.Errorf("the file of what is chosen: got %s, want one refund", chosen)
		}
	})
}

// Above two hundred refunds every figure counts all, and any is found.
func TestFiguresDoNotDependOnWhatIsShown(t *testing.T) {
	const n = 713
	w := sandboxtest.New(t)
	for i := range n {
		no := fmt.Sprintf("%04d", i)
		w.Order("T" + no)
		w.Control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":"T%s","out_refund_no":"R%s","amount":%d}`, no, no, i+1), 200)
	}
	var got stateView
	w.Control("GET", "/_sandbox/state", "", 200).Decode(t, &got)
	want := moneyView{"CNY", n, n * (n + 1) / 2, 0, n * (n + 1) / 2}
	if got.Totals.Refunds != n || got.Totals.Orders != n || got.Totals.Open != n || got.Totals.Money[0] != want {
		t.Errorf("got %+v, want all %d counted", got.Totals, n)
	}
	if first, last := view(w, "refunds").numbers(), view(w, "refunds?offset=712").numbers(); len(first) != 50 || first[0] != "R0712" || last[0] != "R0000" {
		t.Errorf("got %d, the first %s, the last of all %s; want fifty, the newest first", len(first), first[0], last[0])
	}
	w.Control("GET", "/_sandbox/view/refunds/R0000", "", 200)
}

// A change costs what has changed, however much there is.
func TestOnlyWhatHasChangedIsReadAgain(t *testing.T) {
	m := merchant{}
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.MerchantRefunds = m.read })
	var all []sandbox.MerchantRefund
	for i := range 713 {
		all = append(all, sandbox.MerchantRefund{OutRefundNo: fmt.Sprintf("R%d", i), State: "claimed", Refund: 1, Currency: "CNY"})
	}
	m.writes(w, all...)
	if view(w, "refunds"); len(m.asked) != 713 {
		t.Errorf("at first %d were read, want 713", len(m.asked))
	}
	m.asked = nil
	view(w, "refunds")
	all[300].State = "processing"
	m.writes(w, all[300])
	m.writes(w, all[300])
	if got := view(w, "refunds?state=processing").numbers(); len(got) != 1 || got[0] != "R300" {
		t.Errorf("after a change got %v, want R300", got)
	}
	if d := cmp.Diff([]string{"R300"}, m.asked); d != "" {
		t.Errorf("what was read again (-want +got):\n%s", d)
	}
}
