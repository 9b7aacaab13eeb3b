package simulation_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

// The clock of a history begins at 08:00 by Beijing's, two hours before the bill of the day
// before can be had. Its bills are those of that day, of this one, on which all faults are,
// and of the next.
const (
	beginsAt = 8 * time.Hour
	// billAt is when the bill of the history's first day is there, and nextBillAt that of
	// its second one.
	billAt, nextBillAt = 24*time.Hour - beginsAt + 10*time.Hour, 48*time.Hour - beginsAt + 10*time.Hour
	// billsRest is how much longer than others a history with bills is: until four hours
	// after the third bill.
	billsRest = nextBillAt + 22*time.Hour - settleDown
)

// Modes of reading bills.
const (
	billsOff  = ""         // the timer reads none
	billsRead = "read"     // all days before the history have been read
	billsNew  = "from now" // none ever was: the first run finds three months to read
)

// withBills makes a history of a channel one in which refunds are made by hand on any order
// at any time, of which no notification ever comes, while the timer reads bills, or none.
func withBills(name string, read bool) func(seed uint64) *history {
	return func(seed uint64) *history {
		h := drawOn(name)(seed)
		h.drawBills(randomness(seed).of("bills", name))
		if !read {
			h.Bills = billsOff
		}
		return h
	}
}

// drawBills draws refunds by hand, what clients want once bills have been read, and what is
// wrong with bills.
func (h *history) drawBills(r *rand.Rand) {
	h.Bills = billsRead
	if r.IntN(40) == 0 {
		h.Bills = billsNew
	}
	h.Rest = billsRest
	h.Keyless = h.Channel == "cloudbase" && r.IntN(4) == 0
	if r.IntN(2) == 0 { // an order that nobody here has named
		h.Orders = append(h.Orders, order{Trade: "ORDER7", Transaction: "4200000000000007", Total: 1 + r.Int64N(1000)})
	}
	for i := range 1 + r.IntN(3) {
		a := act{Do: "by hand", No: fmt.Sprintf("UNTOLD%d", i), Order: r.IntN(len(h.Orders)), Untold: true}
		total := h.Orders[a.Order].Total
		a.Fen = pick(r, 1, (total+2)/3, (total+1)/2, 1+r.Int64N(total))
		at := span(r, time.Second, pick(r, 25*time.Minute, 15*time.Hour, nextBillAt-13*time.Hour))
		f := h.Wishes[r.IntN(len(h.Wishes))]
		if r.IntN(6) == 0 && !h.byHand(f.No) { // under a number of ours
			a.No, at = f.No, f.At+span(r, -f.At, 10*time.Minute)
		}
		h.act(at, a)
	}
	for i := range 1 + r.IntN(2) { // once a bill has been read, or may have been
		o := r.IntN(len(h.Orders))
		total := h.Orders[o].Total
		h.Wishes = append(h.Wishes, wish{
			No: fmt.Sprintf("LATE%d", i), Order: o, Total: total, Tries: 1 + r.IntN(3), By: h.Wishes[0].By,
			Fen: pick(r, (total+1)/2, total, 1+r.Int64N(total)),
			At:  pick(r, billAt, nextBillAt) + span(r, time.Minute, 12*time.Hour),
		})
	}
	for _, at := range []time.Duration{billAt, nextBillAt} {
		if r.IntN(2) == 0 {
			continue
		}
		for range 1 + r.IntN(2) {
			from := at - span(r, time.Minute, time.Hour)
			h.Faults = append(h.Faults, faultWindow{from, at + span(r, time.Minute, 5*time.Hour), pick(r, billTroubles()...), pick(r, 0.5, 1)})
		}
	}
}

// billTroubles are what may go wrong with a bill, or with whoever reads it.
func billTroubles() []string {
	return []string{
		"bill:wrong_hash", "bill:cut_off", "bill:bad_row", "bill:bad_sums", "bill:foreign_host", "bill:creating", "bill:old_layout", "bill:odd_names",
		"bill lost", "bill cut", "bill lost", "reader crashes", "reader crashes", "ledger errs", "ledger forgets",
	}
}

// flaws are the troubles after which nothing that a bill says may be believed.
func flaws() []string {
	return []string{"bill:wrong_hash", "bill:cut_off", "bill:bad_row", "bill:bad_sums", "bill:foreign_host"}
}

