package model

import (
	"flag"
	"strings"
	"testing"
	"time"
)

var flags = struct{ calls, crashes, faults, refusals *int }{
	flag.Int("calls", 0, "exhaust the model for so many calls of a client, and the other bounds"),
	flag.Int("crashes", 2, "with -calls: crashes"),
	flag.Int("faults", 2, "with -calls: faults of the wire"),
	flag.Int("refusals", 2, "with -calls: refusals"),
}

func bounds() Bounds {
	if n := *flags.calls; n > 0 {
		return Bounds{int8(n), int8(*flags.crashes), int8(*flags.faults), int8(*flags.refusals)}
	}
	if heavy {
		return Bounds{2, 2, 2, 2}
	}
	return Bounds{2, 1, 1, 1}
}

// In no history within bounds is one wish refunded twice, or a final state wrong; and from
// every state of each both books come to agree if only nothing goes wrong any more, so that
// every doubt ends.
func TestEveryHistoryKeepsTheBooksRightAndCanEndInAgreement(t *testing.T) {
	begun := time.Now()
	r := New(Rules{}).Exhaust(bounds(), true)
	if r.Broken != "" {
		t.Fatalf("%s, after\n\t%s", r.Broken, strings.Join(r.Path, "\n\t"))
	}
	if r.CanAgree != r.States {
		t.Errorf("from %d of %d states the books can never agree again", r.States-r.CanAgree, r.States)
	}
	t.Logf("Exhausted: %d states, %d steps, at most %d deep, within %v; agreement is reached from each, %d agree already; %v on one core",
		r.States, r.Steps, r.Depth, bounds(), r.Agree, time.Since(begun).Round(time.Millisecond))
}

// Each rule is needed: without it there is a history that ends with wrong books, of which
// the shortest is told.
func TestWithoutAnyOfItsRulesTheModelBreaks(t *testing.T) {
	for _, v := range []struct {
		name  string
		other Rules
	}{
		{"no answer is a no", Rules{SilenceIsNo: true}},
		{"what is pending expires", Rules{Expires: true}},
		{"a refusal rejects although another submission is open", Rules{RefusalsAlone: true}},
		{"the row is written after the call", Rules{RowAfterCall: true}},
		{"given up while something may be on its way", Rules{ReleasedEarly: true}},
		{"given up although submitted since it was asked about", Rules{ReleasedBlind: true}},
		{"another number needs no no", Rules{NewNumberEarly: true}},
	} {
		begun := time.Now()
		r := New(v.other).Exhaust(Bounds{3, 2, 2, 2}, false)
		if r.Broken == "" {
			t.Errorf("%s: %d states and nothing is broken", v.name, r.States)
			continue
		}
		t.Logf("%s: %d steps, %v: %s\n\t%s", v.name, len(r.Path), time.Since(begun).Round(time.Millisecond), r.Broken, strings.Join(r.Path, "\n\t"))
	}
}

// Where nobody asks, a refund of which every notification is lost stays in doubt for ever:
// so the search for agreement can fail.
func TestWhereNobodyAsksSomeDoubtNeverEnds(t *testing.T) {
	r := New(Rules{NeverAsks: true}).Exhaust(Bounds{1, 1, 1, 1}, true)
	if r.Broken != "" || r.CanAgree == r.States {
		t.Errorf("broken: %q; agreement is reached from %d of %d states, want fewer", r.Broken, r.CanAgree, r.States)
	}
}
