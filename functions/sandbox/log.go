package main

import (
	"context"
	"io"
	"log/slog"

	"wxrefund/shared/host"
)

// programKey is where a run of the timer has the context of the program.
type programKey struct{}

// withProgram makes a context of a run of the timer, which ends with the program's. What is
// made of it knows the program's too, even if it does not end with it.
func withProgram(ctx context.Context) context.Context {
	return context.WithValue(ctx, programKey{}, ctx)
}

// ending reports whether a run of the timer fails since the program ends. The program's own
// context tells: nothing of the sandbox stops before that has ended, and other contexts end
// a little later.
func ending(ctx context.Context) bool {
	program, ok := ctx.Value(programKey{}).(context.Context)
	return ok && program.Err() != nil
}

// newLogger is a function's logger, but that runs of the timer in which nothing
// was due are records of level debug: virtual minutes go by like seconds. A
// deployed function logs them as information, since their absence is an alarm.
// What fails in a run because the program ends is no record.
func newLogger(w io.Writer, getenv func(string) string) *slog.Logger {
	return slog.New(idleHandler{host.NewLogger(w, getenv).Handler()})
}

type idleHandler struct{ slog.Handler }

func (h idleHandler) Handle(ctx context.Context, r slog.Record) error {
	if ending(ctx) {
		return nil
	}
	if r.Message == "reconciled" && allZero(r) {
		if r.Level = slog.LevelDebug; !h.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h idleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return idleHandler{h.Handler.WithAttrs(attrs)}
}

func (h idleHandler) WithGroup(name string) slog.Handler {
	return idleHandler{h.Handler.WithGroup(name)}
}

// allZero tells that every number in a record is zero.
func allZero(r slog.Record) bool {
	zero := true
	r.Attrs(func(a slog.Attr) bool {
		zero = a.Value.Kind() != slog.KindInt64 || a.Value.Int64() == 0
		return zero
	})
	return zero
}
