package simulation_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// The invariants see every commit at the instant at which it takes effect, every
// request that reaches WeChat Pay and every acknowledgement, and hold them
// against the rules I1 to I11 of README.md. They keep a copy of the ledger of their own,
// made of what was committed.
type invariants struct {
	w  *world
	on bool // a side with another rule is not held to any of it

	mu         sync.Mutex
	rows       map[string]refundRow
	items      map[refund.Key]refund.Item // as they are stored
	accounts   map[string]accountRow
	effects    map[string]int            // how often a refund has come to a final state
	applied    map[string]applicationRow // applications, as they are stored
	since      map[string]time.Duration  // when a refund has come to its state
	deliveries []*owedDelivery           // what was ever owed to subscribers
	claims     map[string]*claims
	first      time.Time                // when the earliest claim here was made
	days       map[string]time.Duration // when the bill of a day was first read to its end
	hands      map[string]time.Duration // since when the ledger knows of a refund by hand

	finding sync.Mutex // of found alone, so that a violation can be noted while mu is held
	found   []string   // what was violated
}

// claims are what was ever claimed under a number.
type claims struct {
	contents []content
	since    time.Duration // when the present one was claimed
	hands    int           // refunds by hand that its order had then
	sent     time.Duration // when a submission last left
	sending  int           // submissions under way, as their senders see it
	kinds    []string      // codes of the alarms about it
}

// of finds what was claimed under a number. v.mu is held.
func (v *invariants) of(no string) *claims {
	if v.claims[no] == nil {
		v.claims[no] = &claims{}
	}
	return v.claims[no]
}

func newInvariants(w *world, on bool) *invariants {
	return &invariants{
		w: w, on: on, items: map[refund.Key]refund.Item{}, rows: map[string]refundRow{}, accounts: map[string]accountRow{},
		effects: map[string]int{}, applied: map[string]applicationRow{}, since: map[string]time.Duration{}, claims: map[string]*claims{}, hands: map[string]time.Duration{}, days: map[string]time.Duration{},
	}
}

// judge holds something against a rule, counts that, and reports whether it is so. What is
// not is recorded as violated. Rules are written out where they are judged, and read from
// there: see [judgements].
func (v *invariants) judge(rule string, ok bool, format string, args ...any) bool {
	if !v.on {
		return ok
	}
	v.w.count(judged+rule, 1)
	if !ok {
		v.violates(rule, format, args...)
	}
	return ok
}

// violates records a broken invariant.
func (v *invariants) violates(which, format string, args ...any) {
	text := fmt.Sprintf("%s at %v: ", which, time.Since(v.w.start)) + fmt.Sprintf(format, args...)
	v.w.logf("invariants", "VIOLATED %s", text)
	v.finding.Lock()
	defer v.finding.Unlock()
	if len(v.found) < 20 {
		v.found = append(v.found, text)
	}
}

func (v *invariants) row(no string) (refundRow, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.rows[no]
	return r, ok
}

// committed takes in a commit that has just become durable.
func (v *invariants) committed(c *call, items []refund.Item) {
	v.w.count("commits", 1)
	v.judge("I7 a forged notification commits nothing", !c.forged, "%s has committed", c.name)
	var keys []refund.Key
	for _, it := range items {
		it.Version++
		v.mu.Lock()
		v.items[it.Key] = it
		v.mu.Unlock()
		keys = append(keys, it.Key)
		switch no, isRefund := strings.CutPrefix(string(it.Key), refundPrefix); {
		case isRefund:
			next, err := decodeRow(it.Body)
			if !v.judge("harness: refunds can be read", err == nil, "%s: %v", it.Key, err) {
				continue
			}
			if next.State == "" {
				v.reserved(no, next)
				continue
			}
			v.mu.Lock()
			before := v.rows[no]
			v.rows[no] = next
			if of := v.of(no); !next.Foreign && !slices.Contains(of.contents, next.Request) {
				of.contents = append(of.contents, next.Request)
			}
			if at := next.ClaimedAt; !next.Foreign && !at.IsZero() && (v.first.IsZero() || at.Before(v.first)) {
				v.first = at
			}
			if next.Foreign && before.State == "" {
				v.hands[no] = time.Since(v.w.start)
			}
			v.mu.Unlock()
			if next.Attempt > before.Attempt {
				v.attempted(c, no, before, next)
			}
			if next.State == "claimed" && before.State != "claimed" {
				v.fits(no, next)
				v.w.docket.claimed(c, no)
			}
			v.follows(c, no, before, next)
			v.silent(c, no, before, next)
			if next.Taken && !before.Taken {
				v.takes(c, no)
			}
			if next.State != before.State {
				v.moved(c, no, before, next)
			}
			v.owes(c, no, before, next)
			want := next.class()
			v.judge("I11 a refund is listed where its record says", it.Class == want && it.At.UnixMilli() == next.ClaimedAt.UnixMilli(),
				"%s is listed as %s of %v, want %s of %v", no, it.Class, it.At, want, next.ClaimedAt)
		case strings.HasPrefix(string(it.Key), applicationPrefix):
			v.decided(c, it)
		case strings.HasPrefix(string(it.Key), billPrefix) && it.Key != billState:
			v.reported(c, strings.TrimPrefix(string(it.Key), billPrefix), it.Body)
		case strings.HasPrefix(string(it.Key), "order/"):
			var a accountRow
			err := json.Unmarshal(it.Body, &a)
			v.judge("harness: accounts can be read", err == nil, "%s: %v", it.Key, err)
			v.mu.Lock()
			v.accounts[string(it.Key)] = a
			v.mu.Unlock()
		}
	}
	v.balance(keys...)
}

