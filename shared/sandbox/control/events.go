package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// maxWatchers bounds how many pages are kept up to date at a time.
	maxWatchers = 8

	// leastPause is the least time between two states that one page is sent.
	leastPause = 150 * time.Millisecond

	// heartbeat is the longest: it sets the page's clock, shows what another process
	// has done to the merchant's ledger, and finds out that a page has gone.
	heartbeat = 10 * time.Second

	// sendTime bounds how long a page may take to read a state.
	sendTime = 5 * time.Second
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

// serveEvents sends the state whenever it has changed, as server-sent events,
// until the page goes or the sandbox ends.
func (d *Door) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !d.watch(1) {
		Error(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are watching already; close one", maxWatchers))
		return
	}
	defer d.watch(-1)
	out := http.NewResponseController(w)
	// The server's own deadline for reading would end the stream.
	_ = out.SetReadDeadline(time.Time{}) // not every server can
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")

	pulse := time.NewTicker(heartbeat)
	defer pulse.Stop()
	for {
		changed := d.world.Changed() // first, so that nothing is missed between the look and the wait
		state, err := json.Marshal(d.state(r.Context()))
		if err != nil {
			d.world.Log.Error("state not written", "error", err)
			return
		}
		var event bytes.Buffer
		fmt.Fprintf(&event, "event: state\ndata: %s\n\n", state)
		_ = out.SetWriteDeadline(time.Now().Add(sendTime)) // not every server can
		if _, err := w.Write(event.Bytes()); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		if !d.world.Pause(r.Context(), leastPause) {
			return
		}
		select {
		case <-changed:
		case <-pulse.C:
		case <-r.Context().Done():
			return
		case <-d.world.Done():
			return
		}
	}
}
