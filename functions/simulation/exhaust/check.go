package exhaust

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// A row is what is read of a refund in the ledger, by names of its own.
type row struct {
	State       string
	Foreign     bool
	Attempt     int
	Cancelled   bool
	Hands       int
	Application string
	Proposed    string
	Taken       bool
	Held        int64
	Counted     bool
	Order       string
	Also        string
	SentAt      time.Time `json:"sent_at"`
	Silent      bool
	Released    bool
	Open        []int
	Notices     []notice
	Request     struct {
		TransactionID string `json:"transaction_id"`
		OutTradeNo    string `json:"out_trade_no"`
		Amount        struct{ Refund, Total int64 }
	}
	Refund struct {
		Status string
		Amount struct{ Refund int64 }
	}
}

type notice struct{ ID string }

func (r *row) words() string {
	switch {
	case r.Taken:
		return "somebody else's number"
	case r.Released:
		return r.State + ", released"
	}
	return r.State
}

// An account is what is read of an order.
type account struct {
	SameAs   string `json:"same_as"`
	Reserved int64
	Total    int64
	Members  []struct {
		No      string
		Held    int64
		Total   int64
		Foreign bool
	}
	Claims []struct {
		No    string
		Held  int64
		Total int64
	}
	Confirmed bool
}

func (x *explorer) row(it refund.Item) *row {
	if r, ok := x.rows[string(it.Body)]; ok {
		return r
	}
	r := &row{}
	if err := json.Unmarshal(it.Body, r); err != nil {
		panic(err)
	}
	x.rows[string(it.Body)] = r
	return r
}

func (x *explorer) account(it refund.Item) *account {
	if a, ok := x.accounts[string(it.Body)]; ok {
		return a
	}
	a := &account{}
	if err := json.Unmarshal(it.Body, a); err != nil {
		panic(err)
	}
	x.accounts[string(it.Body)] = a
	return a
}

// itemDigest sums an item up, but for what is for people to read, and its version.
func (x *explorer) itemDigest(it refund.Item) uint64 {
	if it.Version == 0 {
		return 0
	}
	key := string(it.Key) + string(it.Body)
	if sum, ok := x.digests[key]; ok {
		return mix(sum + uint64(it.Due.UnixMilli())) // #nosec G115 -- its bits
	}
	body := it.Body
	var fields map[string]json.RawMessage
	if json.Unmarshal(it.Body, &fields) == nil {
		delete(fields, "history")
		delete(fields, "causes")
		body, _ = json.Marshal(fields)
	}
	var d digest
	d.h.SetSeed(x.seed)
	d.text(string(it.Key))
	_, _ = d.h.Write(body)
	x.digests[key] = d.h.Sum64()
	return mix(d.h.Sum64() + uint64(it.Due.UnixMilli())) // #nosec G115 -- its bits
}

// checkMoney looks at what WeChat Pay has given away.
func (r *run) checkMoney() {
	wishes := r.x.scenario.wishes
	owed, given := map[string]int64{}, map[string]int64{}
	for _, w := range wishes {
		owed[w.no] = max(owed[w.no], w.fen)
	}
	for _, h := range r.w.refunds {
		if h.wish >= 0 && h.status() != refund.StatusClosed {
			given[wishes[h.wish].no] += h.req.Amount.Refund
		}
	}
	for no, fen := range given {
		if fen > owed[no] {
			r.violates("%d are refunded for a wish of %d", fen, owed[no])
		}
	}
}

// check holds what the ledger says against what WeChat Pay holds, at this instant.
func (r *run) check() {
	if r.broken != "" {
		return
	}
	rank := func(h *held, status string) int {
		return slices.Index(h.past, refund.Status(strings.ToUpper(status)))
	}
	if r.w.billed {
		for _, h := range r.w.refunds {
			if no := h.req.OutRefundNo; r.onRecord(no) == "" && refund.DayOf(h.at) == refund.DayOf(r.x.start) {
				r.violates("the bill was read to its end, and the ledger does not know %s", no)
			}
		}
	}
	for k, it := range r.w.items {
		no, ok := it.RefundNo()
		if !ok {
			if strings.HasPrefix(string(k), "order/") {
				r.checkAccount(it)
			}
			continue
		}
		row, h := r.x.row(it), r.w.held(no)
		ours := h != nil && !h.byHand
		switch row.State {
		case "": // a number that waits for approval, and no refund
			if row.Proposed == "" || row.Held != 0 || row.Attempt != 0 {
				r.violates("%s has no state in the ledger, and is not only proposed", no)
			}
			continue
		case "claimed":
		case "rejected":
			if ours && h.status() != refund.StatusClosed && !row.Taken {
				r.violates("%s is rejected in the ledger, and WeChat Pay has accepted it", no)
			}
			for _, f := range r.w.flying {
				if f.req.OutRefundNo == no && r.w.now.Before(f.until) && !row.Taken {
					if rule, _ := r.decide(r.x.system.sent(f.req)); rule == accepted {
						r.violates("%s is rejected in the ledger while a request for it is on its way", no)
					}
				}
			}
			if row.Held != 0 && !row.Taken {
				r.violates("%s is rejected and reserves %d", no, row.Held)
			}
		default:
			if h == nil {
				r.violates("%s is %s in the ledger, and WeChat Pay does not have it", no, row.State)
			} else if rank(h, row.State) < 0 {
				r.violates("%s is %s in the ledger, which it has never been at WeChat Pay", no, row.State)
			} else if h.byHand && !row.Foreign && !row.Taken && !r.same(row, h) {
				r.violates("%s is %s in the ledger as ours, and at WeChat Pay it is somebody else's", no, row.State)
			} else {
				r.backwards(no, h, rank(h, row.State))
			}
		}
		if amount := row.Request.Amount.Refund; !row.Taken && row.State != "rejected" && row.State != "closed" && row.Held != amount {
			r.violates("%s is %s and reserves %d of %d", no, row.State, row.Held, amount)
		}
	}
}

