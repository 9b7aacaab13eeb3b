package notify_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/notify"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const mchid, serial = "1900000109", "PUB_KEY_ID_0119000001092026112200000001"

var (
	platformKey = sync.OnceValue(newKey)
	strangerKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// upstream answers queries only.
type upstream struct {
	refund.Channel
	reply refund.Refund
	err   error
	asked int
}

func (u *upstream) Query(context.Context, refund.Lookup) (refund.Page, error) {
	u.asked++
	return refund.Page{Refunds: []refund.Refund{u.reply}}, u.err
}

type fixture struct {
	*notify.Handler
	secret wxpay.APIv3Key
	up     *upstream
}

func setUp(t testing.TB) *fixture {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	secret, err := wxpay.ParseAPIv3Key("0123456789abcdef0123456789ABCDEF")
	if err != nil {
		t.Fatal(err)
	}
	up := &upstream{err: &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	return &fixture{
		Handler: &notify.Handler{
			Refunds: &refund.Service{Ledger: store, Channel: up, Merchant: refund.Merchant{MchID: mchid}, Log: log},
			Keys:    wxpay.NewKeyring(map[string]*rsa.PublicKey{serial: &platformKey().PublicKey}, nil),
			Secret:  secret,
			Log:     log,
		},
		secret: secret, up: up,
	}
}

// A message is one notification in all its parts, each of which a test may change.
type message struct {
	refund       wxpay.RefundNotification
	notification wxpay.Notification
	seal         func(plain []byte) wxpay.Resource
	body         func([]byte) []byte
	key          *rsa.PrivateKey
	at           time.Time
	request      func(*http.Request)
}

// send posts a valid notification with one thing changed.
func (f *fixture) send(t testing.TB, change func(*message)) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, f.written(t, change))
	return w
}

// written is a valid notification with one thing changed.
func (f *fixture) written(t testing.TB, change func(*message)) *http.Request {
	t.Helper()
	m := &message{
		refund: wxpay.RefundNotification{
			MchID: mchid, TransactionID: "1217752501201407033233368018", OutTradeNo: "O1", RefundID: "50000000382019052709732678859",
			OutRefundNo: "R1", RefundStatus: "SUCCESS", SuccessTime: "2026-11-22T10:05:00+08:00", UserReceivedAccount: "招商银行信用卡0403",
			Amount: wxpay.NotificationAmount{Total: 100, Refund: 60, PayerTotal: new(int64(100)), PayerRefund: new(int64(60))},
		},
		notification: wxpay.Notification{
			ID: "EV-2018022511223320873", CreateTime: "2026-11-22T10:05:01+08:00", EventType: "REFUND.SUCCESS", ResourceType: "encrypt-resource", Summary: "退款成功",
		},
		seal: func(plain []byte) wxpay.Resource {
			r, err := f.secret.Seal("refund", "refund", plain)
			if err != nil {
				t.Fatal(err)
			}
			return r
		},
		body: func(b []byte) []byte { return b }, key: platformKey(), at: time.Now(), request: func(*http.Request) {},
	}
	change(m)
	plain, err := json.Marshal(m.refund)
	if err != nil {
		t.Fatal(err)
	}
	m.notification.Resource = m.seal(plain)
	body, err := json.Marshal(m.notification)
	if err != nil {
		t.Fatal(err)
	}
	body = m.body(body)
	r := httptest.NewRequest(http.MethodPost, "/any/path", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	if err := (&wxpay.Platform{Serial: serial, Key: m.key}).Sign(r.Header, body, m.at); err != nil {
		t.Fatal(err)
	}
	m.request(r)
	return r
}

// recorded reports what the ledger holds of R1.
func (f *fixture) recorded(t testing.TB) string {
	t.Helper()
	p, err := f.Refunds.QueryOrder(t.Context(), refund.Caller{Kind: refund.Server}, refund.Lookup{OutTradeNo: "O1"})
	if refund.IsCode(err, refund.CodeNotFound) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(p.Refunds[0].Status)
}

func (*upstream) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (u *upstream) Spec() refund.Spec {
	return refund.Spec{Name: "test", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32}}
}

