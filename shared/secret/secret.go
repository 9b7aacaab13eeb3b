// Package secret holds what must not be printed.
//
// A password in a log is a password lost, and nobody logs one on purpose: it comes
// along in a struct that somebody prints, with whatever verb. A Format method alone
// does not prevent that. fmt does not ask it where a struct has the value in an
// unexported field, nor for %p and a stray %w, nor while it shows what did not fit
// another verb. So a [Value] is hidden behind two pointers: of a pointer fmt shows
// the address, and what a pointer to a struct points at now and then, but never what
// a pointer to a pointer does.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// A Value is a secret of any type. fmt, log/slog and encoding/json show "[hidden]" of
// it or an address. The zero value holds the zero value of T. Two Values are equal
// only if one is a copy of the other.
type Value[T any] struct{ at **T }

// Hide returns v, hidden.
func Hide[T any](v T) Value[T] {
	p := &v
	return Value[T]{&p}
}

// Text hides a text. Of none it returns the zero value, so that structs of texts
// that are all empty are equal.
func Text(s string) Value[string] {
	if s == "" {
		return Value[string]{}
	}
	return Hide(s)
}

// Reveal returns the secret.
func (v Value[T]) Reveal() T {
	if v.at == nil {
		var zero T
		return zero
	}
	return **v.at
}

const hidden = "[hidden]"

// Format writes "[hidden]", whatever the verb.
func (Value[T]) Format(f fmt.State, _ rune) { Mask(f, hidden) }

// LogValue is "[hidden]".
func (Value[T]) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText writes "[hidden]", to JSON for one.
func (Value[T]) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Mask is for the Format methods of types that hold secrets: it writes what is shown
// in their place, with no regard to flags.
func Mask(f fmt.State, shown string) { _, _ = io.WriteString(f, shown) }
