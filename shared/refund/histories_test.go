package refund_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

type storedAccount struct {
	SameAs        string `json:"same_as"`
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	Reserved      int64
	Members       []storedMember
	Claims        []storedMember // by their caller's other name
}

type storedMember struct {
	No   string
	Held int64
}

type storedRecord struct {
	State   string
	Taken   bool
	Order   string
	Also    string // a second account, of the caller's other name
	Held    int64
	Counted bool
}

// remembered is a ledger of whose items the last bodies are at hand.
type remembered struct {
	refund.Ledger
	mu       sync.Mutex
	bodies   map[refund.Key][]byte
	unlisted []string // what was not to be listed where its body says
}

func (r *remembered) Commit(ctx context.Context, items ...refund.Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Ledger.Commit(ctx, items...); err != nil {
		return err
	}
	for _, it := range items {
		r.bodies[it.Key] = it.Body
		if no, ok := it.RefundNo(); ok {
			if want := classOf(it.Body); it.Class != want || it.At.IsZero() {
				r.unlisted = append(r.unlisted, fmt.Sprintf("%s is listed as %s, want %s", no, it.Class, want))
			}
		}
	}
	return nil
}

// randomWorld is a WeChat Pay that two orders are paid at, A and B, of 100 each.
type randomWorld struct {
	refund.Channel // what is not answered here is not asked for

	mu            sync.Mutex // held while the upstream answers: the reconciler asks from several goroutines
	rnd           *rand.Rand
	now           time.Time
	refunds       map[string]*refund.Refund
	hand          map[string]bool // made by hand
	late          []delayed
	accepted      map[string]time.Time
	bills         bool // that it issues
	quiet         bool // no more faults
	v2            bool // transaction_id wins
	lists         bool
	partial       int // of the names it reports: 0 both, 1 only T, 2 only O, 3 random
	ops           []string
	f             *refund.Service
	ledger        *remembered
	notifications []refund.Outcome
	n             int
}

type delayed struct {
	until time.Time
	req   refund.Request
}

func (w *randomWorld) op(format string, args ...any) {
	w.ops = append(w.ops, fmt.Sprintf(format, args...))
}

func orderOf(req refund.Request, v2 bool) (o string, ok bool) {
	t, n := strings.TrimPrefix(req.TransactionID, "T-"), strings.TrimPrefix(req.OutTradeNo, "O-")
	switch {
	case t == "":
		return n, true
	case n == "" || t == n || v2:
		return t, true
	}
	return "", false
}

func (w *randomWorld) accept(req refund.Request) (*refund.Refund, error) {
	o, ok := orderOf(req, w.v2)
	if !ok {
		return nil, &refund.Error{Code: refund.CodeRejected, Next: refund.AfterFix, Upstream: "PARAM_ERROR", Message: "two orders"}
	}
	if r := w.refunds[req.OutRefundNo]; r != nil {
		if r.OutTradeNo == "O-"+o && r.Amount.Refund == req.Amount.Refund {
			return r, nil
		}
		return nil, &refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "INVALID_REQUEST", Message: "differs", MaybeNumberTaken: true}
	}
	if req.Amount.Total != 100 {
		return nil, &refund.Error{Code: refund.CodeRejected, Next: refund.AfterFix, Upstream: "PARAM_ERROR", Message: "total"}
	}
	if w.spent(o)+req.Amount.Refund > 100 {
		return nil, &refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "INVALID_REQUEST", Message: "too much", MaybeNumberTaken: true}
	}
	r := &refund.Refund{RefundID: "5000" + req.OutRefundNo, OutRefundNo: req.OutRefundNo, TransactionID: "T-" + o, OutTradeNo: "O-" + o,
		Status: refund.StatusProcessing, Amount: refund.Amount{Total: 100, Refund: req.Amount.Refund, Currency: "CNY"}}
	w.refunds[req.OutRefundNo], w.accepted[req.OutRefundNo] = r, w.now
	return r, nil
}

