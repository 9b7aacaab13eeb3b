package sandbox

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"wxrefund/shared/sandbox/apiv3"
	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/cloudbase"
	"wxrefund/shared/sandbox/console"
	"wxrefund/shared/sandbox/control"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/v2"
	"wxrefund/shared/sandbox/wecom"
	"wxrefund/shared/sandbox/world"
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
	// system; what comes sooner is refused as too frequent. Zero: a minute, as at the
	// real ones. Negative: none.
	Pace time.Duration

	// Merchant is the merchant's kind, by the keys of WeChat Pay that it has: certificate
	// (the platform certificates alone), public-key (the public key alone), or switching
	// (both, on the way from the one to the other). Empty: switching.
	Merchant string

	// NotifyURL is the address that is set on the merchant platform: used when a
	// refund names none, and for refunds made by hand. Empty: that of [URLs].
	NotifyURL string

	// ModuleFailure is the shape in which cloudbase_module says no, of which users
	// have met several: errcode, http, code, passed or inside. Empty: the seed
	// decides for each request, http excepted, which hides the code.
	ModuleFailure string

	// Subscribers gives the environment example functions that are notified of refunds.
	Subscribers bool

	// Transport posts notifications. Nil: over the network.
	Transport http.RoundTripper

	// Keys are what GenerateKeys makes. Nil: New generates some.
	Keys *Keys

	// KeysRotated is called when WeChat Pay has new keys, which [Sandbox.Settings] then
	// holds, and before anything is signed with them. Nil: nobody is told.
	KeysRotated func()

	// Log gets what happens, and no secrets. Nil: nothing is logged.
	Log *slog.Logger

	// Variables are more environment variables for a function of the merchant's, beside
	// those of its channel: for [Sandbox.Settings] and [Sandbox.Env].
	Variables map[string]string

	// Channel is the upstream system that the merchant uses, for the console to show.
	Channel string

	// MerchantRefunds reads what the merchant has on record, for the console to show
	// beside what WeChat has. Which numbers to read [Sandbox.MerchantChanged] tells. Nil: it
	// shows WeChat's alone.
	MerchantRefunds MerchantRefunds

	// MerchantBills reads what the merchant has found of WeChat Pay's daily bills, for the
	// console to show. When to read it again [Sandbox.MerchantBillsChanged] tells. Nil: the
	// console says nothing of bills.
	MerchantBills MerchantBills

	// Callers are whom the console plays: a buyer, and who decides about applications.
	Callers Callers

	// NoTimer says that nobody runs the timer of the merchant's side, for the console to show.
	NoTimer bool
}

// Keys are the secrets of one sandbox and of the merchant in it. They exist in
// memory only, and tests may share one set.
type Keys = world.Keys

// GenerateKeys makes a set of keys, which takes a second or so.
func GenerateKeys() (*Keys, error) { return world.GenerateKeys() }

// KeysOf makes a set around RSA keys that a test has: see [world.KeysOf].
func KeysOf(merchant, platform, public *rsa.PrivateKey, sign func(*rsa.PrivateKey) crypto.Signer) (*Keys, error) {
	return world.KeysOf(merchant, platform, public, sign)
}

// URLs are where the parts of the whole program listen.
type URLs struct {
	WeChat    string // WeChat's side, http
	WeChatTLS string // WeChat's side, https
	Notify    string // the merchant's side: the address for notifications
	Relay     string // the merchant's side: where CloudBase calls the function that is notified of refunds
}

// A Function is one of the merchant's own, which CloudBase's environment has, and a Call is
// an invocation of it.
type (
	Function = cloudbase.Function
	Call     = cloudbase.Call
)

// A MerchantRefund is what the merchant's side, the one that is being developed, has on
// record of a refund; a MerchantEvent is a line of its history, and MerchantRefunds reads
// the former by their numbers.
type (
	MerchantRefund  = control.MerchantRefund
	MerchantEvent   = control.MerchantEvent
	MerchantRefunds = control.MerchantRefunds
)

// A MerchantBill is what the merchant's side has found of one day's bill, and MerchantBills
// reads those of the days from one to another.
type (
	MerchantBill  = control.MerchantBill
	MerchantBills = control.MerchantBills
)

// Callers are openids of users of the mini-program.
type Callers = control.Callers

// An Exchange is a request and its answer, as the journal keeps them, and a Check one
// thing that was looked at.
type (
	Exchange = world.Exchange
	Check    = world.Check
)

// A Sandbox is a WeChat Pay of one merchant. Its methods may be called from
// several goroutines at a time.
type Sandbox struct {
	variables map[string]string

	world     *world.World
	apiv3     *apiv3.Door
	v2        *v2.Door
	cloudbase *cloudbase.Door
	wecom     *wecom.Door
	control   *control.Door
	database  http.Handler // nil: the environment has none
}

// New returns a sandbox in which nothing has happened yet.
func New(cfg Config) (*Sandbox, error) {
	w, err := world.New(world.Config{
		Seed: cfg.Seed, Hostile: cfg.Hostile, Speed: cfg.Speed, Merchant: cfg.Merchant, Pace: cfg.Pace, NotifyURL: cfg.NotifyURL,
		Transport: cfg.Transport, Keys: cfg.Keys, Rotated: cfg.KeysRotated, Log: cfg.Log,
		Secrets: world.SecretsOf(cfg.Variables),
	}, apiv3.Vocabulary, v2.Vocabulary, cloudbase.Vocabulary, wecom.Vocabulary)
	if err != nil {
		return nil, err
	}
	bills := &bill.Offers{}
	s := &Sandbox{variables: maps.Clone(cfg.Variables), world: w, apiv3: apiv3.New(w, bills), v2: v2.New(w), wecom: wecom.New(w, bills)}
	s.cloudbase, err = cloudbase.New(w, s.v2, cloudbase.Config{ModuleFailure: cfg.ModuleFailure, Subscribers: cfg.Subscribers})
	if err != nil {
		return nil, err
	}
	s.control = control.New(w, control.Config{
		Channel: cfg.Channel, NoTimer: cfg.NoTimer, Callers: cfg.Callers, MerchantCall: s.callMerchant, MerchantRefunds: cfg.MerchantRefunds, MerchantBills: cfg.MerchantBills, Env: s.Env,
		Subscribers: func() any { return s.cloudbase.Subscribers() }, WebhookSecret: cfg.Variables["NOTIFY_WEBHOOK_SECRET"],
	})
	return s, nil
}

