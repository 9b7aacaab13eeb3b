package control_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A stateView is what a test reads of a state, and of the lists beside it.
type stateView struct {
	Now      time.Time `json:"now"`
	Hostile  bool      `json:"hostile"`
	Schedule []int     `json:"schedule"`
	Faults   []struct{ ID string }
	Keys     []struct {
		Kind, Serial string
		From, Until  time.Time
		Newest       bool
	}
	OursError string     `json:"ours_error"`
	Totals    totalsView `json:"totals"`
	Next      *nextView  `json:"next_delivery"`

	Orders     []orderView    `json:"-"`
	Refunds    []refundView   `json:"-"`
	Deliveries []deliveryView `json:"-"`
}

type totalsView struct {
	Refunds, Orders, Notifications, Open, Undelivered, Owed int

	InDoubt            int            `json:"in_doubt"`
	States             map[string]int `json:"states"`
	NotificationStates map[string]int `json:"notification_states"`
	Money              []moneyView    `json:"money"`
}

type nextView struct {
	At time.Time
	ID string
}

type moneyView struct {
	Currency                           string
	Refunds, Held, Arrived, Difference int
}

type deliveryView struct {
	ID, State string
	Repeats   int
	Kept      bool
}

type orderView struct {
	OutTradeNo                       string `json:"out_trade_no"`
	OpenID                           string `json:"openid"`
	Total, Refunded, Open, Remaining int
}

type refundView struct {
	OutRefundNo  string `json:"out_refund_no"`
	RefundID     string `json:"refund_id"`
	Status       string
	InDoubt      bool `json:"in_doubt"`
	Undelivered  bool
	Owed         bool
	WeChat, Ours *struct {
		State         string
		Held, Arrived int
	}
	Held     int `json:"difference_held"`
	Arrived  int `json:"difference_arrived"`
	Can      []string
	ByHand   bool `json:"by_hand"`
	Event    json.RawMessage
	Order    *orderView
	Siblings []refundView
	Notices  []deliveryView `json:"deliveries"`
	Timeline []struct {
		At                        time.Time
		Side, What, Detail, Cause string
		Status                    int
		Reply, Delivery           string
		Rightly                   bool
	}
}

// line writes a timeline for comparison.
func (r refundView) line() (out []string) {
	for _, m := range r.Timeline {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintln(m.Side, m.What, m.Detail, m.Cause)), " "))
	}
	return out
}

// state reads the state and all that there is in the lists.
func state(w *sandboxtest.World) (out stateView) {
	w.T.Helper()
	w.Control("GET", "/_sandbox/state", "", 200).Decode(w.T, &out)
	out.Refunds, out.Orders, out.Deliveries = view(w, "refunds").Refunds, view(w, "orders").Orders, view(w, "notifications").Deliveries
	for i, r := range out.Refunds {
		out.Refunds[i] = refundView{}
		w.Control("GET", "/_sandbox/view/refunds/"+url.PathEscape(r.OutRefundNo), "", 200).Decode(w.T, &out.Refunds[i])
	}
	return out
}

// A listView is what a test reads of a list.
type listView struct {
	Total, Offset int
	Refunds       []refundView
	Orders        []orderView
	Deliveries    []deliveryView
}

// numbers are those of the refunds, in their order.
func (v listView) numbers() (out []string) {
	for _, r := range v.Refunds {
		out = append(out, r.OutRefundNo)
	}
	return out
}

// view reads a list.
func view(w *sandboxtest.World, path string) (out listView) {
	w.T.Helper()
	w.Control("GET", "/_sandbox/view/"+path, "", 200).Decode(w.T, &out)
	return out
}

