package control_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

func TestExchangesArePagedNewestFirst(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	for i := range 3 {
		w.Refund("T1", fmt.Sprintf("R%d", i))
	}
	w.Apply("T2", "R3", 1) // refused: there is no such order
	w.Control("POST", "/_sandbox/refunds/R0/settle", `{"status":"SUCCESS"}`, 200)
	for query, want := range map[string]string{
		"":                           "5: notification/R0 call/R3 call/R2 call/R1 call/R0",
		"?limit=2":                   "5: notification/R0 call/R3",
		"?limit=2&offset=3":          "5: call/R1 call/R0",
		"?offset=9":                  "5:",
		"?kind=call&refused=true":    "1: call/R3",
		"?refused=false&kind=call":   "3: call/R2 call/R1 call/R0",
		"?kind=call,function":        "4: call/R3 call/R2 call/R1 call/R0",
		"?refund=R0":                 "2: notification/R0 call/R0",
		"?refund=R3":                 "1: call/R3",
		"?refund=R":                  "0:",
		"?kind=function":             "0:",
		"?kind=notification&limit=1": "1: notification/R0",
	} {
		var page struct {
			Total     int
			Exchanges []struct {
				Kind        string
				OutRefundNo string `json:"out_refund_no"`
			}
		}
		w.Control("GET", "/_sandbox/view/exchanges"+query, "", 200).Decode(t, &page)
		got := fmt.Sprintf("%d:", page.Total)
		for _, x := range page.Exchanges {
			got += " " + x.Kind + "/" + x.OutRefundNo
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

// A refund's page has its exchanges, also one that WeChat Pay has refused, and the state counts them.
func TestARefundIsShownWithItsExchanges(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) {
		c.MerchantRefunds = func(_ context.Context, numbers ...string) (out []sandbox.MerchantRefund, err error) {
			for _, no := range numbers {
				if no == "R2" {
					out = append(out, sandbox.MerchantRefund{OutRefundNo: no, OutTradeNo: "T2", State: "rejected", At: time.Now()})
				}
			}
			return out, nil
		}
	})
	w.Order("T1")
	w.Refund("T1", "R1")
	w.Apply("T2", "R2", 1)
	for i := range 60 {
		w.Call("GET", sandboxtest.RefundsPath+"/R1?sub_mchid="+fmt.Sprint(i), "")
	}
	w.Sandbox.MerchantChanged("R2")
	for no, want := range map[string]int{"R1": 50, "R2": 1} {
		var refund struct {
			Exchanges []struct {
				ID          string
				OutRefundNo string `json:"out_refund_no"`
			}
		}
		w.Control("GET", "/_sandbox/view/refunds/"+no, "", 200).Decode(t, &refund)
		if len(refund.Exchanges) != want || refund.Exchanges[0].OutRefundNo != no || no == "R1" && refund.Exchanges[0].ID != "x62" {
			t.Errorf("%s: got %+v, want its newest %d", no, refund.Exchanges, want)
		}
	}
	if got := w.Control("GET", "/_sandbox/state", "", 200).Field("exchanges"); got != 62.0 {
		t.Errorf("the state counts %v exchanges, want 62", got)
	}
}

// A day shows by the hour what WeChat Pay has accepted and settled, and what of the merchant's was
// claimed then and is of unknown outcome now.
func TestTheDaysChart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at eight in the morning in China, and no hour strikes
		var claimed time.Time
		w := sandboxtest.New(t, func(c *sandbox.Config) {
			c.MerchantRefunds = func(context.Context, ...string) ([]sandbox.MerchantRefund, error) {
				return []sandbox.MerchantRefund{{OutRefundNo: "D1", State: "claimed", At: claimed, InDoubt: true}, {OutRefundNo: "D2", State: "claimed", At: claimed}}, nil
			}
		})
		w.Order("T1")
		w.Refund("T1", "R1")
		w.Refund("T1", "R2")
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
		claimed = w.Sandbox.Now()
		w.Sandbox.MerchantChanged("D1", "D2")
		type hour struct {
			Hour, Accepted, Settled int
			InDoubt                 int `json:"in_doubt"`
		}
		var day struct {
			Date  string
			Hours []hour
		}
		w.Control("GET", "/_sandbox/view/day?date="+claimed.Format(time.DateOnly), "", 200).Decode(t, &day)
		if len(day.Hours) != 24 || day.Date != claimed.Format(time.DateOnly) {
			t.Fatalf("got %+v, want 24 hours of the day", day)
		}
		var sum hour
		for i, h := range day.Hours {
			if h.Hour != i {
				t.Errorf("hour %d stands at %d", h.Hour, i)
			}
			sum.Accepted, sum.Settled, sum.InDoubt = sum.Accepted+h.Accepted, sum.Settled+h.Settled, sum.InDoubt+h.InDoubt
		}
		if sum != (hour{Accepted: 2, Settled: 1, InDoubt: 1}) || day.Hours[8].InDoubt != 1 || day.Hours[8].Accepted != 2 {
			t.Errorf("got %+v, want two accepted, one settled and one in doubt", day.Hours)
		}
		w.Control("GET", "/_sandbox/view/day?date=2001-01-01", "", 200).Decode(t, &day)
		for _, h := range day.Hours {
			if h.Accepted+h.Settled+h.InDoubt != 0 {
				t.Errorf("another day: got %+v, want nothing", h)
			}
		}
	})
}