func (w *randomWorld) spent(o string) (sum int64) {
	for _, r := range w.refunds {
		if r.OutTradeNo == "O-"+o && r.Status != refund.StatusClosed {
			sum += r.Amount.Refund
		}
	}
	return sum
}

func (w *randomWorld) reported(r *refund.Refund) refund.Refund {
	c := *r
	p := w.partial
	if p == 3 {
		p = w.rnd.IntN(3)
	}
	if w.quiet {
		p = 0
	}
	switch p {
	case 1:
		c.OutTradeNo = ""
	case 2:
		c.TransactionID = ""
	}
	return c
}

func (w *randomWorld) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := 0
	if !w.quiet {
		k = w.rnd.IntN(6)
	}
	switch k {
	case 1:
		w.op("  upstream: lost before")
		return refund.Refund{}, noAnswer(req)
	case 2:
		w.op("  upstream: delayed")
		w.late = append(w.late, delayed{w.now.Add(time.Duration(w.rnd.IntN(14)) * time.Minute), req})
		return refund.Refund{}, noAnswer(req)
	case 3:
		_, err := w.accept(req)
		w.op("  upstream: answer lost (%v)", err)
		return refund.Refund{}, noAnswer(req)
	case 4:
		w.op("  upstream: refused for certain")
		next := []refund.Next{refund.AfterFix, refund.Later, refund.LaterOrFix, refund.Never}[w.rnd.IntN(4)]
		return refund.Refund{}, &refund.Error{Code: refund.CodeRejected, Next: next, Upstream: "SOME", Message: "no"}
	}
	r, err := w.accept(req)
	w.op("  upstream: submit %s -> %v", req.OutRefundNo, err)
	if err != nil {
		return refund.Refund{}, err
	}
	return w.reported(r), nil
}

func (w *randomWorld) Query(_ context.Context, l refund.Lookup) (refund.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.quiet && w.rnd.IntN(4) == 0 {
		return refund.Page{}, noAnswer(refund.Request{})
	}
	if l.ByOrder() {
		var p refund.Page
		o := strings.TrimPrefix(l.OutTradeNo, "O-")
		if l.TransactionID != "" {
			o = strings.TrimPrefix(l.TransactionID, "T-")
		}
		for _, r := range w.refunds {
			if r.OutTradeNo == "O-"+o {
				p.Refunds = append(p.Refunds, w.reported(r))
			}
		}
		if len(p.Refunds) == 0 {
			return p, &refund.Error{Code: refund.CodeNotFound, Next: refund.AfterFix, Message: "none"}
		}
		p.TotalRefundCount, p.RefundCount = len(p.Refunds), len(p.Refunds)
		return p, nil
	}
	r := w.refunds[l.OutRefundNo]
	if r == nil {
		return refund.Page{}, &refund.Error{Code: refund.CodeNotFound, Next: refund.AfterFix, Upstream: "RESOURCE_NOT_EXISTS", Message: "no such refund"}
	}
	return refund.Page{Refunds: []refund.Refund{w.reported(r)}}, nil
}

// Bill is that of a day, as it looks now.
func (w *randomWorld) Bill(_ context.Context, q refund.BillQuery) (*refund.Bill, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.bills:
		return nil, refund.ErrNoBill
	case !w.quiet && w.rnd.IntN(4) == 0:
		return nil, noAnswer(refund.Request{})
	}
	var rows []refund.BillRow
	for _, no := range slices.Sorted(maps.Keys(w.refunds)) {
		if r := w.refunds[no]; refund.DayOf(w.accepted[no]) == q.Day {
			rows = append(rows, refund.BillRow{
				Line: int64(len(rows) + 2), MchID: merchant.MchID, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo, RefundID: r.RefundID, OutRefundNo: no,
				AcceptedAt: w.accepted[no], Amount: r.Amount.Refund, Refunded: r.Amount.Refund, Currency: "CNY", Status: r.Status,
			})
		}
	}
	b := tradeBill(rows...)
	b.Query, b.Empty = q, len(rows) == 0
	w.op("  bill of %s: %d rows", q.Day, len(rows))
	return b, nil
}

