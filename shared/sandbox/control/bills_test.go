package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// The clock of these tests begins at eight in the morning of the first of January 2000 in China.
func TestTheClockGoesToTheNextTimeOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		for _, tc := range []struct{ to, want string }{
			{"12:00", "2000-01-01T12:00:00+08:00"}, {"10:00", "2000-01-02T10:00:00+08:00"}, {"10:00", "2000-01-03T10:00:00+08:00"},
		} {
			if a := w.Control("POST", "/_sandbox/clock", `{"to":"`+tc.to+`"}`, 200); a.Field("now") != tc.want {
				t.Errorf("to %s: %s, want %s", tc.to, a.Body, tc.want)
			}
		}
		for _, body := range []string{`{"to":"25:00"}`, `{"to":"10:00","advance":"1h"}`, `{}`, `{"to":"10 am"}`} {
			w.Control("POST", "/_sandbox/clock", body, 400)
		}
	})
}

func TestADaysBillIsAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		w.Refund("T1", "R1")
		const path = "/_sandbox/view/bill.csv"
		w.Control("GET", path+"?date="+w.Today(0), "", 400)
		day := w.Issued()
		for _, query := range []string{"", "?date=" + day, "?kind=BASIC"} {
			a := w.Control("GET", path+query, "", 200)
			if !strings.HasPrefix(string(a.Body), "\ufeff") || !strings.Contains(string(a.Body), ",`R1") || !strings.Contains(a.Header.Get("Content-Disposition"), day) {
				t.Errorf("%s: %v %s", query, a.Header, a.Body)
			}
		}
		w.Control("GET", path+"?kind=FEES", "", 400)
		w.Control("GET", path+"?date=1999-12-31", "", 400)
	})
}

// What the merchant's side has found is read when a day has ended, and when it has changed.
func TestTheStateSaysHowTheLastDaysBooksStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		state, failure := "unread", error(nil)
		w := sandboxtest.New(t, func(c *sandbox.Config) {
			c.MerchantBills = func(_ context.Context, since, until string) ([]sandbox.MerchantBill, error) {
				asked = append(asked, since+" "+until)
				return []sandbox.MerchantBill{{Date: until, State: state, Refunds: 1, Fen: 60, Ledger: 60}}, failure
			}
		})
		bill := func() any { return w.Control("GET", "/_sandbox/state", "", 200).Field("bill", "state") }
		if got := bill(); got != nil || len(asked) != 0 {
			t.Errorf("on the first day: %v, asked %v, want nothing", got, asked)
		}
		w.Advance("24h")
		if got := bill(); got != "unread" || bill() != "unread" || len(asked) != 1 || asked[0] != "2000-01-01 2000-01-01" {
			t.Errorf("on the next day: %v, asked %v, want once for the first", got, asked)
		}
		state = "agrees"
		w.Sandbox.MerchantBillsChanged()
		if got := bill(); got != "agrees" || len(asked) != 2 {
			t.Errorf("once it has changed: %v, asked %v, want agrees and once more", got, asked)
		}
		failure = errors.New("no disk")
		w.Sandbox.MerchantBillsChanged()
		a := w.Control("GET", "/_sandbox/state", "", 200)
		if why, _ := a.Field("ours_error").(string); !strings.Contains(why, "no disk") || a.Field("bill", "state") != "agrees" {
			t.Errorf("when it cannot be read: %v, want why, and what was known", a.Field("ours_error"))
		}
		failure = nil
		time.Sleep(3 * time.Second)
		if a := w.Control("GET", "/_sandbox/state", "", 200); a.Field("ours_error") != nil {
			t.Errorf("when it can again: %v", a.Field("ours_error"))
		}
		w.Advance("240h")
		if bill(); asked[len(asked)-1] != "2000-01-05 2000-01-11" {
			t.Errorf("asked for %v, want seven days at most", asked[len(asked)-1])
		}
	})
}