// moved checks one step of a refund's state (I4, I6, I7).
func (v *invariants) moved(c *call, no string, before, next refundRow) {
	v.w.logf(c.name, "MOVES %s: %q -> %s", no, before.State, next.State)
	// In this world what WeChat Pay calls final is final, and an abnormal refund
	// does not become a processing one unless its money was sent elsewhere, so the ledger has no reason ever to go there.
	back := before.final() || before.State == "abnormal" && next.State == "processing" && !v.w.docket.wasFinished(no)
	v.judge("I4 no state moves backwards", !back, "%s moves from %s to %s", no, before.State, next.State)
	heard := c.told(no)
	v.mu.Lock()
	v.since[no] = time.Since(v.w.start)
	v.mu.Unlock()
	switch next.State {
	case "claimed":
		v.judge("I4 only what is new or rejected is claimed", before.State == "" || before.State == "rejected", "%s moves from %s to claimed", no, before.State)
		return
	case "rejected":
		v.judge("I4 only a claim is rejected", before.State == "claimed", "%s moves from %s to rejected", no, before.State)
		switch {
		case next.Taken: // see [invariants.takes]
		case next.Released:
			v.released(no)
			v.judge("I7 who gives up a claim has heard that there is nothing", heard.source == "ask" && heard.absent, "%s is given up, and its mover has heard %+v", no, heard)
		case before.waits() && v.w.history.Funds: // its wait has ended, and it was refused before
			v.w.count("waits for the balance that ended", 1)
		default:
			v.judge("I7 who rejects a claim was refused", heard.refused, "%s is rejected, and nobody who can be believed has refused it", no)
		}
		// Somebody else's refund under the number is noticed soon, not at once.
		if u, ok := v.w.upstream(no); !v.w.history.byHand(no) {
			v.judge("I3 what WeChat Pay holds is not rejected", !ok, "%s is rejected while WeChat Pay holds it as %s", no, u.Status)
		}
		return
	}
	if u, ok := v.w.upstream(no); ok && !next.Foreign {
		v.judge("I9 order and amount are the claim's", next.Request.about(u), "%s becomes %s, and what WeChat Pay holds under it is %d of %s", no, next.State, u.Amount.Refund, u.OutTradeNo)
	}
	if trusted := c.trusts(no); strings.EqualFold(trusted, next.State) {
		v.w.count("settled by a relay", 1)
	} else if next.State == "processing" && c.inBill(no) {
		v.w.count("refunds that a bill told of", 1)
	} else {
		v.judge("I7 a refund becomes what its mover has heard", strings.EqualFold(heard.status, next.State),
			"%s becomes %s, but what its mover has heard and may believe is %+v", no, next.State, heard)
	}
	if next.final() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.effects[no+" "+next.State]++
		n := v.effects[no+" "+next.State]
		v.judge("I6 a final state has its effect once", n == 1, "%s comes to %s for the %dth time", no, next.State, n)
	}
}

// balance holds what was committed just now, or all if there is no key, against the rules
// by which a real ledger is verified too (I2). What a history makes true is no violation:
// refunds made by hand ask no ledger, and an instance whose clock runs ahead has its times
// so far ahead. Its clock begins in 2000, before which nobody has a bill but a history that
// reads three months of them.
func (v *invariants) balance(keys ...refund.Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	mixed, skewed := v.w.history.mixed(), v.w.history.Skew != 0
	var wrong []string
	for _, f := range refund.VerifyItems(time.Now(), refund.MaxRefunds, v.items, keys...) {
		if mixed && f.Code == "order_exceeded" || skewed && f.Code == "due_far" || strings.HasPrefix(string(f.Item), billPrefix+"1999") {
			continue
		}
		wrong = append(wrong, fmt.Sprintf("%s %s: %s", f.Code, f.Item, f.Says))
	}
	v.judge("I2 the ledger adds up", len(wrong) == 0, "%s", wrong)
}

