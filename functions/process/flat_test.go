//go:build heavy

package process

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/functions/own"
	"wxrefund/notify"
	"wxrefund/shared/config"
	"wxrefund/shared/metrics"
	ours "wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
	"wxrefund/wxpayfunctions"
)

// traffic is how many refunds there are in the hour.
var traffic = flag.Int("traffic", 1200, "refunds of TestAnHourOfTrafficLeavesNothingBehind")

// What an hour may leave behind, beside what there was after its first tenth.
const (
	moreHeap       = 256 << 10 // bytes that are reachable: 50 for each call would be more
	moreGoroutines = 4         // of the runtime, and a connection to the database
	moreSockets    = 4
	longestWAL     = 32 << 20 // bytes
)

// An hour of a shop that refunds every three seconds, without the waiting: each refund is
// made, asked about, repeated, and notified of twice, and the timer runs once a minute. One
// instance of each function serves all of it, sixteen calls at a time. Then there is no more
// in memory, no more goroutines and no more connections than there were after six minutes.
func TestAnHourOfTrafficLeavesNothingBehind(t *testing.T) {
	for name, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "l.db") },
		"postgres": func(t *testing.T) string { return newDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, url(t))
			warm := *traffic / 10
			s.live(0, warm)
			before := s.measure(nil)
			s.live(warm, *traffic)
			after := s.measure(&before)
			t.Logf("after %d refunds %v, after %d %v", warm, before, *traffic, after)
			for _, bad := range after.beyond(before) {
				t.Error(bad)
			}
			if file, ok := strings.CutPrefix(s.ledger, "sqlite:"); ok {
				wal, err := os.Stat(file + "-wal")
				if err != nil {
					t.Fatal(err)
				}
				if t.Logf("the WAL has %d KiB", wal.Size()>>10); wal.Size() > longestWAL {
					t.Errorf("the WAL has %d bytes, at most %d", wal.Size(), longestWAL)
				}
			}
		})
	}
}

// leftovers are what a process has of its own.
type leftovers struct{ heap, resident, goroutines, sockets int }

func (h leftovers) String() string {
	return fmt.Sprintf("%d KiB are reachable, %d MiB resident, %d goroutines, %d sockets", h.heap>>10, h.resident, h.goroutines, h.sockets)
}

// beyond says what there is more of than before, and than may be.
func (h leftovers) beyond(before leftovers) (bad []string) {
	for _, c := range []struct {
		name              string
		before, now, more int
	}{
		{"bytes reachable", before.heap, h.heap, moreHeap},
		{"MiB resident", before.resident, h.resident, moreResident},
		{"goroutines", before.goroutines, h.goroutines, moreGoroutines},
		{"sockets", before.sockets, h.sockets, moreSockets},
	} {
		if c.now > c.before+c.more {
			bad = append(bad, fmt.Sprintf("%d %s, %d before, at most %d more", c.now, c.name, c.before, c.more))
		}
	}
	return bad
}

// A shop is one instance of each function, and a WeChat Pay that remembers nothing: what
// grows is ours.
type shop struct {
	t          *testing.T
	ledger     string
	dispatcher *wxpayfunctions.Handler
	notify     *notify.Handler
	timer      *ours.Service
	platform   *wxpay.Platform
	wechat     *httptest.Server
}

func newShop(t *testing.T, url string) *shop {
	t.Helper()
	key := func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	text := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	merchants, platforms := key(), key()
	private, err := x509.MarshalPKCS8PrivateKey(merchants)
	privatePEM := text("PRIVATE KEY", private, err)
	public, err := x509.MarshalPKIXPublicKey(&platforms.PublicKey)
	publicPEM := text("PUBLIC KEY", public, err)

	s := &shop{t: t, ledger: url, platform: &wxpay.Platform{Serial: "PUB_KEY_ID_0119000001092026112200000001", Key: platforms}}
	s.wechat = httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.wechat.Close)
	settings := map[string]string{
		"WXPAY_CHANNEL": "apiv3", "WXPAY_MCHID": "1900000109", "WXPAY_SERIAL_NO": "5157F09EFDC096DE15EBE81A47057A72", "WXPAY_PRIVATE_KEY": privatePEM,
		"WXPAY_APIV3_KEY": "0123456789abcdef0123456789ABCDEF", "WXPAY_PUBLIC_KEY_ID": s.platform.Serial, "WXPAY_PUBLIC_KEY": publicPEM,
		"WXPAY_NOTIFY_URL": "https://shop.example/notify", "WXPAY_BASE_URL": s.wechat.URL, "LEDGER_URL": url, "LEDGER_ALLOW_SQLITE": "true",
		"RECONCILE_BILL": "off", "REFUND_PACE": "0s",
	}
	getenv := func(name string) string { return settings[name] }
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	load := func() (*config.System, *metrics.Meter) { // as each main does
		sys, err := own.Load(t.Context(), getenv, log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := sys.Close(); err != nil {
				t.Error(err)
			}
		})
		return sys, metrics.Measure(sys.Refunds)
	}
	sys, meter := load()
	s.dispatcher = wxpayfunctions.New(sys.Refunds, log)
	s.dispatcher.Replied = meter.Replies()
	sys, meter = load()
	s.notify = &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: log,
		Answered: meter.Notifications(notify.Outcomes(), notify.Reasons())}
	sys, _ = load()
	s.timer = sys.Refunds
	return s
}

