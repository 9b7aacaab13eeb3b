package sandbox_test

import (
	"encoding/json"
	"strings"
	"testing"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A client that is told a Request-Id finds its request in the log by it, and a receiver
// its notification.
func TestTheLogHoldsEveryRequestID(t *testing.T) {
	for name, u := range upstreams {
		var log strings.Builder
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Log = sandboxtest.JSONLog(&log) })
		w.Order("T00001")
		u.refund(w, map[string]string{"out_trade_no": "T00001"}, "R1", 1)
		u.query(w, "R2") // which there is none of
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
		ids := map[string]int{}
		for line := range strings.Lines(log.String()) {
			var in struct {
				Msg, Path string
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(line), &in); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if in.Msg == "answered" || in.Msg == "notification sent" {
				ids[in.RequestID]++
			}
		}
		if ids[""] > 0 || len(ids) < 2 {
			t.Errorf("%s: requests %v, want each under an id of its own:\n%s", name, ids, &log)
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("%s: %s stands for %d requests", name, id, n)
			}
		}
		for _, p := range w.Receiver.Received() {
			if id := p.Header.Get("Request-Id"); ids[id] != 1 {
				t.Errorf("%s: the notification %s is not in the log:\n%s", name, id, &log)
			}
		}
		id := w.Call("GET", sandboxtest.RefundsPath+"/R2", "").RequestID()
		if id == "" || !strings.Contains(log.String(), `"request_id":"`+id+`"`) {
			t.Errorf("%s: the answer %s is not in the log:\n%s", name, id, &log)
		}
	}
}
