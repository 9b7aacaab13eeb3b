package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Config is what can be chosen about a sandbox. The zero value is one: it runs
// in real time, is not hostile, and makes keys of its own.
type Config struct {
	// Seed is what all chance comes from, but for keys and nonces.
	Seed int64

	// Hostile makes notifications come twice and out of order now and then.
	Hostile bool

	// Speed is how many virtual seconds pass in a real one. Zero means one.
	Speed float64

	// Pace is the least virtual time between two refunds of one order, on every
	// system; what comes sooner is refused as too frequent. The real ones ask for a
	// minute. Zero: only WeCom insists, on its minute. Negative: nobody does.
	Pace time.Duration

	// NotifyURL is the address that is set on the merchant platform: used when a
	// refund names none, and for refunds made by hand. Empty: that of [URLs].
	NotifyURL string

	// ModuleFailure is the shape in which cloudbase_module says no, of which users
	// have met several: errcode, http, code, passed or inside. Empty: the seed
	// decides for each request, http excepted, which hides the code.
	ModuleFailure string

	// Subscribers gives the environment example functions that are told of refunds.
	Subscribers bool

	// Transport posts notifications. Nil: over the network.
	Transport http.RoundTripper

	// Keys are what GenerateKeys makes. Nil: New generates some.
	Keys *Keys

	// Log is told what happens; it gets no secrets. Nil: nobody is.
	Log *slog.Logger

	// Channel is the upstream system that our side uses, for the console to show.
	Channel string

	// Ours returns the newest refunds of our side, at most so many, for the console
	// to show beside WeChat's. Nil: the console shows WeChat's side alone.
	Ours func(ctx context.Context, most int) ([]OurRefund, error)
}

// URLs are where the parts of the whole program listen.
type URLs struct {
	WeChat    string // WeChat's side, http
	WeChatTLS string // WeChat's side, https with a client certificate
	Notify    string // our side: the address for notifications
	Relay     string // our side: where CloudBase calls the function that is told of refunds
}

// A Sandbox is a WeChat Pay of one merchant. Its methods may be called from
// several goroutines at a time.
type Sandbox struct {
	cfg    Config
	log    *slog.Logger
	keys   *Keys
	dice   dice
	clock  *clock
	client *http.Client
	limits limits

	ended context.Context // ends with Run: nobody waits longer than that
	end   context.CancelFunc

	wake     chan struct{} // Run should look at the agenda again
	landed   chan struct{} // a notification has been answered, or not
	stepping chan struct{} // held by whoever does what is on the agenda
	bell     bell          // rings when there is something new to see
	born     time.Time     // virtual

	mu      sync.Mutex // of all that follows
	urls    URLs
	ring    ring
	public  bool // the merchant works with WeChat Pay's public key
	hostile bool

	byTrade, byTransaction map[string]*order
	orders                 []*order           // in order
	refunds                map[string]*refund // by the merchant's number
	accepted               []*refund          // in order
	deliveries             map[string]*delivery
	notifications          []*delivery // in order
	kept                   []*delivery // those that wait to be overtaken
	tokens                 []token     // WeCom's, the newest first
	faults                 []*fault
	hearings               map[string][]hearing // of each example subscriber
	agenda                 agenda
	flying                 int // notifications on their way

	made, turns, requests, rotations, faultNumber, watchers int // counters
}

// New returns a sandbox in which nothing has happened yet.
func New(cfg Config) (*Sandbox, error) {
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	if !(cfg.Speed > 0 && cfg.Speed <= 1e6) {
		return nil, fmt.Errorf("sandbox: speed %v is not above 0 and at most a million", cfg.Speed)
	}
	if cfg.NotifyURL != "" && !formURL.MatchString(cfg.NotifyURL) {
		return nil, errors.New("sandbox: the notification URL is not an http or https URL without a query")
	}
	if f := cfg.ModuleFailure; f != "" && !slices.Contains(names(moduleFailures, func(f moduleFailure) string { return f.name }), f) {
		return nil, fmt.Errorf("sandbox: %q is not a shape of module failures", f)
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
			DialContext:       (&net.Dialer{Timeout: patience}).DialContext,
			DisableKeepAlives: true, // WeChat Pay closes each connection
		}
	}
	s := &Sandbox{
		cfg: cfg, log: cfg.Log, keys: cfg.Keys, dice: dice(cfg.Seed), clock: newClock(cfg.Speed),
		client: &http.Client{
			Transport: cfg.Transport,
			// A redirect is not an acknowledgement.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake: make(chan struct{}, 1), landed: make(chan struct{}, 1), stepping: make(chan struct{}, 1),
		public: true, hostile: cfg.Hostile,
		byTrade: map[string]*order{}, byTransaction: map[string]*order{},
		refunds: map[string]*refund{}, deliveries: map[string]*delivery{}, hearings: map[string][]hearing{},
	}
	s.born = s.clock.now()
	s.ring = newRing(cfg.Keys, s.born)
	s.ended, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Now is the virtual time.
func (s *Sandbox) Now() time.Time { return s.clock.now() }

// SetURLs tells where everything listens, once that is known. It is needed
// before Settings and Env.
func (s *Sandbox) SetURLs(urls URLs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls = urls
}

// TLSConfig is for the listener that demands the merchant's client certificate.
func (s *Sandbox) TLSConfig() *tls.Config { return s.keys.tls() }

// notifyURL is the address set on the merchant platform. s.mu is held.
func (s *Sandbox) notifyURL() string {
	if s.cfg.NotifyURL != "" {
		return s.cfg.NotifyURL
	}
	return s.urls.Notify
}
