package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"wxrefund/shared/console"
)

const (
	// maxWatchers bounds how many pages are kept up to date at a time.
	maxWatchers = 8

	// leastPause is the least time between two events that one page is sent.
	leastPause = 200 * time.Millisecond

	// heartbeat is the longest: it sets the page's clock, and finds out that a page has
	// gone.
	heartbeat = 10 * time.Second

	// sendTime bounds how long a page may take to read an event.
	sendTime = 5 * time.Second

	// maxChanged is how many refunds, orders and notifications one event holds at most. Of
	// more than those it says so, and the page asks for what it shows.
	maxChanged = 100
)

// watch counts a page that wants to be kept up to date, and tells whether there
// is room for it.
func (d *Door) watch(by int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by > 0 && d.watchers >= maxWatchers {
		return false
	}
	d.watchers += by
	return true
}

func (d *Door) getEvents(*http.Request, []byte) (any, error) {
	return http.HandlerFunc(d.serveEvents), nil
}

// serveEvents sends the state, and then what changes, as server-sent events, until the
// page goes or the sandbox ends. Each page is served by itself: one that reads slowly
// gets the changes together, and nobody waits for it.
func (d *Door) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !d.watch(1) {
		(&console.Refusal{Status: http.StatusServiceUnavailable, Text: fmt.Sprintf("%d pages are watching already; close one", maxWatchers)}).Write(w)
		return
	}
	defer d.watch(-1)
	out := http.NewResponseController(w)
	// The server's own deadline for reading would end the stream.
	_ = out.SetReadDeadline(time.Time{}) // not every server can
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")

	pulse := time.NewTicker(heartbeat)
	defer pulse.Stop()
	var seen watched
	for beat := true; ; {
		changed := d.world.Changed() // first, so that nothing is missed between the look and the wait
		name, event := d.news(r.Context(), &seen, beat)
		if event != nil {
			if err := send(w, out, name, event); err != nil {
				return
			}
			if !d.world.Pause(r.Context(), leastPause) {
				return
			}
		}
		select {
		case <-changed:
			beat = false
		case <-pulse.C:
			beat = true
		case <-r.Context().Done():
			return
		case <-d.world.Done():
			return
		}
	}
}

// send writes one event.
func send(w http.ResponseWriter, out *http.ResponseController, name string, event any) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: ", name)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(event); err != nil {
		return err
	}
	b.WriteString("\n")
	_ = out.SetWriteDeadline(time.Now().Add(sendTime)) // not every server can
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	return out.Flush()
}

// watched is what a page has been sent.
type watched struct {
	revision int64
	fields   fields // of the state; nil: nothing has been sent
}

// fields are a state's, by their names.
type fields map[string]json.RawMessage

// fieldsOf takes a state apart.
func fieldsOf(s stateObject) (out fields, err error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}

// news returns what a page is to be sent, nil if that is nothing: the state at first,
// then what has changed since; and with beat at least what time it is.
func (d *Door) news(ctx context.Context, seen *watched, beat bool) (name string, event any) {
	state := d.state(ctx)
	now, err := fieldsOf(state)
	if err != nil {
		d.world.Log.Error("state not written", "error", err)
		return "", nil
	}
	before := *seen
	*seen = watched{state.Revision, now}
	if before.fields == nil {
		return "state", now
	}
	out := map[string]any{}
	for field, is := range now {
		if field != "now" && !bytes.Equal(is, before.fields[field]) {
			out[field] = is
		}
	}
	for field := range before.fields {
		if _, still := now[field]; !still {
			out[field] = nil
		}
	}
	if len(out) == 0 && !beat {
		return "", nil
	}
	if len(out) > 0 {
		out["totals"], out["next_delivery"] = state.Totals, state.Next
		d.index.changedSince(before.revision, out)
	}
	out["now"], out["revision"] = state.Now, state.Revision
	return "change", out
}

// changedSince puts into an event what has changed since a revision.
func (x *index) changedSince(revision int64, out map[string]any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.recent.Since(revision)
	if len(all) > maxChanged {
		out["more"] = true
		return
	}
	refunds, orders, notices := []row{}, []orderState{}, []string{}
	for _, thing := range all {
		switch e := thing.(type) {
		case *entry:
			refunds = append(refunds, e.row)
		case *orderEntry:
			orders = append(orders, e.orderState)
		case *noticeEntry:
			notices = append(notices, e.id)
		}
	}
	out["refunds"], out["orders"], out["notifications"] = refunds, orders, notices
}