func (w *randomWorld) Spec() refund.Spec {
	s := newUpstream().Spec()
	s.Resend = w.v2
	if w.bills {
		s.Bills = []refund.BillKind{refund.TradeBill}
	}
	if w.lists {
		s.Lookups = []string{"out_refund_no", "out_trade_no", "transaction_id"}
	}
	return s
}

func (w *randomWorld) advance(d time.Duration) {
	end := w.now.Add(d)
	for {
		i := -1
		for j, l := range w.late {
			if !l.until.After(end) && (i < 0 || l.until.Before(w.late[i].until)) {
				i = j
			}
		}
		if i < 0 {
			break
		}
		l := w.late[i]
		w.late = slices.Delete(w.late, i, i+1)
		w.now = l.until
		_, err := w.accept(l.req)
		w.op("  late %s arrives: %v", l.req.OutRefundNo, err)
	}
	w.now = end
}

func (w *randomWorld) dump() (map[string]storedRecord, map[string]storedAccount) {
	recs, accs := map[string]storedRecord{}, map[string]storedAccount{}
	for k, body := range w.ledger.bodies {
		switch {
		case strings.HasPrefix(string(k), "refund/"):
			var r storedRecord
			_ = json.Unmarshal(body, &r)
			recs[strings.TrimPrefix(string(k), "refund/")] = r
		case strings.HasPrefix(string(k), "order/"):
			var a storedAccount
			_ = json.Unmarshal(body, &a)
			accs[string(k)] = a
		}
	}
	return recs, accs
}

func resolve(accs map[string]storedAccount, k string) string {
	for range 10 {
		if a, ok := accs[k]; !ok || a.SameAs == "" {
			return k
		}
		k = accs[k].SameAs
	}
	return "CIRCLE"
}

func (w *randomWorld) check() (bad []string) {
	recs, accs := w.dump()
	bad = append(bad, w.ledger.unlisted...)
	in := map[string]map[string]int64{}
	for k, a := range accs {
		if a.SameAs != "" {
			if len(a.Members) > 0 || a.Reserved != 0 {
				bad = append(bad, "alias with content "+k)
			}
			continue
		}
		var sum int64
		for _, m := range a.Members {
			sum += m.Held
			if in[m.No] == nil {
				in[m.No] = map[string]int64{}
			}
			in[m.No][k] = m.Held
		}
		for _, m := range a.Claims {
			if in[m.No] == nil {
				in[m.No] = map[string]int64{}
			}
			if _, twice := in[m.No][k]; twice {
				bad = append(bad, m.No+" counts twice in "+k)
			}
			in[m.No][k] = m.Held
		}
		if sum != a.Reserved {
			bad = append(bad, fmt.Sprintf("%s: reserved %d, members hold %d", k, a.Reserved, sum))
		}
		if t, o := strings.TrimPrefix(a.TransactionID, "T-"), strings.TrimPrefix(a.OutTradeNo, "O-"); t != "" && o != "" && t != o {
			bad = append(bad, fmt.Sprintf("%s: names %s and %s", k, a.TransactionID, a.OutTradeNo))
		}
	}
	for no, r := range recs {
		homes := []string{}
		if r.Counted {
			for _, k := range []string{r.Order, r.Also} {
				if k = resolve(accs, k); k != "" && !slices.Contains(homes, k) {
					homes = append(homes, k)
				}
			}
		} else if r.Held != 0 {
			bad = append(bad, no+" holds and is not counted")
		}
		for _, h := range homes {
			held, ok := in[no][h]
			if !ok || held != r.Held {
				bad = append(bad, fmt.Sprintf("%s holds %d, account %s says %d %v", no, r.Held, h, held, ok))
			}
			delete(in[no], h)
		}
		for k, held := range in[no] {
			bad = append(bad, fmt.Sprintf("%s stands in %s with %d and does not name it", no, k, held))
		}
		delete(in, no)
	}
	for no := range in {
		if len(in[no]) > 0 {
			bad = append(bad, no+" is a member without record")
		}
	}
	return bad
}

