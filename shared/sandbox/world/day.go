package world

import "time"

// An Hour counts what became of refunds in an hour.
type Hour struct {
	Accepted int
	Settled  int // as a success or closed
}

// Day counts by the hours of the virtual day that begins at midnight. China has had
// no summer time since 1991, so that a day has 24.
func (w *World) Day(midnight time.Time) [24]Hour {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out [24]Hour
	for _, r := range w.accepted {
		if h, ok := HourOf(midnight, r.created); ok {
			out[h].Accepted++
		}
		for _, c := range r.past {
			if h, ok := HourOf(midnight, c.At); ok && len(transitions[c.Status]) == 0 {
				out[h].Settled++
			}
		}
	}
	return out
}

// HourOf is the hour of a time on the day that begins at midnight, if it is on that day.
func HourOf(midnight, t time.Time) (int, bool) {
	since := t.Sub(midnight)
	return int(since / time.Hour), since >= 0 && since < 24*time.Hour
}
