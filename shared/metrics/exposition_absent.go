//go:build scf || lambda

package metrics

import (
	"context"
	"time"
)

// An exposition is nothing in a package for SCF or Lambda.
type exposition struct{ channel string }

func (*exposition) observe(call, string, time.Duration) {}
func (*exposition) reconciled(bool, int, time.Time)     {}

// Replies is nil: nobody would read it.
func (m *Meter) Replies() func(code int) { return nil }

// Notifications is nil: nobody would read it.
func (m *Meter) Notifications(_, _ []string) func(outcome, reason string) { return nil }

// Exposition is nil: this binary has none.
func (m *Meter) Exposition() func(context.Context) []byte { return nil }