// live makes the refunds from one to another.
func (s *shop) live(from, to int) {
	s.t.Helper()
	var next atomic.Int64
	next.Store(int64(from))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(to) && !s.t.Failed(); i = next.Add(1) - 1 {
				s.refund(int(i))
			}
		})
	}
	all.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// refund makes one, and all that comes of it.
func (s *shop) refund(i int) {
	no := fmt.Sprintf("R%08d", i)
	event := fmt.Sprintf(`{"type":"wxpay_refund","out_refund_no":%q,"out_trade_no":"O%s","amount":{"refund":60,"total":100,"currency":"CNY"}}`, no, no)
	for _, event := range []string{event, QueryEvent("out_refund_no", no), event} {
		var reply Reply
		answer := s.dispatcher.Invoke(s.t.Context(), ours.Caller{Kind: ours.Server}, []byte(event))
		if err := json.Unmarshal(answer, &reply); err != nil || reply.Code != 0 {
			s.t.Errorf("%s: got %s (%v)", event, answer, err)
		}
	}
	for range 2 {
		w := httptest.NewRecorder()
		if s.notify.ServeHTTP(w, s.notification(no)); w.Code != http.StatusOK {
			s.t.Errorf("the notification about %s: got %d %s", no, w.Code, w.Body)
		}
	}
	if i%(*traffic/60) == 0 { // a minute
		s.timer.HandleTimer(s.t.Context(), ours.Caller{Kind: ours.Server}, nil)
	}
}

// answer is WeChat Pay's to anything: the refund of that number is processing.
func (s *shop) answer(w http.ResponseWriter, r *http.Request) {
	no := path.Base(r.URL.Path)
	if r.Method == http.MethodPost {
		var asked struct {
			OutRefundNo string `json:"out_refund_no"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			s.t.Error(err)
		}
		no = asked.OutRefundNo
	}
	body := fmt.Appendf(nil, `{"refund_id":"5030%s","out_refund_no":%[1]q,"transaction_id":"4200O%[1]s","out_trade_no":"O%[1]s","channel":"ORIGINAL",`+
		`"user_received_account":"招商银行信用卡0403","create_time":"2026-11-22T10:00:00+08:00","status":"PROCESSING","funds_account":"AVAILABLE",`+
		`"amount":{"total":100,"refund":60,"payer_total":100,"payer_refund":60,"settlement_refund":60,"settlement_total":100,"discount_refund":0,"currency":"CNY"}}`, no)
	if err := s.platform.Sign(w.Header(), body, time.Now()); err != nil {
		s.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// notification is WeChat Pay's about a success.
func (s *shop) notification(no string) *http.Request {
	plain := fmt.Appendf(nil, `{"mchid":"1900000109","transaction_id":"4200O%s","out_trade_no":"O%[1]s","refund_id":"5030%[1]s","out_refund_no":%[1]q,`+
		`"refund_status":"SUCCESS","success_time":"2026-11-22T10:05:00+08:00","user_received_account":"招商银行信用卡0403",`+
		`"amount":{"total":100,"refund":60,"payer_total":100,"payer_refund":60}}`, no)
	resource, err := s.notify.Secret.Seal("refund", "refund", plain)
	if err != nil {
		s.t.Error(err)
	}
	body, err := json.Marshal(wxpay.Notification{
		ID: "EV-" + no, CreateTime: "2026-11-22T10:05:01+08:00", EventType: "REFUND.SUCCESS", ResourceType: "encrypt-resource",
		Summary: "退款成功", Resource: resource,
	})
	if err != nil {
		s.t.Error(err)
	}
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
	if err := s.platform.Sign(r.Header, body, time.Now()); err != nil {
		s.t.Error(err)
	}
	return r
}

// measure waits until what has ended is gone, for ten seconds at most, and less if there is
// nothing more than before.
func (s *shop) measure(before *leftovers) (h leftovers) {
	s.t.Helper()
	s.wechat.CloseClientConnections() // how many there are follows from how many called at once, by luck
	for range 50 {
		time.Sleep(200 * time.Millisecond)
		debug.FreeOSMemory() // collects twice, so that pools are empty
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		was := h
		h = leftovers{int(m.HeapAlloc), resident(s.t, os.Getpid()), runtime.NumGoroutine(), sockets(s.t)}
		if before != nil && len(h.beyond(*before)) == 0 || before == nil && was.goroutines == h.goroutines && was.sockets == h.sockets {
			return h
		}
	}
	return h
}

// sockets are those that this process has open.
func sockets(t *testing.T) (n int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
