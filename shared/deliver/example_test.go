package deliver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"wxrefund/shared/deliver"
	"wxrefund/shared/refund"
)

// A subscriber verifies the webhook before it reads it, takes each event once,
// whatever is delivered twice, and answers 2xx when it has it for good. Any library
// of Standard Webhooks (standardwebhooks.com) verifies; this is the one for Go.
func ExampleWebhook() {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // NOTIFY_WEBHOOK_SECRET
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		panic(err)
	}
	taken := map[string]bool{} // a table in the subscriber's database
	subscriber := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event struct {
			ID        string `json:"id"` // the same as in the header webhook-id
			EventType string `json:"event_type"`
			Resource  struct {
				OutRefundNo string `json:"out_refund_no"`
				Amount      struct {
					Refund   int64  `json:"refund"`
					Currency string `json:"currency"`
				} `json:"amount"`
			} `json:"resource"`
		}
		if json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !taken[event.ID] {
			taken[event.ID] = true
			fmt.Println(event.EventType, event.Resource.OutRefundNo, event.Resource.Amount.Refund, event.Resource.Amount.Currency)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer subscriber.Close()

	// The back end delivers, and delivers again if it missed the answer.
	key, err := deliver.ParseSecret(secret)
	if err != nil {
		panic(err)
	}
	settled := refund.Event{
		ID: "evt-1", At: time.Now(), Status: refund.StatusSuccess,
		Refund: refund.Refund{OutRefundNo: "refund-1", Amount: refund.Amount{Refund: 499, Total: 999, Currency: "CNY"}},
	}
	for range 2 {
		fmt.Println(deliver.Webhook(subscriber.Client(), subscriber.URL, key).Tell(context.Background(), settled))
	}
	// Output:
	// REFUND.SUCCESS refund-1 499 CNY
	// <nil>
	// <nil>
}