// home follows an order's name to its account. v.mu is held.
func (v *invariants) home(key string) string {
	for range v.accounts { // a bound, should they ever point in a circle
		next := v.accounts[key].SameAs
		if next == "" {
			break
		}
		key = next
	}
	return key
}

// mixed reports whether an excess on the books can be nobody's fault: refunds
// made by hand ask no ledger, and until WeChat Pay has said that two names mean
// one order they have an account each.
func (h *history) mixed() bool {
	return h.byHand("") || h.Shop != nil && h.Shop.Mixed || slices.ContainsFunc(h.Wishes, func(f wish) bool { return f.By != h.Wishes[0].By })
}

// leaves counts the submissions of one refund that are under way at once: the
// lease allows one. Clocks that differ by more than it break it, which costs a
// request and no money.
func (v *invariants) leaves(c *call, no string, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	of := v.of(no)
	of.sending += n
	if n < 0 {
		return
	}
	of.sent = time.Since(v.w.start)
	if v.w.history.Skew == 0 {
		v.judge("A6 one submission at a time", of.sending == 1, "%s is submitted %d times at once (%s)", no, of.sending, c.name)
	}
}

// arrives checks a submission that reaches WeChat Pay. However late it comes, it
// may be carried out, so the ledger must be prepared for it.
func (v *invariants) arrives(who, no string) {
	v.w.count("submissions", 1)
	if strings.HasSuffix(who, "(late)") {
		v.w.count(rare+"a request arrives when its sender has given up", 1)
	}
	row, ok := v.row(no)
	v.judge("I2 nothing is sent before it is claimed", ok, "%s was sent (%s)", no, who)
	if ok && !row.Taken { // else it changes nothing: a number is unique, and another refund has this one
		v.judge("I3 nothing arrives after it was rejected", row.State != "rejected", "%s arrives (%s)", no, who)
	}
}

// holds checks what WeChat Pay holds after a submission (I1, I2).
func (v *invariants) holds(who string) {
	if !v.on {
		return
	}
	sums, counts, seen := map[string]int64{}, map[string]int{}, map[string]bool{}
	for _, u := range v.w.upstreams() {
		v.judge("I1 a number is refunded once", !seen[u.OutRefundNo], "WeChat Pay holds %s twice (%s)", u.OutRefundNo, who)
		seen[u.OutRefundNo] = true
		if v.w.history.Shop == nil {
			v.judge("I1 only what was asked for is refunded", v.w.named(u.OutRefundNo), "WeChat Pay holds %s, a number that nobody has asked for (%s)", u.OutRefundNo, who)
		}
		if counts[u.OutTradeNo]++; u.Status != "CLOSED" {
			sums[u.OutTradeNo] += u.Amount.Refund
		}
	}
	for _, o := range v.w.history.Orders {
		v.judge("I2 an order is refunded within its total, and fifty times", sums[o.Trade] <= o.Total && counts[o.Trade] <= refund.MaxRefunds,
			"WeChat Pay refunds %d of %d in %d refunds (%s)", sums[o.Trade], o.Total, counts[o.Trade], who)
	}
	v.w.docket.judge(false)
}

// acknowledged checks a notification that will not come again (I5).
func (v *invariants) acknowledged(c *call, l notification) {
	row, ok := v.row(l.no)
	if ok && row.status() != l.status {
		v.w.count(rare+"a notification is acknowledged that says what is over", 1)
	}
	durable := map[string][]string{
		"SUCCESS":  {"success"},
		"CLOSED":   {"closed"},
		"ABNORMAL": {"abnormal", "success", "closed"},
	}[l.status]
	if l.status == "ABNORMAL" && v.w.docket.wasFinished(l.no) {
		durable = append(durable, "processing")
	}
	v.judge("I5 what is acknowledged is durable", ok && slices.Contains(durable, strings.ToLower(row.status())),
		"%s of %s is acknowledged, and the ledger says %q", l.status, l.no, row.State)
}

// logged listens to what the code under test says of itself.
func (v *invariants) logged(c *call, r slog.Record) {
	var no, why, code, application string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "out_refund_no":
			no = a.Value.String()
		case "why":
			why = a.Value.String()
		case "alarm":
			code = a.Value.String()
		case "application_id":
			application = a.Value.String()
		}
		return true
	})
	if r.Message != "alarm" {
		return
	}
	v.w.count("alarms", 1)
	v.w.count("alarm "+code, 1)
	v.w.logf(c.name, "ALARM %s: %s", no, why)
	v.mu.Lock()
	defer v.mu.Unlock()
	if application != "" {
		no = application
	}
	if of := v.of(no); !slices.Contains(of.kinds, code) {
		of.kinds = append(of.kinds, code)
	}
}
