package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Alarms are told from the sandbox as from a deployed function, to whom the environment
// says; so is whether a refund waits for the balance.
func TestTheSandboxTellsOfAlarms(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	told := receive(t, "")
	p := startWith(t, environment(map[string]string{"ALERT_URL": told.URL, "ALERT_SECRET": secret, "REFUND_WAIT_FUNDS": "true"}), "-timer=false", "-hostile=false")
	o := p.order()
	p.control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH"}`, nil)
	if got := p.dispatch(refundEvent(o, "R1", 60)); got.Code != 422 || got.Retry != "later" {
		t.Fatalf("got %+v, want 422 and later", got)
	}
	p.call("reconcile", `{}`)
	n, head, body := told.got()
	if n != 1 || verifier.Verify([]byte(body), http.Header(head)) != nil {
		t.Fatalf("%d messages, %v", n, body)
	}
	var message struct {
		Data struct {
			Text   string
			Alarms []struct {
				Alarm       string
				OutRefundNo string `json:"out_refund_no"`
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &message); err != nil || len(message.Data.Alarms) != 1 ||
		message.Data.Alarms[0].Alarm != "not_enough" || message.Data.Alarms[0].OutRefundNo != "R1" || !strings.Contains(message.Data.Text, "operate show R1") {
		t.Errorf("%v: %s", err, body)
	}
	p.control("DELETE", "/_sandbox/faults", "", nil)
	p.pass("1h")
	p.call("reconcile", `{}`)
	if states := p.recorded(o); states["R1"] == "claimed" || states["R1"] == "rejected" {
		t.Errorf("after the top-up: %v", states)
	}
}