// during reports whether a kind of trouble with bills applies here and now. They come when
// all other faults have ended.
func (w *world) during(r *rand.Rand, what string) bool {
	now := time.Since(w.start)
	for _, v := range w.history.Faults {
		if v.What == what && now >= v.From && now < v.To && r.Float64() < v.Rate {
			w.count("faults", 1)
			w.count("trouble with bills: "+what, 1)
			return true
		}
	}
	return false
}

// readsBills reports whether bills are read in this world, and its channel has any.
func (w *world) readsBills() bool { return w.history.Bills != billsOff && w.billed }

// channel is our side's channel in a history.
func (h *history) channel(client *http.Client) refund.Channel {
	made := h.system().wired(keys().of[h.Channel].system, client)
	if c, ok := made.(*channel.CloudBase); ok && h.Keyless {
		c.Bills = nil
	}
	return made
}

// begun notes in a ledger that all bills up to a history's first day have been read: three
// months of empty days would take longer than the history.
func (o *ours) begun() {
	if o.w.history.Bills != billsRead {
		return
	}
	through := refund.DayOf(o.w.start).Add(-1)
	body := fmt.Appendf(nil, `{"through":%q}`, through)
	if err := o.store.Commit(context.Background(), refund.Item{Key: billState, Body: body}); err != nil {
		panic(err)
	}
}

const (
	billPrefix = "bill/"
	billState  = refund.Key(billPrefix + "state")
)

// asksForBill reads a request about a bill, which is the same on all systems: of what day,
// no history asks.
func asksForBill(req *http.Request, body []byte) (q question, ok bool) {
	path := req.URL.Path
	switch {
	case strings.Contains(path, "billdownload"):
		return question{verb: "download", no: "bill"}, true
	case strings.Contains(path, "/bill/"), strings.HasSuffix(path, "/downloadbill"), strings.HasSuffix(path, "/get_bill"), bytes.Contains(body, []byte("downloadBill")):
		return question{verb: "bill", no: "bill"}, true
	}
	return question{}, false
}

// hearsBill keeps what a bill tells that nothing is wrong with, as it was issued.
func (c *call) hearsBill(q question, resp *wireReply) {
	if q.verb == "bill" {
		flawed := c.w.flawed()
		c.mu.Lock()
		c.flawed = flawed
		c.mu.Unlock()
	}
	text := resp.body
	if zipped, err := gzip.NewReader(bytes.NewReader(text)); err == nil {
		if text, err = io.ReadAll(zipped); err != nil {
			return
		}
	}
	c.w.logf(c.name, "%s: hears %d, %d bytes", q.verb, resp.status, len(resp.body))
	c.mu.Lock()
	defer c.mu.Unlock()
	if resp.status == http.StatusOK && !c.flawed {
		c.bills = append(c.bills, text)
	}
}

// flawed reports whether something is wrong for certain with what is handed out as a bill
// now: of several faults the sandbox commits one.
func (w *world) flawed() bool {
	now, flawed, others := time.Since(w.start), false, false
	for _, v := range w.history.Faults {
		if !strings.HasPrefix(v.What, "bill:") || now < v.From-time.Second || now > v.To+time.Second {
			continue
		}
		whole := now >= v.From+time.Second && now < v.To-time.Second
		told := v.What != "bill:wrong_hash" && v.What != "bill:foreign_host" || w.history.Channel != "cloudpay" && w.history.Channel != "global" // v2 tells neither
		if v.Rate == 1 && whole && told && slices.Contains(flaws(), v.What) {
			flawed = true
		} else {
			others = true
		}
	}
	return flawed && !others
}

// inBill reports whether a bill that the call has read, or another before it, has a row of
// that number.
func (c *call) inBill(no string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.bills, func(text []byte) bool { return bytes.Contains(text, []byte("`"+no+",")) })
}

// A dayRow is what the invariants read of a day's report in the ledger.
type dayRow struct {
	Report struct {
		dayPart
		State string
		Other []dayPart
	}
	Pass *struct{}
}

type dayPart struct {
	Currency       string
	Equal, Differs int64
	OursOnly       int64 `json:"ours_only"`
	Theirs         int64 `json:"theirs_only"`
	Fen            struct {
		Bill, Equal, Ledger int64
		Theirs              int64 `json:"theirs_only"`
	}
}

