package control

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/doortest"
)

// FuzzQueries asks the lists for anything: what cannot be read is refused in a sentence, and
// what can holds what is asked for.
func FuzzQueries(f *testing.F) {
	for _, query := range []string{
		"", "q=0.60&state=open,success&since=2026-11-26&until=2026-11-26T10:34:56%2B08:00&min=1&max=100&currency=CNY&order=T1&doubt=true&offset=1&limit=2",
		"q=%C2%A51,234.50", "q=JPY+500", "undelivered=false&owed=true&difference=true", "limit=9223372036854775808", "refund=R1&kind=call,function&refused=true", "date=2026-11-26", "q=9999999999999999.999", "%zz=;&=",
	} {
		f.Add(query)
	}
	paths := []string{"refunds", "refunds.csv", "orders", "notifications", "refunds/R0", "orders/T1", "exchanges", "day"}
	d := New(doortest.World(f), Config{})
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range paths {
			r := httptest.NewRequest("GET", "/_sandbox/view/"+path, nil)
			r.RemoteAddr, r.Host, r.URL.RawQuery = "127.0.0.1:50000", "localhost", query
			answer := httptest.NewRecorder()
			d.Handler().ServeHTTP(answer, r)
			var out struct {
				Error         string
				Total, Offset int
				Refunds       []row
			}
			switch err := json.Unmarshal(answer.Body.Bytes(), &out); {
			case answer.Code == http.StatusOK && path == "refunds.csv" && strings.HasPrefix(answer.Body.String(), "\xef\xbb\xbf"):
			case err != nil || answer.Code != http.StatusOK && answer.Code != http.StatusBadRequest || (out.Error == "") != (answer.Code == http.StatusOK):
				t.Fatalf("%s?%s: %d %s, %v", path, query, answer.Code, answer.Body, err)
			case out.Total < 0 || len(out.Refunds) > console.MaxLimit || path == "refunds" && len(out.Refunds) > max(0, out.Total-out.Offset):
				t.Fatalf("%s?%s: %d of %d from %d", path, query, len(out.Refunds), out.Total, out.Offset)
			}
		}
	})
}
