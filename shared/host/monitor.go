package host

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wxrefund/shared/lock"
)

const (
	healthPath  = "/healthz"
	metricsPath = "/metrics"

	// healthTime bounds one look at what the function stands on, the ledger's opening
	// included.
	healthTime = 2 * time.Second
	// healthKept is how long what was found is told again: whoever asks a hundred times a
	// second makes the ledger answer once in five.
	healthKept = 5 * time.Second
)

const onlyScrapers = "figures are for whoever sends Authorization: Bearer with the token that is set as REFUND_SERVER_TOKEN"

// monitor answers who watches a container: GET /healthz and, where there are figures,
// GET /metrics. own is false for every other request, which is the function's.
func (s *server) monitor(r *http.Request) (res response, own bool) {
	if r.Method != http.MethodGet {
		return response{}, false
	}
	switch r.URL.Path {
	case healthPath:
		return s.healthz(r.Context()), true
	case metricsPath:
		return s.metrics(r)
	}
	return response{}, false
}

// metrics gives the figures to who brings the token. They name nobody, and are not for
// everybody all the same: they tell how much is refunded.
func (s *server) metrics(r *http.Request) (res response, own bool) {
	ctx := r.Context()
	fn, id, err := s.load(ctx)
	switch caller := id.Headers(r.Header); {
	case err == nil && fn.Metrics == nil:
		return response{}, false
	case caller != bearer:
		return s.denied(ctx, caller, onlyScrapers), true
	case err != nil:
		return jsonResponse(http.StatusServiceUnavailable, misconfigured(err)), true
	}
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, p)
			res, own = response{status: http.StatusInternalServerError}, true
		}
	}()
	return textResponse(http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", string(fn.Metrics(ctx))), true
}

// A health is what was found when somebody last asked.
type health struct {
	mu  lock.Mutex // guards what follows, also while one looks
	at  time.Time  // zero: nobody has asked yet
	err error
}

// healthz says whether the settings load and the ledger answers, and nothing else: it is
// for anybody.
func (s *server) healthz(ctx context.Context) response {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	if s.health.look(ctx, s.ready) != nil {
		return textResponse(http.StatusServiceUnavailable, plainText, "unhealthy\n")
	}
	return textResponse(http.StatusOK, plainText, "ok\n")
}

const plainText = "text/plain; charset=utf-8"

func textResponse(status int, kind, body string) response {
	return response{status: status, header: http.Header{"Content-Type": {kind}, "Cache-Control": {"no-store"}}, body: []byte(body)}
}

// look returns what ready has found, now or a moment ago.
func (h *health) look(ctx context.Context, ready func(context.Context) error) error {
	if err := h.mu.Lock(ctx); err != nil {
		return err // somebody else looks, and does not come back
	}
	defer h.mu.Unlock()
	if h.at.IsZero() || time.Since(h.at) >= healthKept {
		h.err = ready(ctx)
		h.at = time.Now()
	}
	return h.err
}

// ready reports whether the function would answer.
func (s *server) ready(ctx context.Context) (err error) {
	fn, _, err := s.load(ctx)
	if err != nil || fn.Ready == nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, p)
			err = errors.New(failed)
		}
	}()
	if err := fn.Ready(ctx); err != nil {
		s.log.WarnContext(ctx, "unhealthy", "error", err)
		return err
	}
	return nil
}
