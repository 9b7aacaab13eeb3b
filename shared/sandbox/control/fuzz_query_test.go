package control

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
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
			case answer.Code == http.StatusOK && path == "refunds.csv" && strings.HasPrefix(answer.Body.String(), bom):
			case err != nil || answer.Code != http.StatusOK && answer.Code != http.StatusBadRequest || (out.Error == "") != (answer.Code == http.StatusOK):
				t.Fatalf("%s?%s: %d %s, %v", path, query, answer.Code, answer.Body, err)
			case out.Total < 0 || len(out.Refunds) > maxLimit || path == "refunds" && len(out.Refunds) > max(0, out.Total-out.Offset):
				t.Fatalf("%s?%s: %d of %d from %d", path, query, len(out.Refunds), out.Total, out.Offset)
			}
		}
	})
}

// FuzzAmounts writes any amount and finds it again, in every currency; and whatever reads as
// an amount is one that can be written.
func FuzzAmounts(f *testing.F) {
	for minor, currency := range map[int64]string{0: "CNY", 60: "CNY", 123450: "USD", 500: "JPY", 1005: "KWD"} {
		f.Add(minor, currency, decimal(minor, currency))
	}
	f.Fuzz(func(t *testing.T, minor int64, currency, text string) {
		if minor >= 0 && minor <= world.MaxFen {
			written := decimal(minor, currency)
			for _, how := range []string{written, "¥" + written, code + written, " " + written + " "} {
				if a, ok := parseAmount(how); !ok || !a.is(minor, currency) || a.is(minor+1, currency) {
					t.Errorf("%d %s is written %q, and read as %v, %t", minor, currency, how, a, ok)
				}
			}
		}
		if a, ok := parseAmount(text); ok && a[maxDigits] >= 0 {
			if again, ok := parseAmount(decimal(a[maxDigits], "KWD")); !ok || again != a {
				t.Errorf("%q is read as %v, and that as %v", text, a, again)
			}
		}
	})
}

// code stands before an amount as in the console.
const code = "USD\u00a0"
