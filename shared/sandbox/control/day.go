package control

import (
	"net/http"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/world"
)

// An hourObject counts what became of refunds in one hour of a day.
type hourObject struct {
	Hour     int `json:"hour"`
	Accepted int `json:"accepted"` // by WeChat Pay
	Settled  int `json:"settled"`  // as a success or closed
	InDoubt  int `json:"in_doubt"` // claimed in that hour, and of unknown outcome still
}

// viewDay counts by the hours of one virtual day in China.
func (d *Door) viewDay(r *http.Request, _ []byte) (any, error) {
	p := console.ReadParams(r)
	day := p.Day("date", d.world.Now())
	if err := p.Bad(); err != nil {
		return nil, err
	}
	counts := d.world.Day(day)
	out := make([]hourObject, len(counts))
	for hour, c := range counts {
		out[hour] = hourObject{Hour: hour, Accepted: c.Accepted, Settled: c.Settled}
	}
	d.index.refresh(r.Context())
	for _, claimed := range d.index.inDoubt() {
		if hour, ok := world.HourOf(day, claimed); ok {
			out[hour].InDoubt++
		}
	}
	return map[string]any{"date": day.Format(time.DateOnly), "hours": out}, nil
}

// inDoubt are when the merchant's refunds were claimed of which he does not know what came.
func (x *index) inDoubt() (claimed []time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.refunds {
		if e.InDoubt {
			claimed = append(claimed, e.merchant.at)
		}
	}
	return claimed
}