func (w *randomWorld) final() (bad []string) {
	recs, accs := w.dump()
	for no, r := range recs {
		u := w.refunds[no]
		if r.State == "claimed" {
			bad = append(bad, no+" is still in doubt")
			continue
		}
		if u == nil {
			if r.Held != 0 || r.State != "rejected" {
				bad = append(bad, fmt.Sprintf("%s: %s, held %d, and the upstream has nothing", no, r.State, r.Held))
			}
			continue
		}
		want := u.Amount.Refund
		if u.Status == refund.StatusClosed {
			want = 0
		}
		if r.State == "rejected" && !r.Taken && w.hand[no] && !w.bills {
			continue // used by hand after the upstream said that there is none: only a bill shows it
		}
		if r.Held != want {
			bad = append(bad, fmt.Sprintf("%s (%s taken=%v) holds %d, upstream %d %s", no, r.State, r.Taken, r.Held, u.Amount.Refund, u.Status))
			continue
		}
		stands := false
		for _, name := range []string{"order/transaction_id/" + u.TransactionID, "order/out_trade_no/" + u.OutTradeNo} {
			a := accs[resolve(accs, name)]
			if slices.ContainsFunc(slices.Concat(a.Members, a.Claims), func(m storedMember) bool { return m.No == no && m.Held == want }) {
				stands = true
			}
		}
		if !stands {
			bad = append(bad, fmt.Sprintf("%s does not stand in its order", no))
		}
	}
	for no := range w.refunds {
		if _, known := recs[no]; !known && w.bills {
			bad = append(bad, fmt.Sprintf("%s is a refund that nobody knows here", no))
		}
	}
	for k, a := range accs {
		if a.SameAs != "" {
			continue
		}
		for _, m := range a.Members {
			u := w.refunds[m.No]
			if u == nil || u.TransactionID != a.TransactionID && u.OutTradeNo != a.OutTradeNo {
				bad = append(bad, fmt.Sprintf("%s has %s, which is not the order's", k, m.No))
			}
		}
	}
	return bad
}

func newWorld(t *testing.T, seed uint64) *randomWorld {
	t.Helper()
	w := &randomWorld{rnd: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), refunds: map[string]*refund.Refund{}, accepted: map[string]time.Time{}, hand: map[string]bool{},
		ledger: &remembered{Ledger: setUp(t).Ledger, bodies: map[refund.Key][]byte{}}}
	w.v2, w.lists, w.partial = w.rnd.IntN(2) == 0, w.rnd.IntN(2) == 0, w.rnd.IntN(4)
	w.f = &refund.Service{Channel: w, Ledger: w.ledger, Merchant: merchant, Now: func() time.Time { return w.now },
		Log: slog.New(slog.DiscardHandler)}
	return w
}

