package host

import (
	"context"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes a line of JSON for each record, with the
// time in UTC, and the id of the request to each record that is logged with the
// request's context.
// LOG_LEVEL is looked up whenever it is needed, since on SCF it may come with the
// first request; without a known level there it is info.
func NewLogger(w io.Writer, getenv func(string) string) *slog.Logger {
	return slog.New(requestHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level(getenv)})})
}

type level func(string) string

func (getenv level) Level() slog.Level {
	var l slog.Level
	name := getenv("LOG_LEVEL")
	if name == "" || l.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return l
}

type requestKey struct{}

// WithRequestID returns a context with which records are logged under a request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to: at most 64 letters,
// digits, - and _; "" outside a request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// A requestHandler adds the request id.
type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.UTC() // where a function runs is nobody's time zone, and takes time to look up
	if id := RequestID(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
