package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"

	"wxrefund/notify"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/wxpayfunctions"
)

// maxBody bounds what is read of an event, in bytes. It is more than any function takes,
// so that what is longer is refused as too large by the function, in its own words.
const maxBody = 1 << 20

// merchantSide are the functions as the platforms would call them, and the
// console and control of WeChat's side.
func merchantSide(sys *config.System, wechat *sandbox.Sandbox, log *slog.Logger) http.Handler {
	dispatcher := wxpayfunctions.New(sys.Refunds, log)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", wechat.Console())
	mux.Handle("GET /_sandbox/console/", wechat.Console())
	listener := &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: log}
	mux.Handle("/notify", wechat.Journal(judgeNotification, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listener.ServeHTTP(w, r.WithContext(host.WithRequestID(r.Context(), rand.Text())))
	})))
	mux.Handle("/_sandbox/", wechat.Control())

	guard := http.NewCrossOriginProtection()
	for name, f := range map[string]struct {
		invoke invocation
		admit  func(refund.Caller) error // for the journal; the function decides
	}{
		"wxpayFunctions": {dispatcher.Invoke, sys.Refunds.Policy.Admit},
		"notify":         {listener.Invoke, relays},
		"reconcile":      {sys.Refunds.HandleTimer, anybody},
	} {
		mux.Handle("POST /functions/"+name, wechat.Journal(judgeCall(f.admit), guard.Handler(local(function(f.invoke)))))
	}
	return mux
}

// An invocation is a function as the platform calls it.
type invocation func(ctx context.Context, caller refund.Caller, event []byte) []byte

// local refuses requests under a name that is not this machine's: a page of some
// other site must not be able to refund through the browser, neither across
// origins nor by a name that it lets point here.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			name = h
		}
		if ip := net.ParseIP(name); ip == nil && name != "localhost" {
			http.Error(w, "call this sandbox by its address or as localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// function wraps an invocation as wx.cloud.callFunction shows it. Two headers
// stand for the identity that the platform would inject.
func function(invoke invocation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			http.Error(w, "the event broke off", http.StatusBadRequest)
			return
		}
		_, _ = io.CopyN(io.Discard, r.Body, 8*maxBody) // who sends that much reads our answer only then
		// Whoever hangs up does not cut a refund in two, as on the platforms.
		id := rand.Text()
		ctx := host.WithRequestID(context.WithoutCancel(r.Context()), id)
		caller := host.Identity{}.Platform(r.Header.Get("X-WX-OPENID"), r.Header.Get("X-WX-SOURCE"))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(struct { // who has hung up gets nothing
			ErrMsg    string          `json:"errMsg"`
			RequestID string          `json:"requestID"`
			Result    json.RawMessage `json:"result"`
		}{"cloud.callFunction:ok", id, invoke(ctx, caller, event)})
	})
}
