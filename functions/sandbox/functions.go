package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wxrefund/notify"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/wxpayfunctions"
)

// An invocation is one of our functions as it runs in here.
type invocation func(ctx context.Context, caller refund.Caller, event []byte) []byte

// merchantFunctions are ours, by name; the dispatcher has also the name that migrating
// from the template gives it. program is the appid of the mini-program whose users call.
func merchantFunctions(sys *config.System, listener *notify.Handler, log *slog.Logger, id host.Identity, program string) map[string]sandbox.Function {
	dispatcher := wxpayfunctions.New(sys.Refunds, log)
	all := map[string]sandbox.Function{}
	for name, invoke := range map[string]invocation{
		"wxpayFunctions": dispatcher.Invoke,
		"wxpayRefund":    dispatcher.Invoke,
		"notify":         listener.Invoke,
		"reconcile":      sys.Refunds.HandleTimer,
	} {
		all[name] = func(ctx context.Context, c sandbox.Call) (json.RawMessage, error) {
			caller := id.Platform(c.OpenID, c.Source)
			if caller.Kind == refund.User {
				caller.AppID = program
			}
			caller.RequestID = host.RequestID(ctx)
			return invoke(ctx, caller, c.Event), nil
		}
	}
	return all
}

// forwarded are the functions that run in processes of their own. A server calls them
// with the token.
func forwarded(to forwards, id host.Identity, token, program string) map[string]sandbox.Function {
	newest, _, _ := strings.Cut(token, ",")
	all := map[string]sandbox.Function{}
	for name, url := range to {
		all[name] = forward{name, url, id, strings.TrimSpace(newest), program}.call
	}
	return all
}

// hosted are the functions as CloudBase's gateway calls them: each call has an id of its
// own, and one that fails is logged.
func hosted(functions map[string]sandbox.Function, log *slog.Logger) map[string]sandbox.Function {
	all := maps.Clone(functions)
	for name, f := range functions {
		all[name] = func(ctx context.Context, c sandbox.Call) (json.RawMessage, error) {
			ctx = host.WithRequestID(ctx, rand.Text())
			out, err := f(ctx, c)
			if err != nil {
				log.WarnContext(ctx, "function failed", "error", err)
			}
			return out, err
		}
	}
	return all
}

const (
	// forwardTime is how long a function in a process of its own may take: as long as a
	// timer's may where our functions are deployed, and somebody may be debugging it.
	forwardTime = time.Minute

	// via says by whom a call of such a function was passed on (RFC 9110, 7.6.3). One that
	// says so and comes back would go round until there are no connections left.
	via = "1.1 wxrefund-sandbox"

	maxResult = 1 << 20 // of such a function, in bytes; CloudBase carries no more
	shownText = 300     // of an answer that is no result, in bytes
)

// A forward is a function that runs in a process of its own, over plain HTTP: it gets the
// event as the body of a POST, and its answer with status 200 is what it returns.
type forward struct {
	name, url string
	id        host.Identity
	token     string // with which a server calls
	program   string // the appid of the mini-program whose users call
}

func (f forward) call(ctx context.Context, c sandbox.Call) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTime)
	defer cancel()
	status, body, err := f.post(ctx, c)
	answered := fmt.Sprintf("the function %s at %s ", f.name, f.url)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%stook longer than %v", answered, forwardTime)
	case err != nil:
		return nil, fmt.Errorf("%sdoes not answer: %w", answered, err)
	case status != http.StatusOK:
		text := string(body)
		if f.token != "" { // an echo of the request holds it
			text = strings.ReplaceAll(text, f.token, "****")
		}
		return nil, fmt.Errorf("%sanswered with status %d: %s", answered, status, strings.ToValidUTF8(text[:min(len(text), shownText)], ""))
	case len(body) > maxResult:
		return nil, fmt.Errorf("%sanswered with more than 1 MiB", answered)
	case len(bytes.TrimSpace(body)) == 0:
		return json.RawMessage("null"), nil
	case json.Valid(body):
		return body, nil
	}
	return json.Marshal(string(body)) // a function may return a text
}

// post sends a call, and who makes it as our functions read that over plain HTTP.
func (f forward) post(ctx context.Context, c sandbox.Call) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(c.Event))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Via", via)
	caller := f.id.Platform(c.OpenID, c.Source)
	if caller.Kind == refund.User && c.Source == "" {
		c.Source = "wx_client" // as a platform would say, and our functions want to hear it
	}
	program := f.program
	if c.OpenID == "" {
		program = ""
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-Request-Id": host.RequestID(ctx),
		"X-Wx-Openid": c.OpenID, "X-Wx-Appid": program, "X-Wx-Source": c.Source,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if caller.Kind == refund.Server {
		r.Header.Set("Authorization", "Bearer "+f.token)
	}
	// Who debugs starts his process anew: no connection to the old one is kept.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the address is said anyway
		}
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxResult+1))
	return res.StatusCode, body, err
}

// timer calls reconcile every virtual minute, as a platform's trigger would. When the
// clock is moved on it runs once, soon after: what it asks is answered as of then. A
// failure is logged once, until there is another or none.
func timer(ctx context.Context, wechat *sandbox.Sandbox, reconcile sandbox.Function, log *slog.Logger) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	failure := ""
	for next := wechat.Now().Add(time.Minute); ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if wechat.Now().Before(next) {
			continue
		}
		if wechat.TimerRuns() {
			failure = runTimer(ctx, wechat, reconcile, log, failure)
		}
		next = wechat.Now().Add(time.Minute)
	}
}

// runTimer calls reconcile once. It logs a failure that is another one than that of the
// run before, and returns it.
func runTimer(ctx context.Context, wechat *sandbox.Sandbox, reconcile sandbox.Function, log *slog.Logger, before string) (failure string) {
	ctx, cancel := context.WithTimeout(host.WithRequestID(withProgram(ctx), rand.Text()), time.Minute)
	defer cancel()
	wechat.JournalRun("/functions/reconcile", worth, func() []byte {
		out, err := reconcile(ctx, sandbox.Call{Source: "wx_trigger", Event: json.RawMessage(`{"Type":"Timer","TriggerName":"reconcile"}`)})
		if err == nil {
			return out
		}
		if failure = err.Error(); failure != before {
			log.WarnContext(ctx, "timer failed", "error", err)
		}
		return errorReply(err)
	})
	return failure
}

// errorReply is how reconcile would say that it has failed, for the journal.
func errorReply(err error) []byte {
	b, _ := json.Marshal(map[string]string{"error": err.Error()}) // a text always encodes
	return b
}
