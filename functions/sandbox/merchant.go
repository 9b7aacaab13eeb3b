package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"wxrefund/shared/host"
	"wxrefund/shared/sandbox"
)

// maxBody bounds what is read of an event, in bytes. It is more than any function takes,
// so that what is longer is refused as too large by the function, in its own words.
const maxBody = 1 << 20

// merchantSide are the functions as the platforms would call them, and the
// console and control of WeChat's side.
func merchantSide(listener http.Handler, functions map[string]sandbox.Function, admit map[string]admission, wechat *sandbox.Sandbox, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", wechat.Console())
	mux.Handle("GET /_sandbox/console/", wechat.Console())
	mux.Handle("/notify", wechat.Journal(judgeNotification, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listener.ServeHTTP(w, r.WithContext(host.WithRequestID(r.Context(), rand.Text())))
	})))
	mux.Handle("/_sandbox/", wechat.Control())

	guard := http.NewCrossOriginProtection()
	mux.Handle("POST /functions/{name}", wechat.Journal(judgeCall(admit), guard.Handler(local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Via"), via) {
			fail(w, http.StatusLoopDetected, rand.Text(), codeFailed, "functions execute fail | errMsg: the function leads back to the sandbox")
			return
		}
		f, ok := functions[r.PathValue("name")]
		if !ok {
			fail(w, http.StatusNotFound, rand.Text(), codeNoFunction, "| errMsg: FunctionName parameter could not be found")
			return
		}
		function(f, log).ServeHTTP(w, r)
	})))))
	return mux
}

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

// function wraps a function as wx.cloud.callFunction shows it. Two headers
// stand for the identity that the platform would inject.
func function(f sandbox.Function, log *slog.Logger) http.Handler {
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
		result, err := f(ctx, sandbox.Call{OpenID: r.Header.Get("X-WX-OPENID"), Source: r.Header.Get("X-WX-SOURCE"), Event: event})
		if err != nil {
			log.WarnContext(ctx, "function failed", "error", err)
			fail(w, http.StatusOK, id, codeFailed, "functions execute fail | errMsg: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(struct { // who has hung up gets nothing
			ErrMsg    string          `json:"errMsg"`
			RequestID string          `json:"requestID"`
			Result    json.RawMessage `json:"result"`
		}{"cloud.callFunction:ok", id, result})
	})
}

// Codes of wx.cloud.callFunction for a call that has no result, as its users report them.
const (
	codeNoFunction = -501000
	codeFailed     = -504002
)

// fail answers with what wx.cloud.callFunction fails with.
func fail(w http.ResponseWriter, status int, id string, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // who has hung up gets nothing
		ErrMsg    string `json:"errMsg"`
		ErrCode   int    `json:"errCode"`
		RequestID string `json:"requestID"`
	}{fmt.Sprintf("cloud.callFunction:fail errCode: %d %s", code, text), code, id})
}
