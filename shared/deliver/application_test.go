package deliver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/deliver"
	"wxrefund/shared/refund"
)

// decided is the event of an application that was approved.
func decided() refund.Event {
	return refund.Event{
		ID: "application-0123456789abcdef01234567", At: time.Date(2026, 11, 22, 2, 5, 0, 0, time.UTC), Merchant: refund.Merchant{MchID: "1900000109", SubMchID: "1900000110"},
		Application: &refund.Application{
			ID: "A1", State: refund.ApplicationApproved, OutTradeNo: "ORDER1", TransactionID: "4200000000000001", OutRefundNo: "a-1",
			Amount: refund.ApplicationAmount{Refund: 60, Total: 100, Currency: "CNY"}, Reason: "不想要了",
			CreatedAt: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC), DecidedAt: time.Date(2026, 11, 22, 2, 5, 0, 0, time.UTC),
			Refund: &refund.Refund{OutRefundNo: "a-1", UserReceivedAccount: "canary"}, Applicant: "user canary",
			History: []refund.HistoryEntry{{What: "approved", By: "user canary"}},
		},
	}
}

// An event about an application is written as those about refunds are, under a type of its
// own, and tells of nobody who they are.
func TestEventOfAnApplicationTellsWhatBecameOfItAndOfNobody(t *testing.T) {
	const want = `{"id":"application-0123456789abcdef01234567","create_time":"2026-11-22T10:05:00+08:00","resource_type":"encrypt-resource",
		"event_type":"REFUND_APPLICATION.APPROVED","summary":"退款申请已批准","resource":{"mchid":"1900000109","sub_mchid":"1900000110",
		"application_id":"A1","state":"APPROVED","out_trade_no":"ORDER1","transaction_id":"4200000000000001","out_refund_no":"a-1","reason":"不想要了",
		"created_at":"2026-11-22T09:00:00+08:00","decided_at":"2026-11-22T10:05:00+08:00","amount":{"total":100,"refund":60,"currency":"CNY"}}}`
	got, err := deliver.Encode(decided())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(decode(t, want), decode(t, string(got))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Each state has its event; what is none has not.
func TestEachStateOfAnApplicationIsToldInItsOwnWords(t *testing.T) {
	told := map[string]bool{}
	for _, state := range append(refund.ApplicationStates(), "", "SUCCESS") {
		e := decided()
		e.Application.State = state
		got, err := deliver.Encode(e)
		if state == "" || state == "SUCCESS" {
			if err == nil {
				t.Errorf("%q: got %s, want an error", state, got)
			}
			continue
		}
		if err != nil || !strings.Contains(string(got), `"event_type":"REFUND_APPLICATION.`+string(state)+`"`) {
			t.Errorf("%s: %s, %v", state, got, err)
			continue
		}
		summary, _ := decode(t, string(got)).(map[string]any)["summary"].(string)
		if summary == "" || told[summary] {
			t.Errorf("%s: summary %q", state, summary)
		}
		told[summary] = true
	}
	pending := decided()
	pending.Application.State, pending.Application.DecidedAt, pending.Application.OutRefundNo = refund.ApplicationPending, time.Time{}, ""
	got, err := deliver.Encode(pending)
	if err != nil || strings.Contains(string(got), "decided_at") || strings.Contains(string(got), "out_refund_no") {
		t.Errorf("nothing is decided: %s, %v", got, err)
	}
}

// Functions and webhooks get it by the same ways, under the same id.
func TestApplicationsAreDeliveredAsRefundsAre(t *testing.T) {
	if err := deliver.Function(gateway(t), "goodSubscriber").Tell(t.Context(), decided()); err != nil {
		t.Error(err)
	}
	srv := newReceiver(t)
	if err := deliver.Webhook(srv.Client(), srv.URL, parseSecret(t, secretText)).Tell(t.Context(), decided()); err != nil {
		t.Fatal(err)
	}
	if want, _ := deliver.Encode(decided()); srv.header.Get("webhook-id") != decided().ID || string(srv.body) != string(want) {
		t.Errorf("%v\n%s", srv.header, srv.body)
	}
}
