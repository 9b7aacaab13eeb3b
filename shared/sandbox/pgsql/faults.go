package pgsql

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// A Fault strikes one call.
type Fault string

// The faults. Whoever is not answered cannot tell them apart.
const (
	LostBefore     Fault = "lost_before"      // the connection breaks, nothing was done
	LostAfter      Fault = "lost_after"       // it was done, and the connection breaks
	Hang           Fault = "hang"             // nothing was done, and no answer comes until the client goes
	HangAfter      Fault = "hang_after"       // it was done, and no answer comes
	ExecError      Fault = "exec_error"       // DATABASE_EXEC_ERROR, nothing was done
	ExecErrorAfter Fault = "exec_error_after" // the same, and it was done
	Internal       Fault = "500"              // INTERNAL_ERROR, nothing was done
	InternalAfter  Fault = "500_after"        // the same, and it was done
	Limited        Fault = "429"              // nothing was done
	Unauthorized   Fault = "401"
	Forbidden      Fault = "403"
	Object         Fault = "object" // status 200 and an error's object, nothing was done
)

// Faults are all of them.
func Faults() []Fault {
	return []Fault{LostBefore, LostAfter, Hang, HangAfter, ExecError, ExecErrorAfter, Internal, InternalAfter, Limited, Unauthorized, Forbidden, Object}
}

// occasional are those that strike by themselves: which of them the real one knows, and
// whether it had done the call, nobody has told.
var occasional = []Fault{LostBefore, LostAfter, ExecError, ExecErrorAfter, Internal, InternalAfter, Limited}

// answers are those that are answered.
var answers = map[Fault]refusal{
	ExecError:      {http.StatusBadRequest, "DATABASE_EXEC_ERROR", "execution failed"},
	ExecErrorAfter: {http.StatusBadRequest, "DATABASE_EXEC_ERROR", "execution failed"},
	Internal:       {http.StatusInternalServerError, "INTERNAL_ERROR", "internal error"},
	InternalAfter:  {http.StatusInternalServerError, "INTERNAL_ERROR", "internal error"},
	Limited:        {http.StatusTooManyRequests, "EXCEED_REQUEST_LIMIT", "too many requests"},
	Unauthorized:   {http.StatusUnauthorized, "INVALID_ACCESS_TOKEN", "the token is not of this environment"},
	Forbidden:      {http.StatusForbidden, "ACTION_FORBIDDEN", "only an administrator may"},
	Object:         {http.StatusOK, "INTERNAL_ERROR", "internal error"},
}

// before strikes ahead of the statement: an answer, or none at all.
func (f Fault) before(ctx, door context.Context) *refusal {
	switch f {
	case LostBefore:
		panic(http.ErrAbortHandler)
	case Hang:
		hang(ctx, door)
	case ExecError, Internal, Limited, Unauthorized, Forbidden, Object:
		no := answers[f]
		return &no
	}
	return nil
}

// after strikes behind it.
func (f Fault) after(ctx, door context.Context) *refusal {
	switch f {
	case LostAfter:
		panic(http.ErrAbortHandler)
	case HangAfter:
		hang(ctx, door)
	case ExecErrorAfter, InternalAfter:
		no := answers[f]
		return &no
	}
	return nil
}

// hang waits until the client goes, its time is up or the door closes, and answers nothing.
func hang(ctx, door context.Context) {
	select {
	case <-ctx.Done():
	case <-door.Done():
	}
	panic(http.ErrAbortHandler)
}

// faults are those that are to come.
type faults struct {
	mu    *sync.Mutex
	rand  *rand.Rand
	rate  float64
	armed *[]armed
}

type armed struct {
	containing string
	fault      Fault
}

func newFaults(seed uint64, rate float64) faults {
	return faults{mu: new(sync.Mutex), rand: rand.New(rand.NewPCG(seed, 0)), rate: rate, armed: new([]armed)} //nolint:gosec // chance, no secret
}

// Fail has the next calls whose SQL contains a text suffer faults, one each, in order.
func (d *Door) Fail(containing string, all ...Fault) {
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	for _, f := range all {
		*d.faults.armed = append(*d.faults.armed, armed{containing, f})
	}
}

// Pending returns how many of these have not struck yet.
func (d *Door) Pending() int {
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	return len(*d.faults.armed)
}

// next is the fault of a call; "" for none.
func (f faults) next(sql string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range *f.armed {
		if strings.Contains(sql, a.containing) {
			*f.armed = append((*f.armed)[:i:i], (*f.armed)[i+1:]...)
			return a.fault
		}
	}
	if f.rate > 0 && f.rand.Float64() < f.rate {
		return occasional[f.rand.IntN(len(occasional))]
	}
	return ""
}
