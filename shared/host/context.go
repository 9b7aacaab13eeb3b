package host

import (
	"context"
	"crypto/rand"
	"time"

	"wxrefund/shared/cloudbase"
)

const (
	defaultTime = 3 * time.Second        // the platforms' own default for a function
	maxMargin   = 500 * time.Millisecond // enough to write a reply
)

// A request is what the platform says of one invocation, other than who made it.
type request struct {
	id          string        // as the platform names it; begin makes one where that is none
	limit       time.Duration // how long it may take, if the platform says; else 0
	credentials cloudbase.Credentials
}

// begin makes the context that the function sees. It ends before the platform's
// deadline does: whoever is still working then gets the time to say so, where the
// platform would only cut the invocation off. Nothing else ends it: a caller who
// hangs up does not cut a refund in two.
//
// A deadline that is absent or past says nothing (on SCF an absent one is
// 1970), so the limit counts instead.
func (r request) begin(parent context.Context) (context.Context, context.CancelFunc) {
	left := r.limit
	if deadline, ok := parent.Deadline(); ok {
		if d := time.Until(deadline); d > 0 && (left <= 0 || d < left) {
			left = d
		}
	}
	if left <= 0 {
		left = defaultTime
	}
	left -= min(left/10, maxMargin)

	ctx := context.WithoutCancel(parent)
	if !plainID(r.id) { // a platform that names none, or what nobody could read in a log
		r.id = rand.Text()
	}
	ctx = WithRequestID(ctx, r.id)
	ctx = context.WithValue(ctx, credentialsKey{}, r.credentials)
	return context.WithTimeout(ctx, left)
}
