package world

import (
	"math"
	"sync"
	"time"
)

// China is the zone in which WeChat Pay writes its times.
var China = time.FixedZone("UTC+8", 8*60*60)

// A clock is the virtual clock: it starts at the real time, runs speed times as
// fast, and can be stopped and set while time is being stepped through.
type clock struct {
	speed float64

	mu     sync.Mutex
	at     time.Time // what it showed...
	since  time.Time // ...at this real time
	frozen bool      // it still shows that
}

func newClock(speed float64) *clock {
	now := time.Now()
	return &clock{speed: speed, at: now.In(China), since: now}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		return c.at
	}
	return c.at.Add(time.Duration(float64(time.Since(c.since)) * c.speed))
}

// freeze stops the clock and returns where.
func (c *clock) freeze() time.Time {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.frozen = now, true
	return now
}

// set moves a frozen clock on; it never goes back.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.at) {
		c.at = t.In(China)
	}
}

// thaw lets the clock run on from where it stands.
func (c *clock) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.frozen = time.Now(), false
}

// until returns how much real time passes before the clock shows t.
func (c *clock) until(t time.Time) time.Duration {
	// A timer cannot be set centuries ahead; an hour is as good, since whoever
	// waits looks again.
	const longest = time.Hour
	// Rounded up, so that whoever has waited finds that the time has come.
	real := math.Ceil(float64(t.Sub(c.now())) / c.speed)
	return time.Duration(min(max(real, 1), float64(longest)))
}

// Lasting is how much virtual time passes in so much real time; never less than that.
func (w *World) Lasting(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(1, w.cfg.Speed))
}

// Stamp writes a time as WeChat Pay's bodies do.
func Stamp(t time.Time) string { return t.In(China).Format(time.RFC3339) }

// StampMS writes a time to the millisecond, for the control doors.
func StampMS(t time.Time) string { return t.In(China).Format("2006-01-02T15:04:05.000Z07:00") }
