package operator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// A wish is an application as the console sends it.
type wish struct {
	ID, State, Applicant, Status string
	OutRefundNo                  string `json:"out_refund_no"`
	Can                          []string
	Timeline                     []struct{ What, By, Detail string }
}

// wishes are a list of them.
type wishes struct {
	Total        int
	Applications []wish
}

// What waits for a decision is counted on the first screen, listed, and decided once its id
// was typed, by whom the history names; who has applied is masked in everything that is sent.
func TestApplicationsAreListedAndDecided(t *testing.T) {
	w := open(t, file(t), true)
	if n := get[struct{ Applications int }](w, "overview").Applications; n != 0 {
		t.Errorf("%d wait, want none", n)
	}
	one, two := w.applied("A1", 100), w.applied("A2", 250)
	w.pay("A3")
	e := refund.AsError(w.refund(refund.Caller{Kind: refund.Operator, Name: alice}, "A3", "big", 9001))
	if e.Code != refund.CodeProposed || e.Proposed == nil {
		t.Fatalf("got %v, want an application", e)
	}
	own := e.Proposed.ID
	if n := get[struct{ Applications int }](w, "overview").Applications; n != 3 {
		t.Errorf("%d wait, want 3", n)
	}
	for query, want := range map[string]int{"": 3, "?state=pending": 3, "?state=approved": 0, "?limit=1": 1, "?offset=2": 1, "?offset=9": 0} {
		if got := get[wishes](w, "applications"+query); len(got.Applications) != want || got.Total != 3 && query != "?state=approved" {
			t.Errorf("%s: got %+v, want %d", query, got, want)
		}
	}
	for _, query := range []string{"?state=open", "?limit=51", "?offset=-1", "?x=1"} {
		w.call("GET", "applications"+query, "", http.StatusBadRequest)
	}
	w.call("GET", "applications/none", "", http.StatusNotFound)

	decide := func(id, what, word string, status int) {
		t.Helper()
		w.call("POST", "applications/"+id+"/"+what, fmt.Sprintf(`{"confirm":%q,"note":"looked at"}`, word), status)
	}
	decide(one, "approve", "yes", http.StatusConflict)
	decide(own, "approve", own, http.StatusForbidden)
	decide(own, "reject", own, http.StatusForbidden)
	if got := get[wish](w, "applications/"+one); got.State != "pending" || strings.Join(got.Can, " ") != "approve reject" || got.Status != "" {
		t.Errorf("got %+v", got)
	}
	decide(one, "approve", one, 200)
	decide(two, "reject", two, 200)
	decide(two, "approve", two, http.StatusConflict)
	got := get[wish](w, "applications/"+one)
	if got.State != "approved" || got.Status != "PROCESSING" || got.OutRefundNo == "" || len(got.Can) > 0 {
		t.Errorf("got %+v", got)
	}
	if last := got.Timeline[len(got.Timeline)-1]; last.What != "approved" || !strings.HasPrefix(last.By, "operator ") || !strings.Contains(last.Detail, "looked at") {
		t.Errorf("got %+v", last)
	}
	w.settle(got.OutRefundNo, "SUCCESS")
	if got := get[wish](w, "applications/"+one); got.State != "refunded" || got.Status != "SUCCESS" {
		t.Errorf("got %+v", got)
	}
	if d := get[struct {
		ID string `json:"application_id"`
	}](w, "refunds/"+got.OutRefundNo); d.ID != one {
		t.Errorf("the refund was decided by %q, want %s", d.ID, one)
	}
	if refunds := w.numbers("", 200); len(refunds) != 1 {
		t.Errorf("there are %v, want one refund", refunds)
	}

	var said strings.Builder
	for _, path := range []string{"applications", "applications/" + one, "applications/" + two, "applications/" + own} {
		said.Write(w.call("GET", path, "", 200))
	}
	for _, secret := range []string{buyer, alice} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("%s is in what is sent: %s", secret, said.String())
		}
	}
	decide(two, "withdraw", two, http.StatusForbidden)
	if got := get[wish](w, "applications/"+own); strings.Join(got.Can, " ") != "withdraw" {
		t.Errorf("what one has proposed oneself can be met with %v", got.Can)
	}
	decide(own, "withdraw", "yes", http.StatusConflict)
	w.serve(false)
	decide(own, "approve", own, http.StatusForbidden)
	decide(own, "withdraw", own, http.StatusForbidden)
	if got := get[wish](w, "applications/"+own); len(got.Can) > 0 {
		t.Errorf("a console that only shows offers %v", got.Can)
	}
	w.serve(true)
	decide(own, "withdraw", own, 200)
	if got := get[wish](w, "applications/"+own); got.State != "withdrawn" || len(got.Can) > 0 {
		t.Errorf("got %+v", got)
	}
}