// One refund of each end, and what the order and the timeline say of it.
func TestStateTellsEachRefundsTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Run()
		w.Order("T1")
		w.Refund("T1", "R1", 2500)
		got := state(w)
		if d := cmp.Diff([]orderView{{OutTradeNo: "T1", OpenID: got.Orders[0].OpenID, Total: 10000, Open: 2500, Remaining: 7500}}, got.Orders); d != "" {
			t.Errorf("accepted (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]string{"SUCCESS", "CLOSED", "ABNORMAL"}, got.Refunds[0].Can); d != "" {
			t.Errorf("what it can become (-want +got):\n%s", d)
		}
		w.Advance("10m")
		w.Refund("T1", "R2", 100)
		w.Control("POST", "/_sandbox/refunds/R2/settle", `{"status":"ABNORMAL"}`, 200)
		time.Sleep(time.Second)
		w.Control("POST", "/_sandbox/refunds/R2/settle", `{"status":"CLOSED"}`, 200)
		w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R3","amount":7}`, 200)
		got = state(w)
		if o := got.Orders[0]; o.Refunded != 2500 || o.Open != 7 || o.Remaining != 7493 {
			t.Errorf("order: got %+v, want 2500 refunded, 7 open, 7493 left", o)
		}
		want := map[string][]string{
			"R1": {"wechat accepted", "wechat settled SUCCESS", "wechat notified REFUND.SUCCESS"},
			"R2": {"wechat accepted", "wechat settled ABNORMAL", "wechat notified REFUND.ABNORMAL", "wechat settled CLOSED", "wechat notified REFUND.CLOSED"},
			"R3": {"wechat by_hand"},
		}
		for _, r := range got.Refunds {
			if d := cmp.Diff(want[r.OutRefundNo], r.line()); d != "" {
				t.Errorf("timeline of %s (-want +got):\n%s", r.OutRefundNo, d)
			}
		}
		if len(got.Refunds) != 3 || got.Refunds[0].OutRefundNo != "R3" || !got.Refunds[0].ByHand {
			t.Errorf("refunds: got %+v, want three, the newest first and made by hand", got.Refunds)
		}
		for _, r := range got.Refunds {
			for _, l := range r.Timeline {
				if notified := l.What == "notified"; notified != strings.Contains(l.Reply, "SUCCESS") || notified != (l.Delivery != "") || notified != (l.Status == 200) {
					t.Errorf("%s: line %+v, want the answer in what was notified and nowhere else", r.OutRefundNo, l)
				}
			}
		}
		if len(got.Schedule) != 15 {
			t.Errorf("schedule: got %v, want 15 steps", got.Schedule)
		}
	})
}

// Why a notification was refused is said in a word.
func TestStateSaysWhyANotificationWasRefused(t *testing.T) {
	refuse := func(status int, body string) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) { return sandboxtest.Respond(status, body), nil }
	}
	tests := []struct {
		fault  string
		answer func(int, *http.Request) (*http.Response, error)
		want   string
	}{
		{"wrong_serial", refuse(401, ""), "unknown_serial"},
		{"stale", refuse(401, ""), "stale"},
		{"tamper", refuse(401, ""), "body_changed"},
		{"signtest", refuse(401, ""), "probe"},
		{"tamper", refuse(400, ""), "body_changed"},
		{"tamper", refuse(503, ""), "unavailable"},
		{"tamper", nil, "believed"},
		{"", refuse(401, ""), "not_verified"},
		{"", refuse(401, ""), "either_key"},
		{"", refuse(400, ""), "malformed"},
		{"", refuse(413, ""), "too_large"},
		{"", refuse(503, ""), "unavailable"},
		{"", refuse(302, ""), "status"},
		{"", refuse(200, "OK"), "not_success"},
		{"", refuse(200, `{"code":"FAIL"}`), "not_success"},
		{"", func(int, *http.Request) (*http.Response, error) { return nil, errors.New("no route") }, "no_answer"},
		{"", nil, ""},
	}
	rightly := []string{"unknown_serial", "stale", "body_changed", "probe"}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.fault, tt.want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sandboxtest.New(t, func(c *sandbox.Config) {
					if tt.want == "not_verified" { // while a merchant switches, that is no explanation
						c.Merchant = "certificate"
					}
				})
				w.Run()
				w.Receiver.Answer = tt.answer
				if tt.fault != "" {
					w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, tt.fault), 200)
				}
				w.Order("T1")
				w.Refund("T1", "R1")
				w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
				line := state(w).Refunds[0].Timeline
				if got := line[len(line)-1]; got.What != "notified" || got.Cause != tt.want || got.Rightly != slices.Contains(rightly, tt.want) {
					t.Errorf("got %+v, want notified with cause %q, rightly: %t", got, tt.want, slices.Contains(rightly, tt.want))
				}
			})
		})
	}
}

