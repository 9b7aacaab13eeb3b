package refund_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// named is the small upstream under another channel's name.
type named struct {
	*upstream
	name string
}

func (n named) Spec() refund.Spec {
	s := n.upstream.Spec()
	s.Name = n.name
	return s
}

// E9: a ledger is one merchant's from its first use.
func TestLedgerIsBoundToItsMerchant(t *testing.T) {
	sub := func(mchid, sub string) refund.Merchant { return refund.Merchant{MchID: mchid, SubMchID: sub} }
	for _, c := range []struct {
		name          string
		first, second refund.Merchant
		refused       bool
	}{
		{"the same", sub("1", ""), sub("1", ""), false},
		{"the same of a service provider", sub("1", "2"), sub("1", "2"), false},
		{"another", sub("1", ""), sub("3", ""), true},
		{"another sub-merchant", sub("1", "2"), sub("1", "4"), true},
		{"a service provider's own number", sub("1", "2"), sub("1", ""), true},
		{"a sub-merchant of the merchant", sub("1", ""), sub("1", "2"), true},
		{"another service provider", sub("1", "2"), sub("3", "2"), true},
		{"CloudPay, whose platform's number is not known", sub("", "2"), sub("1", "2"), false},
	} {
		f := setUp(t)
		f.Merchant = c.first
		if err := f.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := &refund.Service{Channel: f.up, Ledger: f.Ledger, Merchant: c.second}
		for range 2 {
			err := second.Bind(t.Context())
			if (err != nil) != c.refused {
				t.Errorf("%s: %v", c.name, err)
			}
			if c.refused && (!strings.Contains(err.Error(), c.first.MchID) || !strings.Contains(err.Error(), c.second.MchID)) {
				t.Errorf("%s: %q does not name both", c.name, err)
			}
		}
		if err := f.Bind(t.Context()); err != nil {
			t.Errorf("%s: the first is refused after it: %v", c.name, err)
		}
	}
}

// A channel of the same merchant may follow another once nothing is in doubt.
func TestChannelMayFollowAnotherOnceNothingIsInDoubt(t *testing.T) {
	f := doubtful(t, "R1", 60)
	if err := f.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := &refund.Service{Channel: named{f.up, "next"}, Ledger: f.Ledger, Merchant: merchant, Now: f.Now}
	for range 2 {
		err := next.Bind(t.Context())
		if !errors.Is(err, refund.ErrOtherChannel) || !strings.Contains(err.Error(), "test") || !strings.Contains(err.Error(), "next") {
			t.Errorf("beside a doubt: %v", err)
		}
		if _, err := next.Reconcile(t.Context()); !errors.Is(err, refund.ErrOtherChannel) {
			t.Errorf("reconcile beside a doubt: %v", err)
		}
		if _, err := next.Refund(t.Context(), server, request("R2", 1)); !refund.IsCode(err, refund.CodeInternal) {
			t.Errorf("a refund beside a doubt: %v", err)
		}
	}
	f.up.before = nil
	f.later(t, 2*time.Minute)
	if _, err := next.Reconcile(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
	if _, err := next.Refund(t.Context(), server, request("R2", 1)); err != nil {
		t.Errorf("a refund after it: %v", err)
	}
}

// Who only looks at a ledger is told what Bind would say, and leaves it as it is.
func TestBoundBindsNothing(t *testing.T) {
	f := setUp(t)
	for range 2 {
		if bound, err := f.Bound(t.Context()); bound || err != nil {
			t.Fatalf("a new ledger: got %v, %v; want false", bound, err)
		}
	}
	if err := f.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		channel refund.Channel
		of      refund.Merchant
		want    error
	}{
		{"ours", f.up, merchant, nil},
		{"another merchant's", f.up, refund.Merchant{MchID: "1"}, refund.ErrNotOurs},
		{"another channel's", named{f.up, "next"}, merchant, refund.ErrOtherChannel},
	} {
		s := &refund.Service{Channel: c.channel, Ledger: f.Ledger, Merchant: c.of}
		if bound, err := s.Bound(t.Context()); !bound || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, %v; want true, %v", c.name, bound, err, c.want)
		}
	}
}

// Nothing is done in a ledger that has moved, or that is a copy of another one; the error
// says which it is. A program that knows of neither takes it for another merchant's.
func TestClosedLedgerIsRefused(t *testing.T) {
	for why, says := range map[refund.ClosedAs]string{refund.ClosedAsMoved: "was moved to another database", refund.ClosedAsCopy: "has not taken its source's place"} {
		f := setUp(t)
		f.must(t, request("R1", 10))
		f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "a notification cannot be read")
		_, v := f.verify(t)
		items := v.Items
		o, err := refund.ReadOwnership(t.Context(), f.Ledger)
		if err != nil || o.Merchant != merchant || o.Channel != "test" || o.Closed != nil {
			t.Fatalf("it is %+v, %v", o, err)
		}
		earlier := o
		o.Closed = &refund.Closing{Why: why, Copy: "C", At: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC), By: "operator alice"}
		if err := o.Write(t.Context(), f.Ledger); err != nil {
			t.Fatal(err)
		}
		if err := earlier.Write(t.Context(), f.Ledger); !errors.Is(err, refund.ErrStale) {
			t.Errorf("written over a newer one: %v", err)
		}
		again, err := refund.ReadOwnership(t.Context(), f.Ledger)
		if err != nil || again.Merchant != merchant || again.Channel != "test" || *again.Closed != *o.Closed {
			t.Errorf("read again it is %+v, %v", again, err)
		}
		if body := string(f.items(t, refund.OwnershipKey)[0].Body); !strings.HasPrefix(body, `{"mchid":"(closed: `) {
			t.Errorf("a program of the version before reads %s", body)
		}

		other := &refund.Service{Channel: f.up, Ledger: f.Ledger, Merchant: merchant}
		calls := f.up.total()
		for what, err := range map[string]error{
			"bind":      other.Bind(t.Context()),
			"refund":    second(other.Refund(t.Context(), server, request("R2", 1))),
			"reconcile": second(other.Reconcile(t.Context())),
			"settle":    second(other.Settle(t.Context(), notification("R1", 10, refund.StatusSuccess))),
			"query":     second(other.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})),
		} {
			if !errors.Is(err, refund.ErrClosed) || !errors.Is(err, refund.ErrNotOurs) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "2026-11-26T01:02:03Z") {
				t.Errorf("%s of %s: %v", what, why, err)
			}
		}
		if f.up.total() != calls {
			t.Error("the upstream was called")
		}
		if err := other.Acknowledge(t.Context(), "notify", "notification_unreadable", "operator alice", ""); !errors.Is(err, refund.ErrClosed) {
			t.Errorf("acknowledge of %s: %v", why, err)
		}
		other.KeepAlarm(t.Context(), "notify", "another", "of which the ledger knows nothing yet")
		if _, v := f.verify(t); v.Refunds != 1 || v.Items != items { // reading is not using
			t.Errorf("verified: %+v, and there were %d items", v, items)
		}
	}
}

func second[T any](_ T, err error) error { return err }