func (w *randomWorld) step() {
	ctx := context.Background()
	nos := []string{"R1", "R2", "R3", "R4"}
	no := nos[w.rnd.IntN(len(nos))]
	o := []string{"A", "B"}[w.rnd.IntN(2)]
	switch w.rnd.IntN(12) {
	case 0, 1, 2, 3:
		fen := []int64{30, 60, 60, 100}[w.rnd.IntN(4)]
		req := refund.Request{OutRefundNo: no, Amount: refund.RequestAmount{Refund: fen, Total: 100, Currency: "CNY"}}
		if w.rnd.IntN(10) == 0 {
			req.Amount.Total = 120
		}
		switch w.rnd.IntN(4) {
		case 0:
			req.TransactionID = "T-" + o
		case 1:
			req.OutTradeNo = "O-" + o
		case 2:
			req.TransactionID, req.OutTradeNo = "T-"+o, "O-"+o
		case 3:
			req.TransactionID, req.OutTradeNo = "T-"+o, "O-"+o
			if w.rnd.IntN(2) == 0 {
				req.OutTradeNo = "O-" + map[string]string{"A": "B", "B": "A"}[o]
			}
		}
		w.op("refund %s %s %s %d/%d", no, req.TransactionID, req.OutTradeNo, fen, req.Amount.Total)
		_, err := w.f.Refund(ctx, server, req)
		w.op("  = %v", err)
	case 4: // by hand
		fen := []int64{30, 60}[w.rnd.IntN(2)]
		if w.rnd.IntN(2) == 0 {
			no = fmt.Sprintf("H%d", w.n)
			w.n++
		}
		if w.refunds[no] == nil && w.spent(o)+fen <= 100 {
			_, err := w.accept(refund.Request{OutRefundNo: no, OutTradeNo: "O-" + o, Amount: refund.RequestAmount{Refund: fen, Total: 100, Currency: "CNY"}})
			w.hand[no] = true
			w.op("by hand %s O-%s %d: %v", no, o, fen, err)
		}
	case 5, 6: // settle
		for _, n := range slices.Sorted(maps.Keys(w.refunds)) {
			r := w.refunds[n]
			if w.rnd.IntN(2) == 0 && r.Status != refund.StatusSuccess && r.Status != refund.StatusClosed {
				r.Status = []refund.Status{refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal}[w.rnd.IntN(3)]
				w.notifications = append(w.notifications, refund.Outcome{Source: refund.Notification, OutRefundNo: n, Merchant: merchant, EventID: fmt.Sprint("E", len(w.notifications)), Refund: *r})
				w.op("upstream: %s is %s", n, r.Status)
			}
		}
	case 7:
		if len(w.notifications) > 0 {
			l := w.notifications[w.rnd.IntN(len(w.notifications))]
			st, err := w.f.Settle(ctx, l)
			w.op("notification %s %s: %s %v", l.OutRefundNo, l.Refund.Status, st.State, err)
		}
	case 8:
		_, err := w.f.QueryRefund(ctx, server, refund.Lookup{OutRefundNo: no})
		w.op("query %s: %v", no, err)
	case 9:
		l := refund.Lookup{OutTradeNo: "O-" + o}
		if w.rnd.IntN(2) == 0 {
			l = refund.Lookup{TransactionID: "T-" + o}
		}
		_, err := w.f.QueryOrder(ctx, server, l)
		w.op("query order %v: %v", l, err)
	case 10:
		d := []time.Duration{time.Second, time.Minute, 20 * time.Minute, 3 * time.Hour, 20 * time.Hour}[w.rnd.IntN(5)]
		w.advance(d)
		w.op("+%v and timer", d)
		_, _ = w.f.Reconcile(ctx)
	case 11:
		if w.rnd.IntN(2) == 0 {
			err := w.f.Release(ctx, refund.Release{OutRefundNo: no, By: "me"})
			w.op("release %s: %v", no, err)
		} else {
			err := w.f.Cancel(ctx, no, "me")
			w.op("cancel %s: %v", no, err)
		}
	}
}

func (w *randomWorld) settleDown() {
	w.quiet = true
	for range 180 { // > 40 hours with the timer each ten minutes at most
		w.advance(20 * time.Minute)
		_, _ = w.f.Reconcile(context.Background())
	}
}

// Whatever happens in whatever order, accounts and records agree after each step,
// and in the end what the ledger holds is what the upstream holds.
func TestAccountsAndRecordsAgreeAfterEachStep(t *testing.T) { histories(t, 100, false) }

// So they do with an upstream that issues bills, and then the ledger has every refund that
// the upstream has, those by hand of which nobody was told too: no fen is unknown.
func TestWithBillsNoRefundStaysUnknown(t *testing.T) { histories(t, 60, true) }

func histories(t *testing.T, n uint64, bills bool) {
	for seed := range n {
		w := newWorld(t, seed)
		w.bills = bills
		var bad []string
		for range 5 + w.rnd.IntN(20) {
			w.step()
			if bad = w.check(); len(bad) > 0 {
				break
			}
		}
		if len(bad) == 0 {
			w.op("-- quiet")
			w.settleDown()
			bad = append(w.check(), w.final()...)
		}
		if len(bad) > 0 {
			t.Fatalf("seed %d (v2 %v, lists %v, partial %d):\n  %s\n---\n  %s",
				seed, w.v2, w.lists, w.partial, strings.Join(bad, "\n  "), strings.Join(w.ops, "\n  "))
		}
	}
}
