package control

import (
	"context"
	"net/http"
	"time"

	"wxrefund/shared/sandbox/world"
)

// An hourObject counts what became of refunds in one hour of a day.
type hourObject struct {
	Hour     int `json:"hour"`
	Accepted int `json:"accepted"` // by WeChat Pay
	Settled  int `json:"settled"`  // as a success or closed
	InDoubt  int `json:"in_doubt"` // claimed in that hour, and of unknown outcome still
}

// getDay counts by the hours of one virtual day in China.
func (d *Door) getDay(r *http.Request, _ []byte) (any, error) {
	p := readParams(r)
	midnight := p.moment("date", false)
	if err := p.bad(); err != nil {
		return nil, err
	}
	if midnight.IsZero() {
		midnight = d.world.Now()
	}
	midnight = midnight.In(world.China)
	year, month, day := midnight.Date()
	midnight = time.Date(year, month, day, 0, 0, 0, 0, world.China)
	counts := d.world.Day(midnight)
	out := make([]hourObject, len(counts))
	for hour, c := range counts {
		out[hour] = hourObject{Hour: hour, Accepted: c.Accepted, Settled: c.Settled}
	}
	for _, claimed := range d.inDoubt(r.Context()) {
		if hour, ok := world.HourOf(midnight, claimed); ok {
			out[hour].InDoubt++
		}
	}
	return map[string]any{"date": midnight.Format(time.DateOnly), "hours": out}, nil
}

// inDoubt are when the refunds were claimed of which the merchant's side does not know
// whether WeChat Pay has them.
func (d *Door) inDoubt(ctx context.Context) []time.Time {
	x := d.index
	x.refresh(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []time.Time
	for _, e := range x.sorted {
		if e.InDoubt {
			out = append(out, e.at)
		}
	}
	return out
}
