//go:build heavy

package process

import (
	"fmt"
	"testing"
	"time"
)

// C19: WeChat waits five seconds for an answer, and notify takes four. A database each of
// whose calls takes 200 ms leaves time for that, also for a process that has just been
// started, for one that finds an empty database, and where subscribers are told meanwhile.
func TestNotifyAnswersInTimeWithASlowDatabase(t *testing.T) {
	t.Parallel()
	for name, world := range map[string]func(testing.TB) *World{"alone": NewWorld, "with subscribers": NewWorldWithSubscribers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c := world(t), StartCloudBase(t)
			c.Slow(200 * time.Millisecond)
			w.At(c)
			first, second := StartPlain(t, Notify, w.Env), StartPlain(t, Notify, w.Env)
			for i, test := range []struct {
				what  string
				to    *Plain
				calls int // of which some go at the same time
			}{
				{"an empty database", first, 7}, // look and read, make the schema, look and read, bind, settle
				{"a warm process", first, 2},    // read, settle
				{"a cold process", second, 3},   // look and read, settle
			} {
				l := w.SignedNotification(fmt.Sprint("R", i))
				before, begin := c.Calls(), time.Now()
				status, body := test.to.Deliver(l)
				took, calls := time.Since(begin), c.Calls()-before
				// Subscribers are told for as long as there is time.
				if status != 200 || string(body) != Acknowledged || took > 4500*time.Millisecond || name == "alone" && took > 4*time.Second {
					t.Errorf("%s: got %d %s after %v, want 200 within 4s", test.what, status, body, took)
				}
				if name == "alone" && calls != test.calls {
					t.Errorf("%s: %d calls, want %d", test.what, calls, test.calls)
				}
				t.Logf("%s: %v, %d calls", test.what, took.Round(time.Millisecond), calls)
			}
		})
	}
}
