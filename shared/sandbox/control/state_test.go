package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A stateView is what a test reads of a state.
type stateView struct {
	Now        time.Time `json:"now"`
	Hostile    bool      `json:"hostile"`
	Schedule   []int     `json:"schedule"`
	Orders     []orderView
	Refunds    []refundView
	Deliveries []struct {
		ID      string
		State   string
		Repeats int
		Kept    bool
	}
	Older  int
	Faults []struct{ ID string }
	Keys   []struct {
		Kind, Serial string
		From, Until  time.Time
		Newest       bool
	}
	OursError string `json:"ours_error"`
}

type orderView struct {
	OutTradeNo                       string `json:"out_trade_no"`
	OpenID                           string `json:"openid"`
	Total, Refunded, Open, Remaining int
}

type refundView struct {
	OutRefundNo  string `json:"out_refund_no"`
	WeChat, Ours *struct {
		State         string
		Held, Arrived int
	}
	Held     int `json:"difference_held"`
	Arrived  int `json:"difference_arrived"`
	Can      []string
	ByHand   bool `json:"by_hand"`
	Timeline []struct {
		At                        time.Time
		Side, What, Detail, Cause string
		Status                    int
		Reply, Delivery           string
	}
}

// line writes a timeline for comparison.
func (r refundView) line() (out []string) {
	for _, m := range r.Timeline {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintln(m.Side, m.What, m.Detail, m.Cause)), " "))
	}
	return out
}

func state(w *sandboxtest.World) (out stateView) {
	w.T.Helper()
	w.Control("GET", "/_sandbox/state", "", 200).Decode(w.T, &out)
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
		{"", refuse(400, ""), "malformed"},
		{"", refuse(413, ""), "too_large"},
		{"", refuse(503, ""), "unavailable"},
		{"", refuse(302, ""), "status"},
		{"", refuse(200, "OK"), "not_success"},
		{"", refuse(200, `{"code":"FAIL"}`), "not_success"},
		{"", func(int, *http.Request) (*http.Response, error) { return nil, errors.New("no route") }, "no_answer"},
		{"", nil, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.fault, tt.want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sandboxtest.New(t)
				w.Run()
				w.Receiver.Answer = tt.answer
				if tt.fault != "" {
					w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, tt.fault), 200)
				}
				w.Order("T1")
				w.Refund("T1", "R1")
				w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
				line := state(w).Refunds[0].Timeline
				if got := line[len(line)-1]; got.What != "notified" || got.Cause != tt.want {
					t.Errorf("got %+v, want notified with cause %q", got, tt.want)
				}
			})
		})
	}
}

// After a rotation whoever refuses what the new public key signs has not been given it.
func TestStateSaysThatOnlyTheNewKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
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
		if len(before) != 3 || len(after) != 5 {
			t.Fatalf("keys: got %d and %d, want 3 and 5", len(before), len(after))
		}
		for _, k := range after {
			age := state(w).Now.Sub(k.From)
			old := k.Serial == before[0].Serial || k.Serial == before[1].Serial || k.Serial == before[2].Serial
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
		var merchant []sandbox.MerchantRefund
		var failure error
		w := sandboxtest.New(t, func(c *sandbox.Config) {
			c.MerchantRefunds = func(context.Context, int) ([]sandbox.MerchantRefund, error) { return merchant, failure }
		})
		w.Run()
		w.Order("T1")
		claimed := time.Now()
		time.Sleep(time.Second)
		w.Refund("T1", "R1", 60)
		merchant = []sandbox.MerchantRefund{{
			OutRefundNo: "R1", State: "processing", Refund: 60, Held: 60, Currency: "CNY", At: claimed,
			History: []sandbox.MerchantEvent{{At: claimed, What: "claimed", Detail: "server"}, {At: claimed, What: "sent"}, {At: time.Now(), What: "processing", Detail: "reply"}},
		}, {
			OutRefundNo: "R9", State: "claimed", Refund: 5, Held: 5, Currency: "CNY", At: claimed,
		}}
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
		failure, merchant = errors.New("no disk"), nil
		if s := state(w); !strings.Contains(s.OursError, "no disk") || len(s.Refunds) != 1 {
			t.Errorf("without the merchant's records: got %q and %d refunds, want why, and WeChat's own", s.OursError, len(s.Refunds))
		}
	})
}

