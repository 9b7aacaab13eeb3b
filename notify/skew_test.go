package notify_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// D10: when it is our clock that is wrong, the log of a refused notification says by how much.
func TestD10SkewedClockIsTold(t *testing.T) {
	for offset, want := range map[time.Duration]string{-10 * time.Minute: " 600 s", 10 * time.Minute: " -600 s"} {
		f := setUp(t)
		var log bytes.Buffer
		f.Log = slog.New(slog.NewTextHandler(&log, nil))
		if w := f.send(t, func(m *message) { m.at = time.Now().Add(offset) }); w.Code != 401 {
			t.Errorf("%v: %d, want 401", offset, w.Code)
		}
		if !strings.Contains(log.String(), "reason=stale") || !strings.Contains(log.String(), want) {
			t.Errorf("%v: the log does not say%s: %s", offset, want, log.String())
		}
	}
}
