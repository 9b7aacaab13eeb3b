package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"wxrefund/shared/refund"
)

const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second // header and body
	plainTime  = 30 * time.Second // for the function: no deadline is known
	writeTime  = readTime + plainTime + 5*time.Second
	idleTime   = 2 * time.Minute
	stopTime   = 8 * time.Second // container platforms kill after ten
	maxHeader  = 64 << 10
)

// servePlain serves HTTP on all interfaces: the platforms reach a container or a
// web function from outside.
func servePlain(ctx context.Context, s *server, port string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("0.0.0.0", port))
	if err != nil {
		return err
	}
	h := &http.Server{
		Handler:           http.HandlerFunc(s.plain),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.log.InfoContext(ctx, "listening", "address", listener.Addr().String())

	go s.prepare(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err = h.Shutdown(grace)
	<-ended
	return err
}

// plain answers one request.
func (s *server) plain(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := request{
		id:          requestID(r.Header),
		limit:       plainTime,
		credentials: readCredentials(s.getenv),
	}.begin(r.Context())
	defer cancel()

	res := s.plainResponse(ctx, w, r)
	for name, v := range res.header {
		w.Header()[name] = v
	}
	w.WriteHeader(res.status)
	if _, err := w.Write(res.body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		s.log.WarnContext(ctx, "reply not delivered", "error", err)
	}
}

func (s *server) plainResponse(ctx context.Context, w http.ResponseWriter, r *http.Request) response {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return response{status: http.StatusRequestEntityTooLarge}
	}
	if err != nil {
		return response{status: http.StatusBadRequest}
	}
	r = r.WithContext(ctx)
	if res, own := s.monitor(r); own {
		return res
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return s.serve(r, body, false, func(id Identity) refund.Caller { return id.Headers(r.Header) })
}

// requestID returns the platform's id of the request, "" where there is none that is fit
// for a log.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Scf-Request-Id", "X-Request-Id"} {
		if id := h.Get(name); plainID(id) {
			return id
		}
	}
	return ""
}

func plainID(id string) bool {
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= 64
}