// A state holds two hundred of each at most, the newest.
func TestStateHoldsTwoHundredOfEachAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T0")
		for i := range 205 {
			w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":"T%d","total":10}`, i+1), 200)
			w.Control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":"T%d","out_refund_no":"R%d","amount":1}`, i+1, i+1), 200)
		}
		s := state(w)
		if len(s.Orders) != 200 || len(s.Refunds) != 200 || s.Older != 5 || s.Orders[0].OutTradeNo != "T205" {
			t.Errorf("got %d orders, %d refunds, %d older, the first %s; want 200, 200, 5, T205", len(s.Orders), len(s.Refunds), s.Older, s.Orders[0].OutTradeNo)
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
		state := string(w.Control("GET", "/_sandbox/state", "", 200).Body)
		var credentials map[string]string
		w.Control("GET", "/_sandbox/credentials", "", 200).Decode(t, &credentials)
		for _, name := range []string{"private_key", "apiv3_key", "api_key", "client_key", "corpsecret", "secret_id", "secret_key", "public_key", "platform_cert"} {
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

// A watcher is a page that reads the stream.
type watcher struct {
	t      *testing.T
	status int
	header http.Header
	lines  *bufio.Reader
	close  func()
}

func watch(t *testing.T, url string, header ...string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/_sandbox/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t, res.StatusCode, res.Header, bufio.NewReader(res.Body), func() { cancel(); res.Body.Close() }}
	t.Cleanup(w.close)
	return w
}

// next reads one event; it ends the test if there is none. What has to wait for the
// heartbeat, every ten seconds, was not sent when it changed.
func (w *watcher) next() (out stateView) {
	w.t.Helper()
	defer func(began time.Time) {
		if took := time.Since(began); took > 8*time.Second {
			w.t.Errorf("a change was sent after %v", took)
		}
	}(time.Now())
	for {
		line, err := w.lines.ReadString('\n')
		if err != nil {
			w.t.Fatalf("the stream broke off: %v", err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &out); err != nil {
				w.t.Fatal(err)
			}
			return out
		}
	}
}

// Whoever watches is sent the state at once and after each change, and is let go
// when the sandbox ends.
func TestWatchersAreSentEachChange(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Speed = 100 })
	w.Receiver.Answer = func(int, *http.Request) (*http.Response, error) {
		time.Sleep(400 * time.Millisecond) // so that the sending is one change and the answer another
		return sandboxtest.Respond(200, ""), nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Sandbox.Run(ctx) }()
	server := httptest.NewServer(w.Sandbox.Control())
	t.Cleanup(server.Close)

	page := watch(t, server.URL)
	if page.status != 200 || page.header.Get("Content-Type") != "text/event-stream; charset=utf-8" || page.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v", page.status, page.header)
	}
	if got := page.next(); len(got.Orders) != 0 {
		t.Errorf("at first: got %d orders, want none", len(got.Orders))
	}
	w.Order("T1")
	if got := page.next(); len(got.Orders) != 1 {
		t.Errorf("after an order: got %d orders, want 1", len(got.Orders))
	}
	w.Refund("T1", "R1")
	if got := page.next(); len(got.Refunds) != 1 || got.Refunds[0].WeChat.State != "PROCESSING" {
		t.Errorf("after a refund: got %+v, want it accepted and not settled yet", got.Refunds)
	}
	for got := page.next(); len(got.Deliveries) != 1 || got.Deliveries[0].State != "delivered"; got = page.next() {
		if len(got.Deliveries) > 1 {
			t.Fatalf("deliveries: got %+v", got.Deliveries)
		}
	}
	time.Sleep(300 * time.Millisecond) // now it waits for event
	w.Sandbox.MerchantChanged()
	page.next()

	time.Sleep(300 * time.Millisecond)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		if _, err := page.lines.ReadString('\n'); err != nil {
			break
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the stream ended %v after the sandbox", took)
	}
}

// Pages are counted, and a place becomes free when one goes.
func TestWatchersAreBounded(t *testing.T) {
	w := sandboxtest.New(t)
	server := httptest.NewServer(w.Sandbox.Control())
	t.Cleanup(server.Close)
	var pages []*watcher
	for range 8 {
		p := watch(t, server.URL)
		p.next()
		pages = append(pages, p)
	}
	if p := watch(t, server.URL); p.status != 503 {
		t.Errorf("the ninth: got %d, want 503", p.status)
	}
	pages[3].close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		p := watch(t, server.URL)
		if p.status == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no place becomes free")
		}
	}
}

// The console shows the pace that holds everywhere.
func TestStateTellsThePace(t *testing.T) {
	for pace, want := range map[time.Duration]float64{time.Minute: 60, 1500 * time.Millisecond: 1.5, -1: 0, 0: 0} {
		if got := sandboxtest.New(t, func(c *sandbox.Config) { c.Pace = pace }).Control("GET", "/_sandbox/state", "", 200).Field("pace"); got != want {
			t.Errorf("pace %v: state tells %v, want %v", pace, got, want)
		}
	}
}
