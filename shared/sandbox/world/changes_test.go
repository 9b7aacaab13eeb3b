package world_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/sandbox/world"
)

// Since any revision, what has changed is what was touched after it, by its last touch.
func TestRecentTellsWhatHasChangedSince(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		touched := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 40).Draw(rt, "touched")
		var r world.Recent[int]
		for _, thing := range touched {
			r.Touch(thing)
		}
		if r.Revision() != int64(len(touched)) {
			rt.Fatalf("got revision %d, want %d", r.Revision(), len(touched))
		}
		since := rapid.IntRange(0, len(touched)).Draw(rt, "since")
		var want []int
		for i, thing := range touched[since:] {
			if !slices.Contains(touched[since+i+1:], thing) {
				want = append(want, thing)
			}
		}
		if d := cmp.Diff(want, r.Since(int64(since))); d != "" {
			rt.Fatalf("of %v since %d (-want +got):\n%s", touched, since, d)
		}
	})
}

// Each change of an order, a refund or a notification is told once, to however many ask.
func TestChangesAreToldOfWhatHasChanged(t *testing.T) {
	w := doortest.World(t)
	w.SetURLs(world.URLs{Notify: "http://127.0.0.1:1/"}) // where nobody listens
	tell := func(since int64) (told []string, revision int64) {
		c := w.ChangedSince(since)
		for _, o := range c.Orders {
			told = append(told, fmt.Sprintf("order %d %s %d", o.Number, o.OutTradeNo, o.Left))
		}
		for _, r := range c.Refunds {
			told = append(told, "refund "+r.OutRefundNo+" "+r.Status)
		}
		for _, d := range c.Deliveries {
			told = append(told, fmt.Sprintf("notification %d of %s %s %d", d.Number, d.OutRefundNo, d.State, len(d.Attempts)))
		}
		return told, c.Revision
	}
	seen := int64(0)
	for _, step := range []struct {
		what string
		do   func() error
		want []string
	}{
		{"the beginning", func() error { return nil }, []string{"order 2 T00001 10000", "order 1 T1 9900", "refund R0 PROCESSING"}},
		{"nothing", func() error { return nil }, nil},
		{"an order", func() error { _, err := w.Pay(world.Order{OutTradeNo: "T2", Total: 5}); return err }, []string{"order 3 T2 5"}},
		{"a refund", func() error {
			_, err := w.ApplyByHand(world.Application{OutTradeNo: "T1", OutRefundNo: "R1", Amount: world.ApplicationAmount{Refund: 1}}, world.NotificationV3)
			return err
		}, []string{"order 1 T1 9899", "refund R1 PROCESSING"}},
		{"its end", func() error { _, err := w.Settle(t.Context(), "R1", world.StatusClosed); return err }, []string{"order 1 T1 9900", "refund R1 CLOSED"}},
	} {
		waits := w.Changed()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		before := seen
		var told []string
		told, seen = tell(before)
		if d := cmp.Diff(step.want, told); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, d)
		}
		if again, _ := tell(before); !slices.Equal(again, told) {
			t.Errorf("%s: who asks as well is told %v, want %v", step.what, again, told)
		}
		select {
		case <-waits:
		default:
			if step.want != nil && before > 0 {
				t.Errorf("%s: whoever waits is not told", step.what)
			}
		}
	}
}

// The notifications about a refund are found by its number, and by their own.
func TestNotificationsAreFoundByTheirRefund(t *testing.T) {
	w := sandboxtest.New(t)
	for _, no := range []string{"1", "2"} {
		w.Order("T" + no)
		w.Refund("T"+no, "R"+no)
		w.Control("POST", "/_sandbox/refunds/R"+no+"/settle", `{"status":"ABNORMAL"}`, 200)
	}
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	for no, want := range map[string][]string{"R1": {"REFUND.ABNORMAL", "REFUND.SUCCESS"}, "R2": {"REFUND.ABNORMAL"}} {
		var detail struct {
			Deliveries []struct {
				ID        string
				EventType string `json:"event_type"`
				Attempts  []any
			}
		}
		w.Control("GET", "/_sandbox/view/refunds/"+no, "", 200).Decode(t, &detail)
		var got []string
		for _, d := range detail.Deliveries {
			got = append(got, d.EventType)
			if len(d.Attempts) != 1 {
				t.Errorf("%s %s: got %d attempts, want one", no, d.EventType, len(d.Attempts))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", no, diff)
		}
	}
}
