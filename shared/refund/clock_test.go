package refund_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// skewed are two services over one ledger; the second one's clock runs ahead.
func skewed(t *testing.T, ahead time.Duration) (f *fixture, fast *refund.Service) {
	t.Helper()
	f = clocked(t)
	f.Pace = time.Minute
	fast = &refund.Service{Channel: f.up, Ledger: f.Ledger, Merchant: merchant, Log: f.Log, Pace: time.Minute,
		Now: func() time.Time { return f.Now().Add(ahead) }}
	return f, fast
}

// E7: one instance whose clock runs ahead delays nobody else by more than the rule.
func TestOneFastClockDelaysNobodyBeyondTheRule(t *testing.T) {
	for _, ahead := range []time.Duration{40 * time.Second, 2 * time.Minute, 8 * time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			f, fast := skewed(t, ahead)
			// The pace of an order.
			if _, err := fast.Refund(t.Context(), server, request("R1", 10)); err != nil {
				t.Fatal(err)
			}
			for waited := time.Duration(0); ; waited += 10 * time.Second {
				_, err := f.Refund(t.Context(), server, request("R2", 10))
				if err == nil {
					break
				}
				wantCode(t, err, refund.CodeLimited, refund.Later)
				if waited > 2*time.Minute { // the rule, and as much more at most
					t.Fatalf("R2 waits %v", waited)
				}
				f.advance(10 * time.Second)
			}

			// Questions: what the fast one has claimed is asked about in time.
			f.up.set("R1", refund.StatusSuccess)
			for range 64 { // the first sweep is at once, the next after an hour
				f.later(t, time.Minute)
			}
			f.wantStatus(t, "R1", "SUCCESS", "an hour later")

			// A doubt: what the fast one has submitted ends a day later.
			f.up.before = noAnswer
			_, err := fast.Refund(t.Context(), server, request("R3", 10))
			wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			f.wait(t, 26*time.Hour)
			f.wantState(t, "R3", refund.Rejected, "a day later")
		})
	}
}

// E7: deliveries that a fast clock has put off are made in time.
func TestDeliveryOfAFastClockIsMadeInTime(t *testing.T) {
	f, fast := skewed(t, 8*time.Hour)
	shop := f.subscribe("shop")
	fast.Subscribers = []refund.Subscriber{{Name: "shop", Tell: failing}}
	f.must(t, request("R1", 10))
	if _, err := fast.Settle(t.Context(), notification("R1", 10, refund.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	fast.Deliver(t.Context(), "R1")
	for range 64 {
		f.later(t, time.Minute)
	}
	if len(shop.events()) != 1 {
		t.Errorf("told %d times within an hour", len(shop.events()))
	}
}

// E7: a shared rate that a fast clock has moved into the future stops nobody.
func TestRateOfAFastClockStopsNobody(t *testing.T) {
	for _, field := range []string{"next", "bad"} {
		for _, ahead := range []time.Duration{4 * time.Second, 2 * time.Minute, 8 * time.Hour} {
			f := setUp(t)
			f.up.spec.Rate, f.up.spec.BadRate = 150, 6
			body := fmt.Sprintf(`{%q:%d}`, field, time.Now().Add(ahead).UnixMicro())
			f.write(t, refund.Item{Key: refund.Key("limit/" + merchant.MchID), Body: []byte(body)})
			f.must(t, request("R1", 10))
			if !strings.Contains(f.log.String(), "clock runs ahead") {
				t.Errorf("%s %v ahead: not logged", field, ahead)
			}
		}
	}
}

// No wrong clock may release a claim while a submission may still be carried out.
func TestWrongClockReleasesNothingInFlight(t *testing.T) {
	for _, off := range []time.Duration{8 * time.Hour, time.Hour, -time.Hour, -8 * time.Hour} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			f := clocked(t)
			wrong := &refund.Service{Channel: f.up, Ledger: f.Ledger, Merchant: merchant, Log: f.Log,
				Now: func() time.Time { return f.Now().Add(off) }}
			f.up.before = noAnswer // on its way: it arrives within fifteen minutes
			f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
			f.up.before = refusal(refund.CodeRejected, refund.LaterOrFix, "SIGN_ERROR")
			f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
			for m := 1; m <= 13; m++ {
				f.advance(time.Minute)
				_, _ = wrong.Reconcile(t.Context())
				f.reconcile(t)
				if d := f.inspect(t, "R1"); d.State != refund.Claimed {
					t.Fatalf("%s %d minutes after a submission: it can still be carried out, and the money is free", d.State, m)
				}
			}
		})
	}
}

// A15: a lease ends, even if the clock of whoever set it ran ahead, or the clock has
// stepped back behind it since.
func TestLeaseThatNoRuleCanHaveSetIsIgnored(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Minute, time.Hour} {
		f, fast := skewed(t, ahead)
		f.up.before = killed
		(&fixture{Service: fast}).crashed(t, request("R1", 60))
		f.up.before = nil
		if got := f.must(t, request("R1", 60)); got.Status != refund.StatusProcessing {
			t.Errorf("%v ahead: resumed as %s", ahead, got.Status)
		}
	}
}
