package control

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/doortest"
)

// Every door refuses what is misspelt in a query by its name, and so does whoever looks at
// the query itself.
func TestEveryDoorRefusesMisspeltNamesInAQuery(t *testing.T) {
	w := doortest.World(t)
	d := New(w, Config{Env: func(string) (string, error) { return "", nil }, Subscribers: func() any { return nil }})
	for _, e := range d.endpoints() {
		method, path, _ := strings.Cut(e.Pattern, " ")
		path, _, _ = strings.Cut(path, "?")
		r := httptest.NewRequest(method, path, nil)
		r.URL.RawQuery = "limt=5"
		r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost"
		answer := httptest.NewRecorder()
		d.Handler().ServeHTTP(answer, r)
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "limt") {
			t.Errorf("%s: %d %s, want 400 and the name", e.Pattern, answer.Code, answer.Body)
		}
	}
}