// callMerchant calls the function that mini-programs call, as the platform would for a user of
// one, or for a server.
func (s *Sandbox) callMerchant(ctx context.Context, openID string, event json.RawMessage) (json.RawMessage, error) {
	return s.cloudbase.CallMerchant(ctx, "wxpayFunctions", Call{OpenID: openID, Event: event})
}

// Run settles refunds and sends notifications as the virtual clock reaches
// them, until ctx ends. It starts all the goroutines there are and returns when
// they have ended. It may be called once.
func (s *Sandbox) Run(ctx context.Context) error {
	var kept sync.WaitGroup
	defer kept.Wait()
	kept.Go(func() { s.control.Keep(ctx) })
	return s.world.Run(ctx)
}

// Now is the virtual time.
func (s *Sandbox) Now() time.Time { return s.world.Now() }

// SetURLs tells where everything listens, once that is known. It is needed
// before Settings and Env.
func (s *Sandbox) SetURLs(urls URLs) { s.world.SetURLs(world.URLs(urls)) }

// SetFunctions tells which functions of the merchant's can be called through CloudBase's
// gateway, by name: with CloudBase's own library, and by NOTIFY_FUNCTIONS.
func (s *Sandbox) SetFunctions(functions map[string]Function) { s.cloudbase.SetFunctions(functions) }

// TLSConfig is for a listener of [Sandbox.WeChat] under the names of the real hosts. It
// asks for the merchant's client certificate and takes connections without one.
func (s *Sandbox) TLSConfig() *tls.Config { return s.world.TLSConfig() }

// MerchantChanged tells the console that the merchant's records of refunds have changed.
// It may be called at any time and does not block.
func (s *Sandbox) MerchantChanged(outRefundNos ...string) { s.control.MerchantChanged(outRefundNos...) }

// MerchantBillsChanged tells the console that the merchant's side has found something of a
// day's bill. It may be called at any time and does not block.
func (s *Sandbox) MerchantBillsChanged() { s.control.MerchantBillsChanged() }

// WeChat returns the side that plays WeChat Pay and its siblings. It serves the
// paths of the real hosts at its root, over TLS as well: what demands a client
// certificate looks for it in the connection. All that it does not know, the system
// that would have it refuses in its own words. What it is asked and what it answers is
// kept in a journal, see [Sandbox.Journal].
func (s *Sandbox) WeChat() http.Handler {
	mux := http.NewServeMux()
	for _, each := range []interface{ Routes(*http.ServeMux) }{s.apiv3, s.v2, s.cloudbase, s.wecom} {
		each.Routes(mux)
	}
	recorded := door.Recorded(s.world, world.ExchangeCall, nil, door.Front(s.world, mux))
	database := s.database
	if database == nil {
		database = http.HandlerFunc(noDatabase)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == databasePath { // the merchant's own, and not for the journal
			database.ServeHTTP(w, r)
			return
		}
		recorded.ServeHTTP(w, r)
	})
}

// Journal puts what a function of the merchant's side is asked and answers into the journal
// that the console shows, beside what goes to and comes from WeChat's side. Once it has answered,
// judge completes the exchange with who has called and whether the answer says no. What WeChat's
// side sends is in the journal as its notification, and not for a second time.
func (s *Sandbox) Journal(judge func(*http.Request, *Exchange), function http.Handler) http.Handler {
	recorded := door.Recorded(s.world, world.ExchangeFunction, func(r *http.Request, x *Exchange) bool {
		x.Request.Opened = s.world.Unseal(x.Request.Body)
		judge(r, x)
		return true
	}, function)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.world.Sending(r.Header.Get("Request-Id")) {
			function.ServeHTTP(w, r)
			return
		}
		recorded.ServeHTTP(w, r)
	})
}

// JournalRun is [Sandbox.Journal] for a run that nobody has asked for over HTTP, that of a
// timer. It is kept if worth says so.
func (s *Sandbox) JournalRun(path string, worth func(*Exchange) bool, run func() []byte) {
	record := s.world.Record(world.ExchangeFunction)
	record.Asked(&http.Request{Method: "TIMER", RequestURI: path}, nil)
	record.Answered(http.StatusOK, nil, run())
	record.Keep(worth)
}

// TimerRuns tells whether the timer of the merchant's side may run now, which a fault can
// forbid. Whoever runs it asks each time.
func (s *Sandbox) TimerRuns() bool { return s.world.TimerRuns() }

// Control returns the side that inspects and drives the sandbox, everything
// below /_sandbox/. It shows secrets, so it is for this machine alone.
func (s *Sandbox) Control() http.Handler { return s.control.Handler() }

// Console returns the page that shows the sandbox, for / and what it loads below
// /_sandbox/console/. It holds no data: that comes from [Sandbox.Control].
func (s *Sandbox) Console() http.Handler { return console.Handler() }