// reported checks what is noted of a day: once its bill has been read, every refund that
// WeChat Pay accepted on it is in the ledger, and the report counts each (I12).
func (v *invariants) reported(c *call, day string, body []byte) {
	var next dayRow
	if err := json.Unmarshal(body, &next); !v.judge("harness: reports can be read", err == nil, "the report of %s: %v", day, err) {
		return
	}
	v.w.logf(c.name, "REPORTS %s: %s", day, body)
	if next.Pass != nil || !slices.Contains([]string{"agrees", "waiting", "differs"}, next.Report.State) {
		v.w.count("bills not read to their end", 1)
		return
	}
	v.w.count("bills read", 1)
	v.w.count("bills read, "+next.Report.State, 1)
	sums, counts := map[string]int64{}, map[string]int64{}
	for _, u := range v.w.upstreams() {
		if string(refund.DayOf(u.Created)) != day {
			continue
		}
		sums[u.Amount.Currency] += u.Amount.Refund
		counts[u.Amount.Currency]++
		row, ok := v.row(u.OutRefundNo)
		known := ok && row.State != "claimed" && (row.State != "rejected" || row.Taken) && row.fen() == u.Amount.Refund
		if v.judge("I12 what a bill told of is in the ledger", known, "the bill of %s was read, and the ledger says of %s %q of %d, WeChat Pay %s of %d",
			day, u.OutRefundNo, row.State, row.fen(), u.Status, u.Amount.Refund) && (row.Foreign || row.Taken) {
			v.w.count("refunds by hand in a bill", 1)
		}
	}
	for _, part := range append(next.Report.Other, next.Report.dayPart) {
		n, want, sum := part.Equal+part.Theirs+part.Differs, counts[part.Currency], sums[part.Currency]
		v.judge("I12 a report counts all refunds of its day", n == want || n == 0 && part.Currency == "", "that of %s counts %d in %q, and WeChat Pay has accepted %d", day, n, part.Currency, want)
		v.judge("I12 a report has no differences where there are none", part.Differs == 0 && (part.OursOnly == 0 || next.Report.State != "differs"), "that of %s has %d that differ and %d of ours alone", day, part.Differs, part.OursOnly)
		if part.Currency != "" {
			v.judge("I12 a report sums up all fen of its day", part.Fen.Bill == sum && part.Fen.Equal+part.Fen.Theirs == sum, "that of %s counts %+v in %s, and WeChat Pay has accepted %d", day, part.Fen, part.Currency, sum)
		}
		delete(counts, part.Currency)
	}
	v.judge("I12 a report leaves out no currency", len(counts) == 0, "that of %s says nothing of %v", day, counts)
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.days[day]; !known {
		v.days[day] = time.Since(v.w.start)
	}
}

// fits checks that a claim which is about to be sent leaves an order within its total,
// together with every refund of a day whose bill was read before (I12). Only where the
// client tells the order's total as it is: a bill does not.
func (v *invariants) fits(no string, next refundRow) {
	f, ok := v.w.history.wish(strings.TrimSuffix(no, "N"))
	if !ok || !v.on {
		return
	}
	o := v.w.history.Orders[f.Order]
	sum := next.Request.Amount.Refund
	var hands int64
	for _, u := range v.w.upstreams() {
		if u.OutTradeNo != o.Trade || u.Status == "CLOSED" || u.OutRefundNo == no {
			continue
		}
		v.mu.Lock()
		at, read := v.days[string(refund.DayOf(u.Created))]
		v.mu.Unlock()
		if !v.w.readsBills() { // what would be if they were
			at, read = 0, u.Created.Before(v.w.start.Add(billAt-10*time.Hour)) && time.Since(v.w.start) > billAt
		}
		if read && time.Since(v.w.start)-at >= noticed {
			sum += u.Amount.Refund
			if v.w.history.untold(u.OutRefundNo) {
				hands++
			}
		}
	}
	if hands > 0 {
		v.w.count("claims beside a refund by hand that a bill told of", 1)
	}
	beyond := sum > o.Total && hands > 0 && f.Total == o.Total
	if beyond {
		v.w.count("claims beyond the order", 1)
	}
	if v.w.readsBills() {
		v.judge("I12 nobody claims beyond what bills leave", !beyond, "%s is claimed, and with what bills have told of %s that is %d of %d", no, o.Trade, sum, o.Total)
	}
}