// C5, C10 and C22: a valid notification is settled once and acknowledged each time,
// over the whole schedule of repeats.
func TestValidNotificationIsSettledAndEveryRepeatAcknowledged(t *testing.T) {
	f := setUp(t)
	for i := range 16 {
		w := f.send(t, func(*message) {})
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("delivery %d: %d %s", i, w.Code, w.Header().Get("Content-Type"))
		}
		if d := cmp.Diff(`{"code":"SUCCESS","message":"成功"}`, w.Body.String()); d != "" {
			t.Fatalf("delivery %d (-want +got):\n%s", i, d)
		}
	}
	if got := f.recorded(t); got != "SUCCESS" {
		t.Errorf("recorded: %s", got)
	}
}

// C1, C3, C7, C8 and C23: a valid notification with one thing changed gets the status
// that says what is wrong with it, and nothing is recorded. All that a signature, an
// envelope or what is sealed can have wrong with it is in package wxpay's tests.
func TestNotificationWithOneThingChangedIsRefused(t *testing.T) {
	other, _ := wxpay.ParseAPIv3Key("another-key-of-thirty-two-bytes!")
	header := func(name, value string) func(*message) {
		return func(m *message) { m.request = func(r *http.Request) { r.Header.Set(name, value) } }
	}
	sealed := func(change func(*wxpay.Resource)) func(*message) {
		return func(m *message) {
			seal := m.seal
			m.seal = func(plain []byte) wxpay.Resource {
				r := seal(plain)
				change(&r)
				return r
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*message)
		status int
	}{
		{"GET", func(m *message) { m.request = func(r *http.Request) { r.Method = http.MethodGet } }, 405},
		{"HEAD", func(m *message) { m.request = func(r *http.Request) { r.Method = http.MethodHead } }, 405},
		{"too large", func(m *message) { m.body = func([]byte) []byte { return make([]byte, 64<<10+1) } }, 413},
		{"too large, no length", func(m *message) {
			m.body = func([]byte) []byte { return make([]byte, 64<<10+1) }
			m.request = func(r *http.Request) { r.ContentLength = -1 }
		}, 413},
		{"endless", func(m *message) {
			m.request = func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(endless{}), -1 }
		}, 413},
		{"breaks off", func(m *message) { m.request = func(r *http.Request) { r.Body = io.NopCloser(failing{}) } }, 400},

		{"no signature", func(m *message) { m.request = func(r *http.Request) { r.Header.Del("Wechatpay-Signature") } }, 401},
		{"signed by a stranger", func(m *message) { m.key = strangerKey() }, 401},
		{"other serial", header("Wechatpay-Serial", "PUB_KEY_ID_X"), 401},
		{"probe", header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/abc"), 401},
		{"old", func(m *message) { m.at = time.Now().Add(-301 * time.Second) }, 401},
		{"changed body", func(m *message) {
			m.request = func(r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(strings.Replace(string(b), "EV-", "EW-", 1)))
			}
		}, 401},

		{"empty body", func(m *message) { m.body = func([]byte) []byte { return nil } }, 400},
		{"no JSON", func(m *message) { m.body = func([]byte) []byte { return []byte("{") } }, 400},
		{"unknown event", func(m *message) { m.notification.EventType = "REFUND.WHATEVER" }, 400},
		{"a payment", func(m *message) { m.notification.EventType = "TRANSACTION.SUCCESS" }, 400},
		{"event and status differ", func(m *message) { m.notification.EventType = "REFUND.CLOSED" }, 400},
		{"sealed with another key", func(m *message) {
			m.seal = func(plain []byte) wxpay.Resource { r, _ := other.Seal("refund", "refund", plain); return r }
		}, 400},
		{"short nonce", sealed(func(r *wxpay.Resource) { r.Nonce = "short" }), 400},
		{"other algorithm", sealed(func(r *wxpay.Resource) { r.Algorithm = "AEAD_SM4_GCM" }), 400},
		{"plain text no JSON", func(m *message) {
			seal := m.seal
			m.seal = func([]byte) wxpay.Resource { return seal([]byte("soon")) }
		}, 400},
		{"no refund number", func(m *message) { m.refund.OutRefundNo = "" }, 400},
		{"no amount", func(m *message) { m.refund.Amount = wxpay.NotificationAmount{} }, 400},

		{"another merchant", func(m *message) { m.refund.MchID = "1900000110" }, 503},
		{"a sub-merchant", func(m *message) { m.refund.SubMchID = "1900000111" }, 400},
		{"a provider's sub-merchant", func(m *message) { m.refund.MchID, m.refund.SpMchID, m.refund.SubMchID = "", mchid, "1900000111" }, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := setUp(t)
			w := f.send(t, c.change)
			if w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			var body struct{ Code, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Code != "FAIL" || body.Message == "" {
				t.Errorf("body %s", w.Body)
			}
			if c.status == 405 && w.Header().Get("Allow") != "POST" {
				t.Error("no Allow header")
			}
			if got := f.recorded(t); got != "-" {
				t.Errorf("recorded: %s", got)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestUnusualNotificationsThatAreValidAreAccepted(t *testing.T) {
	for name, change := range map[string]func(*message){
		"295 seconds old": func(m *message) { m.at = time.Now().Add(-295 * time.Second) },
		"no associated data": func(m *message) {
			m.seal = func(plain []byte) wxpay.Resource {
				k, _ := wxpay.ParseAPIv3Key("0123456789abcdef0123456789ABCDEF")
				r, _ := k.Seal("refund", "", plain)
				return r
			}
		},
		"text/plain":    func(m *message) { m.request = func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") } },
		"unknown field": func(m *message) { m.body = func(b []byte) []byte { return append([]byte(`{"new":1,`), b[1:]...) } },
	} {
		f := setUp(t)
		if w := f.send(t, change); w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if got := f.recorded(t); got != "SUCCESS" {
			t.Errorf("%s: recorded %s", name, got)
		}
	}
}

// C16: each event type stands for one status.
func TestEachEventTypeHasItsStatus(t *testing.T) {
	for event, status := range map[string]string{"REFUND.SUCCESS": "SUCCESS", "REFUND.ABNORMAL": "ABNORMAL", "REFUND.CLOSED": "CLOSED"} {
		f := setUp(t)
		w := f.send(t, func(m *message) { m.notification.EventType, m.refund.RefundStatus = event, status })
		if got := f.recorded(t); w.Code != 200 || got != status {
			t.Errorf("%s: %d, recorded %s", event, w.Code, got)
		}
	}
}

// C14: a notification that contradicts the record is answered 503 until a query has
// said what is true.
func TestContradictionIsQueriedBeforeItIsAcknowledged(t *testing.T) {
	f := setUp(t)
	if w := f.send(t, func(*message) {}); w.Code != 200 {
		t.Fatal(w.Body)
	}
	more := func(m *message) { m.refund.Amount.Refund = 70 }
	if w := f.send(t, more); w.Code != 503 || f.up.asked != 1 {
		t.Errorf("%d after %d queries, want 503 after one", w.Code, f.up.asked)
	}
	f.up.err = nil
	f.up.reply = refund.Refund{OutRefundNo: "R1", OutTradeNo: "O1", Status: refund.StatusSuccess, Amount: refund.Amount{Refund: 60, Total: 100}}
	if w := f.send(t, more); w.Code != 200 || f.up.asked != 2 {
		t.Errorf("%d after %d queries, want 200 after two", w.Code, f.up.asked)
	}
}

// C18: without a durable record there is no SUCCESS.
func TestNothingIsAcknowledgedWhileTheLedgerIsDown(t *testing.T) {
	f := setUp(t)
	f.Refunds.Ledger = down{}
	if w := f.send(t, func(*message) {}); w.Code != 503 {
		t.Errorf("%d, want 503", w.Code)
	}
}

type down struct{ refund.Ledger }

func (down) Get(context.Context, ...refund.Key) ([]refund.Item, error) {
	return nil, errors.New("connection refused")
}

// E9: over a ledger of another merchant's refunds, the public gets a bare 503.
func TestLedgerOfAnotherMerchantIsABare503(t *testing.T) {
	f := setUp(t)
	f.up.err = nil
	others := &refund.Service{Ledger: f.Refunds.Ledger, Channel: f.up, Merchant: refund.Merchant{MchID: "1900000110"}, Log: f.Log}
	if err := others.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"APIv3": f.send(t, func(*message) {}), "v2": f.sendV2(t, func(*notification2) {}),
	} {
		if w.Code != 503 || w.Body.Len() > 0 {
			t.Errorf("%s: %d %s, want a bare 503", name, w.Code, w.Body)
		}
	}
}

// C19: a ledger that hangs does not delay the answer beyond four seconds.
func TestHangingLedgerIsAnsweredWithinFourSeconds(t *testing.T) {
	platformKey() // made outside, since it takes real time
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		f.Refunds.Ledger = hanging{}
		start := time.Now()
		if w := f.send(t, func(*message) {}); w.Code != 503 {
			t.Errorf("%d, want 503", w.Code)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("answered after %v, want at most 4 s", took)
		}
	})
}

type hanging struct{ refund.Ledger }

func (hanging) Get(ctx context.Context, _ ...refund.Key) ([]refund.Item, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// C14: a service provider's address gets the notifications of all its sub-merchants.
// A genuine one about another sub-merchant is refused for good, whatever the number:
// nothing is written, the upstream is not asked, and it is no alarm.
func TestNotificationOfAnotherSubMerchantIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ours, named string
		status      int
	}{
		"ours":             {"1900000111", "1900000111", 200},
		"another's":        {"1900000111", "1900000112", 400},
		"the provider's":   {"1900000111", "", 400},
		"a direct one's":   {"", "", 200},
		"not a direct one": {"", "1900000112", 400},
	} {
		var log strings.Builder
		f := setUp(t)
		f.Log = slog.New(slog.NewTextHandler(&log, nil))
		f.Refunds.Merchant.SubMchID = c.ours
		w := f.send(t, func(m *message) { m.refund.MchID, m.refund.SpMchID, m.refund.SubMchID = "", mchid, c.named })
		if w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
		if refused := c.status == 400; refused && (f.recorded(t) != "-" || f.up.asked > 0 || strings.Count(log.String(), "level=WARN") != 1 || strings.Contains(log.String(), "alarm")) {
			t.Errorf("%s: recorded %s, asked %d times: %s", name, f.recorded(t), f.up.asked, &log)
		}
		w = f.sendV2(t, func(m *notification2) {
			if c.named != "" {
				m.outer["sub_mch_id"] = c.named
			}
		})
		if refused := w.Code == 400; refused != (c.status == 400) {
			t.Errorf("%s, v2: %d %s", name, w.Code, w.Body)
		}
	}
}

// What the payer paid and gets back does not become 0 by a notification without it.
func TestAbsentAmountsAreNotTakenForZero(t *testing.T) {
	amount := func(f *fixture) refund.Amount {
		p, err := f.Refunds.QueryOrder(t.Context(), refund.Caller{Kind: refund.Server}, refund.Lookup{OutTradeNo: "O1"})
		if err != nil {
			t.Fatal(err)
		}
		return p.Refunds[0].Amount
	}
	absent := func(m *message) { m.refund.Amount.PayerTotal, m.refund.Amount.PayerRefund = nil, nil }
	f := setUp(t)
	if w := f.send(t, func(m *message) { m.notification.EventType, m.refund.RefundStatus = "REFUND.ABNORMAL", "ABNORMAL" }); w.Code != 200 {
		t.Fatal(w.Body)
	}
	if w := f.send(t, func(m *message) { m.notification.ID = "EV-2"; absent(m) }); w.Code != 200 {
		t.Fatal(w.Body)
	}
	want := refund.Amount{Total: 100, Refund: 60, PayerTotal: new(int64(100)), PayerRefund: new(int64(60))}
	if d := cmp.Diff(want, amount(f)); d != "" || f.recorded(t) != "SUCCESS" {
		t.Errorf("recorded %s (-want +got):\n%s", f.recorded(t), d)
	}
	f = setUp(t)
	if w := f.send(t, absent); w.Code != 200 {
		t.Fatal(w.Body)
	}
	if d := cmp.Diff(refund.Amount{Total: 100, Refund: 60}, amount(f)); d != "" {
		t.Errorf("of a refund by hand (-want +got):\n%s", d)
	}
}

// A field that decides nothing does not make a notification unreadable; the log has
// its name, and never its value.
func TestUnreadableOptionalFieldsAreLeftOutAndNamedInTheLog(t *testing.T) {
	for name, c := range map[string]struct{ old, new, leftOut string }{
		"a receiver that is a number":     {`"user_received_account":"招商银行信用卡0403"`, `"user_received_account":6222`, "[user_received_account]"},
		"a time that is a number":         {`"success_time":"2026-11-22T10:05:00+08:00"`, `"success_time":20261122100500`, "[success_time]"},
		"a time without separators":       {`"success_time":"2026-11-22T10:05:00+08:00"`, `"success_time":"20261122100500"`, ""},
		"a decimal, and a time":           {`"success_time":"2026-11-22T10:05:00+08:00"`, `"success_time":"soon","amount2":1.5`, "[success_time]"},
		"a payer's amount that is a text": {`"payer_total":100`, `"payer_total":"6222"`, "[amount.payer_total]"},
		"a payer's amount below zero":     {`"payer_total":100`, `"payer_total":-6222`, "[amount.payer_total]"},
		"a summary that is an object":     {`"summary":"退款成功"`, `"summary":{}`, "[summary]"},
	} {
		var log strings.Builder
		f := setUp(t)
		f.Log = slog.New(slog.NewTextHandler(&log, nil))
		w := f.send(t, func(m *message) {
			replace := func(b []byte) []byte { return []byte(strings.Replace(string(b), c.old, c.new, 1)) }
			seal := m.seal
			m.seal, m.body = func(plain []byte) wxpay.Resource { return seal(replace(plain)) }, replace
		})
		if got := f.recorded(t); w.Code != 200 || got != "SUCCESS" {
			t.Errorf("%s: %d %s, recorded %s", name, w.Code, w.Body, got)
		}
		if strings.Contains(log.String(), "left out") != (c.leftOut != "") || c.leftOut != "" && !strings.Contains(log.String(), c.leftOut) || strings.Contains(log.String(), "6222") {
			t.Errorf("%s: the log says %s", name, &log)
		}
	}
}

// C11: the same notification ten times at once has one effect, and each is acknowledged.
func TestSameNotificationTenTimesAtOnceHasOneEffect(t *testing.T) {
	f := setUp(t)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if w := f.send(t, func(*message) {}); w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	items, err := f.Refunds.Ledger.Get(t.Context(), "refund/R1")
	if err != nil {
		t.Fatal(err)
	}
	if items[0].Version != 1 {
		t.Errorf("the refund was written %d times, want once", items[0].Version)
	}
}

// D10: if it is our clock that is wrong, the log of a refused notification says by how much.
func TestLogOfAStaleNotificationSaysHowFarOffTheClockIs(t *testing.T) {
	says := regexp.MustCompile(`reason=stale .*timestamp too far from now: (-?[0-9]+) s`)
	for _, offset := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		f := setUp(t)
		var log bytes.Buffer
		f.Log = slog.New(slog.NewTextHandler(&log, nil))
		if w := f.send(t, func(m *message) { m.at = time.Now().Add(offset) }); w.Code != 401 {
			t.Errorf("%v: %d, want 401", offset, w.Code)
		}
		// Both clocks are read in whole seconds, and time passes between the two.
		age := -offset
		var got time.Duration
		if m := says.FindStringSubmatch(log.String()); m != nil {
			got, _ = time.ParseDuration(m[1] + "s")
		}
		if got < age || got > age+10*time.Second {
			t.Errorf("%v: the log does not say %v: %s", offset, age, log.String())
		}
	}
}

// Whatever is posted, the answer is one of the known ones, and without a
// signature nothing is ever recorded.
func FuzzUnsigned(f *testing.F) {
	f.Add([]byte(`{"id":"EV","event_type":"REFUND.SUCCESS"}`), "1", "n", "s", serial)
	f.Add([]byte(`<xml/>`), "", "", "WECHATPAY/SIGNTEST/", "")
	fx := setUp(f)
	f.Fuzz(func(t *testing.T, body []byte, timestamp, nonce, signature, key string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Header.Set("Wechatpay-Timestamp", timestamp)
		r.Header.Set("Wechatpay-Nonce", nonce)
		r.Header.Set("Wechatpay-Signature", signature)
		r.Header.Set("Wechatpay-Serial", key)
		w := httptest.NewRecorder()
		fx.ServeHTTP(w, r)
		if w.Code < 400 || w.Code == 503 {
			t.Fatalf("status %d", w.Code)
		}
		if got := fx.up.asked; got > 0 {
			t.Fatal("the upstream was asked")
		}
	})
}
