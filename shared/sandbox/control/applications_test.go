package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// What the console shows of applications is what the function tells the one who is played.
func TestApplicationsAreListedAsTheFunctionTellsThem(t *testing.T) {
	w := sandboxtest.New(t)
	var asked sandbox.Call
	reply, failure := "", error(nil)
	list := func(query string, status int) string {
		t.Helper()
		return string(w.Control("GET", "/_sandbox/view/applications"+query, "", status).Body)
	}
	if got := list("", 502); !strings.Contains(got, "no function wxpayFunctions") {
		t.Errorf("without a merchant's side: %s", got)
	}
	w.Sandbox.SetFunctions(map[string]sandbox.Function{"wxpayFunctions": func(_ context.Context, c sandbox.Call) (json.RawMessage, error) {
		asked = c
		return json.RawMessage(reply), failure
	}})

	reply = `{"code":0,"data":{"total":1,"offset":20,"items":[{"application_id":"A1"}]}}`
	if got := list("?as=oBuyer&state=PENDING&offset=20&limit=20", 200); !strings.Contains(got, `"application_id":"A1"`) {
		t.Errorf("got %s", got)
	}
	want := `{"kind":"applications","limit":20,"offset":20,"state":"PENDING","type":"wxpay_refund_list"}`
	if asked.OpenID != "oBuyer" || asked.Source != "" || string(asked.Event) != want {
		t.Errorf("the function is asked %s by %q, want %s", asked.Event, asked.OpenID, want)
	}
	if list("?limit=100", 200); asked.OpenID != "" || !strings.Contains(string(asked.Event), `"limit":50`) || strings.Contains(string(asked.Event), "state") {
		t.Errorf("the function is asked %s by %q", asked.Event, asked.OpenID)
	}

	for _, tt := range []struct {
		reply   string
		failure error
		status  int
		says    string
	}{
		{`{"code":403,"err_code":"NOAUTH","message":"not you"}`, nil, 403, "403 NOAUTH: not you"},
		{`{"code":7,"message":"odd"}`, nil, 502, "7 ?: odd"},
		{`{"code":0}`, nil, 502, "no list"},
		{`[]`, nil, 502, "no list"},
		{``, errors.New("it took too long"), 502, "it took too long"},
	} {
		reply, failure = tt.reply, tt.failure
		if got := list("", tt.status); !strings.Contains(got, tt.says) {
			t.Errorf("%s: got %s, want %s", tt.reply, got, tt.says)
		}
	}
	list("?as=a&as=b", 400)
	list("?by=a", 400)
}
