package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// signers tells how many sends of the notifications about refunds each kind of key has
// signed, old or new, and that every one of them was acknowledged at once.
func (p *program) signers(prefix string) map[string]int {
	p.t.Helper()
	var all struct {
		Deliveries []struct {
			OutRefundNo string `json:"out_refund_no"`
			Attempts    []struct {
				Status int
				Serial string
				Error  string
			}
		}
	}
	p.control("GET", "/_sandbox/deliveries", "", &all)
	by := map[string]int{}
	for _, d := range all.Deliveries {
		if !strings.HasPrefix(d.OutRefundNo, prefix) {
			continue
		}
		for _, a := range d.Attempts {
			if a.Status != 200 || a.Error != "" {
				p.t.Errorf("%s: got %+v, want it acknowledged", d.OutRefundNo, a)
			}
			by[a.Serial]++
		}
	}
	return by
}

// refundAll makes so many refunds of one fen, asks about each and settles it.
func (p *program) refundAll(prefix string, n int) {
	p.t.Helper()
	for i := range n {
		o, no := p.order(), fmt.Sprintf("%s%d", prefix, i)
		if got := p.succeed(refundEvent(o, no, 1)); got.Status != "PROCESSING" {
			p.t.Errorf("%s: got %+v, want PROCESSING", no, got)
		}
		if got := p.succeed(queryEvent("out_refund_no", no)); got.Status != "PROCESSING" {
			p.t.Errorf("%s before its end: got %+v, want PROCESSING", no, got)
		}
		p.control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, nil)
		if got := p.recorded(o)[no]; got != "SUCCESS" {
			p.t.Errorf("%s after its notification: got %q, want SUCCESS", no, got)
		}
	}
}

// Whichever of WeChat Pay's keys a merchant has, our functions verify everything that
// they sign: answers and notifications, before, while and after the keys change.
func TestOurFunctionsVerifyForEveryKindOfMerchant(t *testing.T) {
	const certificate, public = "platform_serial", "public_key_id"
	for name, c := range map[string]struct {
		kind, share string
		first, then []string // which keys sign notifications, before the switch has ended and after
		rare        string   // which may, one in a thousand
		times       int      // how many notifications there are for each that would do for one key
	}{
		"certificate":       {"certificate", "", []string{certificate}, []string{certificate}, "", 1},
		"public key":        {"public-key", "", []string{public}, []string{public}, "", 1},
		"switching, at 0":   {"switching", "0", []string{certificate}, []string{certificate}, "", 1},
		"switching, at 50":  {"switching", "50", []string{certificate, public}, []string{certificate, public}, "", 3}, // one of four keys signs none of 72 once in 10⁸ runs
		"switching, by day": {"switching", "", []string{certificate}, []string{public}, public, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-merchant", c.kind, "-speed", "0.001", "-hostile=false", "-pace", "0s", "-timer=false")
			if c.share != "" {
				p.control("POST", "/_sandbox/keys/share", `{"percent":`+c.share+`}`, nil)
			}
			_, env := p.request("GET", "/_sandbox/env?channel=apiv3", "")
			if got, want := strings.Contains(env, "WXPAY_PUBLIC_KEY"), c.kind != "certificate"; got != want {
				t.Errorf("the environment holds a public key: %t, want %t", got, want)
			}
			keys := func(names []string) []string {
				var credentials map[string]string
				p.control("GET", "/_sandbox/credentials", "", &credentials)
				var serials []string
				for _, name := range names {
					serials = append(serials, credentials[name])
				}
				return serials
			}
			var rareBefore []string // the keys of that kind before they changed
			check := func(when string, signed map[string]int, want []string) {
				t.Helper()
				slices.Sort(want)
				got := slices.Sorted(maps.Keys(signed))
				if c.rare != "" {
					rare := append(keys([]string{c.rare}), rareBefore...)
					got = slices.DeleteFunc(got, func(serial string) bool { return slices.Contains(rare, serial) && !slices.Contains(want, serial) })
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s the notifications were signed by %v, want by each of %v", when, signed, want)
				}
			}

			old := keys(c.first)
			if c.rare != "" {
				rareBefore = keys([]string{c.rare})
			}
			p.refundAll("A", 12*c.times)
			check("at first", p.signers("A"), old)

			p.control("POST", "/_sandbox/keys/rotate", "", nil)
			if slices.ContainsFunc(keys(c.first), func(serial string) bool { return serial == "" || slices.Contains(old, serial) }) {
				t.Errorf("after a rotation the keys are %v, and were %v", keys(c.first), old)
			}
			p.refundAll("B", 24*c.times)
			check("after a rotation", p.signers("B"), append(keys(c.first), old...))

			p.pass("170h") // the old keys have ended, and so has a switch by day
			p.refundAll("C", 12*c.times)
			check("a week later", p.signers("C"), keys(c.then))

			for range 2 { // more than our settings hold
				p.control("POST", "/_sandbox/keys/rotate", "", nil)
			}
			p.refundAll("D", 12)
			p.signers("D")
		})
	}
}