// silent checks what subscribers are not told of: what bills have told of, and is older than
// the first claim here (I12). When a number that was refused is claimed again, either is one.
func (v *invariants) silent(c *call, no string, before, next refundRow) {
	byBill := before.State == "" && next.Foreign && c.told(no).status == "" && c.inBill(no)
	if next.Silent == before.Silent && !byBill {
		return
	}
	u, ok := v.w.upstream(no)
	v.mu.Lock()
	defer v.mu.Unlock()
	ever, first := v.first, time.Time{}
	for _, r := range v.rows {
		if !r.Foreign && !r.ClaimedAt.IsZero() && (first.IsZero() || r.ClaimedAt.Before(first)) {
			first = r.ClaimedAt
		}
	}
	const about = time.Second // bills have no less
	if byBill && !next.Silent {
		if v.w.history.Skew == 0 {
			v.judge("I12 subscribers are told of what came after the first claim", !u.Created.Before(ever.Add(-about)), "they are to be told of %s, which was accepted at %v, before the first claim at %v", no, u.Created, ever)
		}
		return
	}
	before1st := v.w.history.Skew != 0 || first.IsZero() || !u.Created.After(first.Add(about))
	v.judge("I12 subscribers are not told of what came before it", next.Silent && ok && before1st, "%s is kept from subscribers: %t, and was accepted at %v, the first claim at %v", no, next.Silent, u.Created, first)
	v.w.count("refunds that bills told of silently", 1)
}

// untold reports whether no notification of a refund ever comes: it was made by hand.
func (h *history) untold(no string) bool {
	return slices.ContainsFunc(h.Acts, func(a act) bool { return a.Untold && a.No == no })
}

// toldByBill reports whether a bill must have told of a refund by the end: it was accepted
// on a day whose bill can be had by then.
func (w *world) toldByBill(u upstreamRefund) bool {
	return w.readsBills() && u.Created.Sub(w.start) < nextBillAt-10*time.Hour
}

// awaitDays checks at the end of the second day, and of the third, that the ledger knows all
// that was accepted on the day before (I12).
func (w *world) awaitDays() {
	if !w.readsBills() {
		return
	}
	for _, at := range []time.Duration{billAt, nextBillAt} {
		w.sleepUntil(at + 14*time.Hour - time.Minute)
		day := refund.DayOf(w.start.Add(at)).Add(-1)
		for _, u := range w.upstreams() {
			if row, ok := w.invariants.row(u.OutRefundNo); refund.DayOf(u.Created) == day {
				w.invariants.judge("I12 all of a day is known by the end of the next", ok && row.fen() == u.Amount.Refund, "after %s the ledger does not know %s of %d", day, u.OutRefundNo, u.Amount.Refund)
			}
		}
		w.count("days that were known by the end of the next", 1)
	}
}

// unknownHands counts what the ledger cannot know where no bill is read, and must where
// they are: refunds by hand of which no notification came.
func (w *world) unknownHands(u upstreamRefund) {
	w.count("refunds by hand never known", 1)
	if w.readsBills() {
		w.count("refunds by hand never known although bills are read", 1)
	}
	w.count("fen by hand never known", entry{u.Status, u.Amount.Refund}.moved())
	w.count("histories with refunds never known", 1-min(w.counts["histories with refunds never known"], 1))
}

// Once bills are read, refunds by hand of which nothing else tells are in the ledger at the
// end of the second day, and count in what is left of their orders.
func TestBills(t *testing.T) {
	var channels []figures
	for _, name := range append([]string{apiv3}, others()...) {
		if !flags.on(name) || flags.seed != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			us, _, _ := trial{histories: size(flags.histories, 200, 5, 15), atMost: patience(8 * time.Second), draw: withBills(name, true)}.run(t)
			t.Log(us)
			channels = append(channels, us)
			for _, name := range us.prefixed("bills", "refunds", "fen by hand", "claims", "trouble", "crash before bill", "crash after bill", "alarm bill", "histories", "deliveries", "days") {
				t.Logf("%6d %s", us[name], name)
			}
			switch {
			case us["histories whose channel has bills"] == 0:
				t.Errorf("%s has no bill", name)
			case us["refunds by hand never known although bills are read"] > 0:
				t.Errorf("%d refunds by hand are not known although bills are read", us["refunds by hand never known although bills are read"])
			}
		})
	}
	looked(t, channels, onlyWithBills, 15)
}
