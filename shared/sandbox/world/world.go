package world

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/lock"
	"wxrefund/shared/sandbox/schema"
)

// A Config is what can be chosen about a world. The zero value is one: it runs in
// real time, is not hostile, and makes keys of its own.
type Config struct {
	Seed      int64             // what all chance comes from, but for keys and nonces
	Hostile   bool              // notifications come twice and out of order now and then
	Speed     float64           // virtual seconds in a real one; zero means one
	Pace      time.Duration     // least time between two refunds of one order; zero: a minute; negative: none
	Merchant  string            // which keys of WeChat Pay's it has; empty: [MerchantSwitching]
	NotifyURL string            // set on the merchant platform; empty: that of URLs
	Transport http.RoundTripper // posts notifications; nil: over the network
	Keys      *Keys             // nil: New generates some
	Rotated   func()            // called when there are new keys and before anything is signed with them; nil: nobody is told
	Log       *slog.Logger      // gets what happens, and no secrets; nil: nothing is logged
	Secrets   []string          // of the merchant's side, for the journal to mask
}

// A Vocabulary is what a door brings into the world.
type Vocabulary struct {
	Notifications []NotificationKind
	Codes         []string // error codes that a fault can have it answer with; those of APIv3 are there anyway
}

// URLs are where the parts of the whole program listen.
type URLs struct {
	WeChat    string // WeChat's side, http
	WeChatTLS string // WeChat's side, https
	Notify    string // the merchant's side: the address for notifications
	Relay     string // the merchant's side: where CloudBase calls the function that is notified of refunds
}

// A World is a WeChat Pay of one merchant. Its methods may be called from several
// goroutines at a time.
type World struct {
	Keys *Keys
	Log  *slog.Logger

	cfg    Config
	kinds  map[string]NotificationKind
	codes  []string
	rand   seededRand
	clock  *clock
	client *http.Client
	limits limits

	ended context.Context // ends with Run: nobody waits longer than that
	end   context.CancelFunc

	wake     chan struct{} // Run should look at the tasks again
	finished chan struct{} // a notification has been answered, or not
	stepping lock.Mutex    // held by whoever does the tasks
	rotating sync.Mutex    // held by whoever changes the keys
	changes  broadcaster   // tells that there is something new to see
	journal  journal       // what went over the wire
	born     time.Time     // virtual

	mu      sync.Mutex // of all that follows
	urls    URLs
	keys    keySet
	hostile bool

	byTrade, byTransaction map[string]*order
	orders                 []*order           // in order
	refunds                map[string]*refund // by the merchant's number
	accepted               []*refund          // in order
	deliveries             map[string]*delivery
	notifications          []*delivery // in order
	recent                 Recent[any] // of *order, *refund and *delivery
	heldBack               []*delivery // those that wait to be overtaken
	faults                 []*fault
	tasks                  taskQueue
	inFlight               int // notifications that are being sent

	made, turns, requests, rotations, faultNumber int // counters
}

// New returns a world in which nothing has happened yet.
func New(cfg Config, doors ...Vocabulary) (*World, error) {
	cfg.Speed, cfg.Pace = cmp.Or(cfg.Speed, 1), cmp.Or(cfg.Pace, realPace)
	if !(cfg.Speed > 0 && cfg.Speed <= 1e6) {
		return nil, fmt.Errorf("sandbox: speed %v is not above 0 and at most a million", cfg.Speed)
	}
	if cfg.NotifyURL != "" && !schema.FormURL.MatchString(cfg.NotifyURL) {
		return nil, errors.New("sandbox: the notification URL is not an http or https URL without a query")
	}
	cfg.Merchant = cmp.Or(cfg.Merchant, MerchantSwitching)
	if !slices.Contains(merchants, cfg.Merchant) {
		return nil, errMerchant(cfg.Merchant)
	}
	if cfg.Keys == nil {
		keys, err := GenerateKeys()
		if err != nil {
			return nil, err
		}
		cfg.Keys = keys
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{
			DialContext:       (&net.Dialer{Timeout: answerTime}).DialContext,
			DisableKeepAlives: true, // WeChat Pay closes each connection
		}
	}
	w := &World{
		Keys: cfg.Keys, Log: cfg.Log,
		cfg: cfg, rand: seededRand(cfg.Seed), clock: newClock(cfg.Speed),
		kinds: map[string]NotificationKind{}, codes: slices.Clone(Answerable),
		client: &http.Client{
			Transport: cfg.Transport,
			// A redirect is not an acknowledgement.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake: make(chan struct{}, 1), finished: make(chan struct{}, 1),
		hostile: cfg.Hostile,
		byTrade: map[string]*order{}, byTransaction: map[string]*order{},
		refunds: map[string]*refund{}, deliveries: map[string]*delivery{},
	}
	for _, door := range doors {
		w.codes = append(w.codes, door.Codes...)
		for _, k := range door.Notifications {
			w.kinds[k.Name] = k
		}
	}
	w.born = w.clock.now()
	w.keys = newKeySet(cfg.Keys, cfg.Merchant, w.born)
	w.ended, w.end = context.WithCancel(context.Background())
	return w, nil
}

// Now is the virtual time.
func (w *World) Now() time.Time { return w.clock.now() }

// Born is when the world began: nothing has happened before.
func (w *World) Born() time.Time { return w.born }

// Done is closed when [World.Run] has ended: nobody should wait any longer then.
func (w *World) Done() <-chan struct{} { return w.ended.Done() }

// Pause waits in real time, and tells whether it could: nobody waits once ctx or
// [World.Run] has ended.
func (w *World) Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-w.ended.Done():
	}
	return false
}

// Changed returns what is closed at the next change of anything that can be seen.
func (w *World) Changed() <-chan struct{} { return w.changes.next() }

// Broadcast closes what [World.Changed] has returned. It does not block.
func (w *World) Broadcast() { w.changes.broadcast() }

// Rand draws from the seed for a purpose: for the same purpose and the same things
// that it is about, the same numbers.
func (w *World) Rand(purpose string, about ...any) *rand.Rand { return w.rand.draw(purpose, about...) }

// SetURLs tells where everything listens, once that is known.
func (w *World) SetURLs(urls URLs) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.urls = urls
}

// URLs returns where everything listens; Notify is the address that is set on the
// merchant platform.
func (w *World) URLs() URLs {
	w.mu.Lock()
	defer w.mu.Unlock()
	urls := w.urls
	urls.Notify = w.notifyURL()
	return urls
}

// notifyURL is the address set on the merchant platform. w.mu is held.
func (w *World) notifyURL() string {
	if w.cfg.NotifyURL != "" {
		return w.cfg.NotifyURL
	}
	return w.urls.Notify
}

// SetHostile switches hostility.
func (w *World) SetHostile(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hostile = on
	w.Log.Info("hostility switched", "on", on)
}

// TLSConfig is for a listener that asks for the merchant's client certificate, and leaves
// it to the doors to miss it.
func (w *World) TLSConfig() *tls.Config { return w.Keys.tls() }

// NextRequestID returns the identity of the next request, as Request-ID begins.
func (w *World) NextRequestID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	return w.requestID("request", w.requests)
}

// requestID makes a Request-ID, but for its end: a dash, and the number of the cause.
func (w *World) requestID(about ...any) string {
	return "08" + w.rand.text(48, "0123456789ABCDEF", "Request-Id", about...)
}