// trimmed is a key without the prefix that it begins with.
func trimmed(k refund.Key, prefix string) (string, bool) { return strings.CutPrefix(string(k), prefix) }

// checkClaim looks at a claim that is about to be sent.
func (r *run) checkClaim(no string, row, before *row) {
	if row.Cancelled && before != nil && row.Attempt > before.Attempt {
		r.violates("%s is to be sent again, and was withdrawn", no)
	}
	foreign := 0
	if it, ok := r.w.items[refund.Key(row.Order)]; ok {
		if a := r.x.account(it); before == nil && a.Confirmed && a.Total != row.Request.Amount.Total {
			r.violates("%s is claimed of an order of %d, and WeChat Pay has said that it has %d", no, row.Request.Amount.Total, a.Total)
		}
		for _, m := range r.x.account(it).Members {
			if m.Foreign {
				foreign++
			}
		}
	}
	if foreign > row.Hands && before != nil && before.State == "claimed" {
		r.violates("%s is to be sent again, and a refund by hand has appeared on its order since", no)
	}
	for _, w := range r.x.scenario.wishes {
		if w.operator == "" || w.no != no || r.x.scenario.policy.ApprovalFen == 0 || row.Request.Amount.Refund <= r.x.scenario.policy.ApprovalFen {
			continue
		}
		it := r.w.items[refund.Key("application/"+row.Application)]
		var a struct {
			State     string
			Applicant string
			DecidedBy string `json:"decided_by"`
			Request   struct{ Amount struct{ Refund int64 } }
		}
		switch {
		case it.Version == 0 || json.Unmarshal(it.Body, &a) != nil:
			r.violates("%d are claimed for one operator, and nobody has agreed", row.Request.Amount.Refund)
		case a.State != "APPROVED" && a.State != "REFUNDED":
			r.violates("%s is claimed by an application that is %s", no, a.State)
		case a.DecidedBy == a.Applicant:
			r.violates("%s is claimed, and who has applied has approved", no)
		case a.Request.Amount.Refund != row.Request.Amount.Refund:
			r.violates("%d are claimed, and %d were approved", row.Request.Amount.Refund, a.Request.Amount.Refund)
		}
	}
}

// same reports whether a refund at WeChat Pay is of the order and the amount that were claimed.
func (r *run) same(row *row, h *held) bool {
	claimed, _ := find(r.x.orders(), r.x.system.sent(refund.Request{TransactionID: row.Request.TransactionID, OutTradeNo: row.Request.OutTradeNo}))
	of, _ := find(r.x.orders(), h.req)
	return claimed == of && row.Request.Amount.Refund == h.req.Amount.Refund
}

// backwards reports a state that the ledger had left behind.
func (r *run) backwards(no string, h *held, rank int) {
	if rank < h.followed {
		r.violates("%s goes back to %s in the ledger", no, h.past[rank])
	}
	h.followed = rank
}

// checkAccount looks at what an order's account reserves.
func (r *run) checkAccount(it refund.Item) {
	a := r.x.account(it)
	if a.SameAs != "" {
		return
	}
	var sum int64
	foreign := false
	wrong := func(named int64) bool { return named != 0 && named != r.x.scenario.orders[0].total } // which WeChat Pay refuses
	var mistaken int64
	for _, m := range a.Members {
		sum += m.Held
		foreign = foreign || m.Foreign
		if wrong(m.Total) {
			mistaken += m.Held
		}
	}
	if sum != a.Reserved {
		r.violates("%s reserves %d, and its refunds %d", it.Key, a.Reserved, sum)
	}
	for _, c := range a.Claims {
		if sum += c.Held; wrong(c.Total) {
			mistaken += c.Held
		}
	}
	sum -= mistaken
	for _, o := range r.x.scenario.orders {
		if named := strings.HasSuffix(string(it.Key), "/"+o.trade) || strings.HasSuffix(string(it.Key), "/"+o.transaction); named && !foreign && sum > o.total {
			r.violates("%d are reserved of order %s, which has %d", sum, o.trade, o.total)
		}
	}
}

// acknowledged checks that WeChat Pay need not repeat a notification.
func (r *run) acknowledged(l letter) {
	it, h := r.w.items[refund.Key("refund/"+l.no)], r.w.held(l.no)
	if r.onRecord(l.no) == "" {
		r.violates("the notification about %s is acknowledged, and the ledger does not know it", l.no)
		return
	}
	row := r.x.row(it)
	state := row.State
	if row.Taken {
		state = row.Refund.Status
	}
	if got, want := slices.Index(h.past, refund.Status(strings.ToUpper(state))), slices.Index(h.past, l.status); got < want {
		r.violates("the notification that %s is %s is acknowledged, and the ledger has it as %s", l.no, l.status, row.State)
	}
}

// inOrder checks that what a subscriber is told of a refund is told in the order in which it came.
func (r *run) inOrder(i int) {
	t := r.w.told[i]
	h := r.w.held(t.no)
	if h == nil || !slices.Contains(h.past, t.status) {
		r.violates("the subscriber is told that %s is %s, which it has never been", t.no, t.status)
		return
	}
	for _, u := range r.w.told {
		if u.no == t.no && u.id != t.id && slices.Index(h.past, u.status) > slices.Index(h.past, t.status) {
			r.violates("the subscriber is told that %s is %s after it was told that it is %s", t.no, t.status, u.status)
		}
		if u.no == t.no && u.id != t.id && u.status == t.status {
			r.violates("the subscriber is told twice that %s is %s, under two ids", t.no, t.status)
		}
	}
}