// After a rotation whoever refuses what the new public key signs has not been given it.
func TestStateSaysThatOnlyTheNewKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = "public-key" })
		w.Run()
		first := w.Settings["WXPAY_PUBLIC_KEY_ID"]
		w.Receiver.Answer = func(_ int, r *http.Request) (*http.Response, error) {
			if r.Header.Get("Wechatpay-Serial") != first {
				return sandboxtest.Respond(401, `{"code":"FAIL","message":"unknown"}`), nil
			}
			return sandboxtest.Respond(200, ""), nil
		}
		before := state(w).Keys
		time.Sleep(time.Hour)
		w.Control("POST", "/_sandbox/keys/rotate", "", 200)
		after := state(w).Keys
		if len(before) != 2 || len(after) != 3 {
			t.Fatalf("keys: got %d and %d, want 2 and 3", len(before), len(after))
		}
		for _, k := range after {
			age := state(w).Now.Sub(k.From)
			old := k.Serial == before[0].Serial || k.Serial == before[1].Serial
			if old != (age >= time.Hour) || k.Kind != "merchant" && k.Newest == old {
				t.Errorf("key %+v: age %v, from before the rotation: %v", k, age, old)
			}
			if k.Kind != "merchant" && old && k.Until.Sub(state(w).Now) > 7*24*time.Hour {
				t.Errorf("key %+v: still valid for more than a week", k)
			}
		}
		seen := map[string]bool{}
		for i := range 20 {
			no := fmt.Sprintf("R%d", i)
			w.Order("T" + no)
			w.Refund("T"+no, no)
			w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, 200)
			line := state(w).Refunds[0].Timeline
			seen[line[2].Cause] = true
		}
		if d := cmp.Diff(map[string]bool{"": true, "new_key": true}, seen); d != "" {
			t.Errorf("causes over twenty notifications (-want +got):\n%s", d)
		}
	})
}

// The merchant's records are laid beside WeChat's, and the difference is in fen.
func TestStateTellsInFenHowOurRecordsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := merchant{}
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.MerchantRefunds = m.read })
		w.Run()
		w.Order("T1")
		claimed := time.Now()
		time.Sleep(time.Second)
		w.Refund("T1", "R1", 60)
		m.writes(w, sandbox.MerchantRefund{
			OutRefundNo: "R1", State: "processing", Refund: 60, Held: 60, Currency: "CNY", At: claimed,
			History: []sandbox.MerchantEvent{{At: claimed, What: "claimed", Detail: "server"}, {At: claimed, What: "sent"}, {At: time.Now(), What: "processing", Detail: "reply"}},
		}, sandbox.MerchantRefund{
			OutRefundNo: "R9", State: "claimed", Refund: 5, Held: 5, Currency: "CNY", At: claimed,
		})
		by := func() map[string]refundView {
			out := map[string]refundView{}
			for _, r := range state(w).Refunds {
				out[r.OutRefundNo] = r
			}
			return out
		}
		got := by()
		if d := cmp.Diff([]string{"ours claimed server", "ours sent", "wechat accepted", "ours processing reply"}, got["R1"].line()); d != "" {
			t.Errorf("timeline (-want +got):\n%s", d)
		}
		if r := got["R1"]; r.Held != 0 || r.Arrived != 0 {
			t.Errorf("R1: got differences %d and %d, want none", r.Held, r.Arrived)
		}
		if r := got["R9"]; r.WeChat != nil || r.Held != 5 || r.Arrived != 0 {
			t.Errorf("R9, which WeChat does not have: got %+v, want 5 fen too much", r)
		}
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
		if r := by()["R1"]; r.Held != 0 || r.Arrived != -60 {
			t.Errorf("R1, of whose arrival the merchant does not know: got %d and %d, want 0 and -60", r.Held, r.Arrived)
		}
		if d := cmp.Diff([]moneyView{{"CNY", 2, 65, 0, 65}}, state(w).Totals.Money); d != "" {
			t.Errorf("money (-want +got):\n%s", d)
		}
		m.failure = errors.New("no disk")
		w.Sandbox.MerchantChanged("R1")
		if s := state(w); !strings.Contains(s.OursError, "no disk") || len(s.Refunds) != 2 {
			t.Errorf("without the merchant's records: got %q and %d refunds, want why, and what was known", s.OursError, len(s.Refunds))
		}
		m.failure = nil
		m.writes(w, sandbox.MerchantRefund{OutRefundNo: "R1", State: "success", Refund: 60, Held: 60, Arrived: 60, Currency: "CNY", At: claimed})
		if s := state(w); s.OursError != "" || s.Totals.Money[0].Difference != 5 {
			t.Errorf("with them again: got %q and a difference of %d, want 5", s.OursError, s.Totals.Money[0].Difference)
		}
	})
}

