package simulation_test

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"wxrefund/functions/simulation/exhaust"
	"wxrefund/notify"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/wxpayfunctions"
)

// ours is the back end of this repository as a cloud runs it: three functions,
// each in as many instances as there are calls at a time, all over one ledger.
type ours struct {
	w     *world
	store refund.Ledger
	end   func() error // closes it

	mu   sync.Mutex
	idle map[string][]*instance // by function
	made int
}

// buildOurs has one history in eight keep its ledger in SQLite, and the others in a map:
// SQLite takes as long as all else. [TestSameSeedSameHistory] lives on either, to the same log.
func buildOurs(w *world) side {
	if w.history.Seed%8 == 0 {
		return buildOnSQLite(w)
	}
	return buildOnMap(w)
}

func buildOnSQLite(w *world) side {
	store, err := ledger.Open(context.Background(), "sqlite::memory:")
	if err != nil {
		panic(err)
	}
	w.count("histories on SQLite", 1)
	return newOurs(w, store, store.Close)
}

func buildOnMap(w *world) side {
	return newOurs(w, &exhaust.Ledger{}, func() error { return nil })
}

func newOurs(w *world, store refund.Ledger, end func() error) *ours {
	o := &ours{w: w, store: store, end: end, idle: map[string][]*instance{}}
	o.begun()
	return o
}

func (o *ours) close()          { _ = o.end() }
func (o *ours) renumbers() bool { return false }

// An instance is one process of one function. It serves one call at a time, as
// cloud functions do, and lives until one of its calls crashes.
type instance struct {
	current    *call
	refunds    *refund.Service
	dispatcher *wxpayfunctions.Handler
	listener   *notify.Handler
}

// with has an instance of a function serve a call: an idle one, else a new one.
func (o *ours) with(function string, c *call, serve func(*instance)) {
	o.mu.Lock()
	var i *instance
	if n := len(o.idle[function]); n > 0 {
		i, o.idle[function] = o.idle[function][n-1], o.idle[function][:n-1]
	}
	o.made++
	made := o.made
	o.mu.Unlock()
	if i == nil {
		i = o.start(function, made)
		o.w.count("instances", 1)
	}
	i.current = c
	serve(i)
	if c.crashed() || c.ctx.Err() != nil { // a process that was killed does not come back
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.idle[function] = append(o.idle[function], i)
}

// start wires one instance as config.Load does, with clients and a ledger that
// know the faults.
func (o *ours) start(function string, number int) *instance {
	made, i := keys().of[o.w.history.Channel].system, &instance{}
	call := func() *call { return i.current }
	log := slog.New(&logs{w: o.w, call: call})
	var skew time.Duration
	if most := o.w.history.Skew; most > 0 {
		skew = span(o.w.random.of("skew", time.Duration(number).String()), -most, most)
	}
	i.refunds = &refund.Service{
		Channel:    o.w.history.channel(&http.Client{Transport: &wire{o.w, call}}),
		Ledger:     &faultyLedger{o.store, call},
		Merchant:   made.Refunds.Merchant,
		Pace:       cmp.Or(o.w.history.Pace, -1), // none, unless the history has one
		Now:        func() time.Time { return time.Now().Add(skew) },
		TrustRelay: o.w.history.Trust,
		WaitFunds:  o.w.history.Funds,
		AppIDs:     made.Refunds.AppIDs,
		NoBill:     o.w.history.Bills == billsOff,
		Log:        log,
	}
	o.w.history.Shop.set(i.refunds)
	for _, name := range o.w.history.Subscribers {
		deliver := func(ctx context.Context, n refund.Event) error { return call().deliverEvent(ctx, name, n) }
		if name != refund.OwnCode || function != "wxpayFunctions" {
			i.refunds.Subscribers = append(i.refunds.Subscribers, refund.Subscriber{Name: name, Tell: deliver})
		}
	}
	if function == "wxpayFunctions" {
		i.refunds.Subscribers = append(i.refunds.Subscribers, refund.Subscriber{Name: refund.OwnCode})
	}
	i.dispatcher = wxpayfunctions.New(i.refunds, log)
	i.listener = &notify.Handler{Refunds: i.refunds, Keys: made.Keys, Secret: made.Secret, APIKey: made.APIKey, Log: log}
	if o.w.history.Channel == apiv3 {
		i.listener.Keys = ring() // whose certificates nobody downloads
	}
	return i
}

func caller(server bool) refund.Caller {
	if server {
		return refund.Caller{Kind: refund.Server}
	}
	return refund.Caller{Kind: refund.User, OpenID: "oSTRANGER0000000000000000000"}
}

func (o *ours) dispatch(c *call, event []byte) (reply []byte) {
	who := caller(true)
	if c.as != nil {
		who = *c.as
	}
	o.with("wxpayFunctions", c, func(i *instance) { reply = i.dispatcher.Invoke(c.given, who, event) })
	return reply
}

func (o *ours) notification(c *call, w http.ResponseWriter, r *http.Request) {
	o.with("notify", c, func(i *instance) { i.listener.ServeHTTP(w, r) })
}

func (o *ours) relay(c *call, server bool, event []byte) (reply []byte) {
	who := caller(server)
	if c.unlisted {
		who = refund.Caller{Kind: refund.Unlisted, Source: "wx_new"}
	}
	o.with("notify", c, func(i *instance) { reply = i.listener.Invoke(c.given, who, event) })
	o.w.logf(c.name, "answers %s", reply)
	return reply
}

func (o *ours) tick(c *call) {
	o.with("reconcile", c, func(i *instance) {
		reply := i.refunds.HandleTimer(c.given, caller(true), nil)
		o.w.logf(c.name, "answers %s", reply)
	})
}

// books reads the ledger itself, not what was seen of it.
func (o *ours) books() map[string]entry {
	out := map[string]entry{}
	numbers := map[string]bool{}
	for _, all := range o.w.numbers {
		for _, no := range all {
			numbers[no] = true
		}
	}
	for _, u := range o.w.upstreams() {
		numbers[u.OutRefundNo] = true
	}
	for _, no := range o.w.invariants.claimedNumbers() {
		numbers[no] = true
	}
	for no := range numbers {
		items, err := o.store.Get(context.Background(), refund.Key(refundPrefix+no))
		if !o.w.invariants.judge("harness: the ledger can be read in the end", err == nil, "%v", err) {
			continue
		}
		if items[0].Version == 0 {
			continue
		}
		row, err := decodeRow(items[0].Body)
		seen, _ := o.w.invariants.row(no)
		o.w.invariants.judge("harness: the ledger holds what was committed", err == nil && seen.State == row.State && seen.Held == row.Held, "%s is another", no)
		out[no] = entry{row.status(), row.fen()}
	}
	return out
}

// logs hears what the code under test says.
type logs struct {
	w    *world
	call func() *call
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }

func (l *logs) Handle(ctx context.Context, r slog.Record) error {
	c := l.call()
	if c.crashed() {
		return nil // the dead say nothing
	}
	var text bytes.Buffer
	if err := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(ctx, r); err != nil {
		return err
	}
	secrets := keys().secrets()
	if r.Message != "denied" {
		secrets = append(secrets, people()...)
	}
	told := slices.ContainsFunc(secrets, func(secret string) bool { return bytes.Contains(text.Bytes(), []byte(secret)) })
	l.w.invariants.judge("I8 no log line holds a secret, or a person", !told, "%s", &text)
	l.w.invariants.logged(c, r)
	return nil
}
