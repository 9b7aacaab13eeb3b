package control

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/console"
	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
)

// FuzzBodies sends any body to any endpoint.
func FuzzBodies(f *testing.F) {
	paths := []string{"orders", "refunds", "refunds/R0/settle", "faults", "clock", "deliveries/x/resend", "x"}
	for i, body := range []string{
		`{"out_trade_no":"T2","total":100,"openid":"o1","success_time":"2020-06-08T10:34:56+08:00","promotion_detail":[{"promotion_id":"1","scope":"GLOBAL","type":"CASH","amount":2}]}`,
		`{"out_trade_no":"T1","out_refund_no":"H1","amount":{"refund":1}}`,
		`{"status":"ABNORMAL"}`,
		`{"upstream":"slow","notify":"reorder","rate":0.5,"count":3}`,
		`{"advance":"1h"}`,
		`{}`, ``,
	} {
		f.Add(i, body)
	}
	f.Add(1, `{"transaction_id":"4200000000000000000000000001","out_refund_no":"H1","amount":100}`)
	f.Fuzz(func(t *testing.T, path int, body string) {
		w := doortest.World(t)
		r := httptest.NewRequest("POST", "/_sandbox/"+paths[uint(path)%uint(len(paths))], strings.NewReader(body))
		r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost"
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		New(w, Config{}).Handler().ServeHTTP(answer, r)
		var out struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &out); err != nil || (out.Error == "") != (answer.Code == http.StatusOK) || answer.Code >= 500 || strings.Contains(out.Error, "%!") {
			t.Fatalf("%d %s, %v", answer.Code, answer.Body, err)
		}
		doortest.Check(t, w)
	})
}

var entrances = []doortest.Entrance{
	{Name: "guard", Head: "localhost:8700", Body: `http://localhost:8700`, Enter: func(w *world.World, head string, body []byte) string {
		r := httptest.NewRequest("GET", "/_sandbox/credentials", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:50000", head
		r.Header.Set("Origin", string(body))
		answer := httptest.NewRecorder()
		New(w, Config{}).Handler().ServeHTTP(answer, r)
		if answer.Code == http.StatusOK && (!console.LoopbackHost(head) || len(body) > 0 && !strings.HasSuffix(string(body), "//"+head)) {
			return "it lets the stranger in"
		}
		return ""
	}},
}

func FuzzGuard(f *testing.F) { doortest.Fuzz(f, entrances) }