// Neither keys nor whole openids are in a state; the keys are where they are asked for.
func TestStateHoldsNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Run()
		w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T1","total":10000,"openid":"oCanary0123456789"}`, 200)
		w.Refund("T1", "R1")
		w.Advance("10m")
		w.Control("POST", "/_sandbox/keys/rotate", "", 200)
		state := ""
		for _, path := range []string{"state", "view/refunds", "view/refunds/R1", "view/refunds.csv", "view/orders", "view/orders/T1", "view/notifications"} {
			state += string(w.Control("GET", "/_sandbox/"+path, "", 200).Body)
		}
		var credentials map[string]string
		w.Control("GET", "/_sandbox/credentials", "", 200).Decode(t, &credentials)
		for _, name := range []string{"private_key", "apiv3_key", "api_key", "client_key", "corpsecret", "secret_id", "secret_key", "cloudbase_apikey", "public_key", "platform_cert"} {
			for _, line := range strings.Split(credentials[name], "\n") {
				if len(line) > 8 && !strings.HasPrefix(line, "-----") && strings.Contains(state, line) {
					t.Errorf("the state holds %s", name)
				}
			}
			if credentials[name] == "" {
				t.Errorf("no %s where it is asked for", name)
			}
		}
		if strings.Contains(state, "oCanary") || !strings.Contains(state, "oC****89") {
			t.Error("the openid is not masked")
		}
	})
}

func TestHostilityCanBeSwitched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Run()
		sends := func(no string) int {
			w.Order("T" + no)
			w.Refund("T"+no, no)
			w.Advance("1h")
			for _, d := range w.Deliveries() {
				if d.OutRefundNo == no {
					return len(d.Attempts)
				}
			}
			return 0
		}
		if got := sends("R1"); got != 1 || state(w).Hostile {
			t.Errorf("before: %d sends, want 1", got)
		}
		w.Control("POST", "/_sandbox/hostile", `{"on":true}`, 200)
		if got := sends("R2"); got != 2 || !state(w).Hostile {
			t.Errorf("hostile: %d sends, want 2", got)
		}
		w.Control("POST", "/_sandbox/hostile", `{"on":false}`, 200)
		if got := sends("R3"); got != 1 || state(w).Hostile {
			t.Errorf("after: %d sends, want 1", got)
		}
		for _, bad := range []string{``, `{}`, `{"on":"yes"}`, `{"on":1}`, `{"on":true,"off":true}`} {
			w.Control("POST", "/_sandbox/hostile", bad, 400)
		}
	})
}

// The console shows the pace that holds everywhere.
func TestStateTellsThePace(t *testing.T) {
	for pace, want := range map[time.Duration]float64{time.Minute: 60, 1500 * time.Millisecond: 1.5, -1: 0, 0: 60} {
		if got := sandboxtest.New(t, func(c *sandbox.Config) { c.Pace = pace }).Control("GET", "/_sandbox/state", "", 200).Field("pace"); got != want {
			t.Errorf("pace %v: state tells %v, want %v", pace, got, want)
		}
	}
}
