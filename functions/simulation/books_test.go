package simulation_test

import "slices"

// compareBooks compares a side's books with WeChat Pay's once all is quiet.
func (w *world) compareBooks() {
	books, held := w.side.books(), w.upstreams()
	wrong := 0
	for _, u := range held {
		e, known := books[u.OutRefundNo]
		delete(books, u.OutRefundNo)
		row, _ := w.invariants.row(u.OutRefundNo)
		if w.untold(u.OutRefundNo) && !w.toldByBill(u) && (!known || row.Absent) {
			w.count("refunds by hand that no notification told of", 1)
			w.unknownHands(u)
			continue
		}
		if w.untellable(u) {
			w.compareUntold(u)
			continue
		}
		if w.invariants.on {
			w.owner(u, row)
		}
		if w.invariants.judge("I3 the books say what WeChat Pay says", e.status == u.Status && e.fen == u.Amount.Refund, "%s: the books say %+v, WeChat Pay %s of %d", u.OutRefundNo, e, u.Status, u.Amount.Refund) {
			continue
		}
		wrong++
		w.logf("books", "%s: the books say %+v, WeChat Pay %+v", u.OutRefundNo, e, u)
		w.count("phantom fen", abs(e.moved()-entry{u.Status, u.Amount.Refund}.moved()))
	}
	for no, e := range books { // WeChat Pay knows nothing of these
		w.count("phantom fen", e.moved())
		w.invariants.judge("I3 what WeChat Pay does not know is no refund", e.status == "REJECTED" || e.status == "CLAIMED", "%s: the books say %+v", no, e)
		switch e.status {
		case "REJECTED":
		case "CLAIMED":
			w.count("stuck claims", 1)
			w.invariants.mu.Lock()
			silent := len(w.invariants.of(no).kinds) == 0 && !w.invariants.young(no)
			w.invariants.mu.Unlock()
			w.invariants.judge("I3 no claim is stuck without an alarm", !silent, "%s is", no)
		default:
			wrong++
			w.logf("books", "%s: the books say %+v, WeChat Pay nothing", no, e)
		}
	}
	w.excess(held)
	w.count("refunds", int64(len(held)))
	w.count("refunds with wrong books", int64(wrong))
	w.count("histories with wrong books", int64(min(wrong, 1)))
	w.count("histories with phantom fen", min(w.counts["phantom fen"], 1))
	w.invariants.ended()
	w.docket.close()
	w.invariants.allDelivered()
	w.invariants.holds("at the end")
	w.invariants.balance()
}

// moved is what a refund has brought the customer.
func (e entry) moved() int64 {
	if e.status == "SUCCESS" {
		return e.fen
	}
	return 0
}

// excess counts what was refunded above an order's total, and what was refunded
// more than once for one wish.
func (w *world) excess(held []upstreamRefund) {
	sums := map[string]int64{}
	for _, u := range held {
		if u.Status != "CLOSED" {
			sums[u.OutTradeNo] += u.Amount.Refund
		}
	}
	for _, o := range w.history.Orders {
		w.count("phantom fen", max(0, sums[o.Trade]-o.Total))
	}
	for _, f := range w.history.Wishes {
		var sum int64
		for _, u := range held {
			if slices.Contains(w.numbers[f.No], u.OutRefundNo) && u.Status != "CLOSED" && !w.history.byHand(u.OutRefundNo) {
				sum += u.Amount.Refund
			}
		}
		twice := max(0, sum-f.Fen)
		w.count("fen refunded twice", twice)
		w.count("wishes", 1)
		w.count("wishes refunded twice", min(twice, 1))
		w.invariants.judge("I1 a wish is refunded once", twice == 0, "%s wants %d and gets %d", f.No, f.Fen, sum)
	}
}

// untold reports whether a refund was made by hand and every notification about it was
// lost: then nobody here can know of it, since WeChat Pay has no list to ask for.
// That holds of a number never claimed, and of one whose refund was refused and of
// which WeChat Pay said, when asked, that it held nothing.
func (w *world) untold(no string) bool {
	_, told := w.notifications[no]
	return !told && w.history.byHand(no)
}

func abs(n int64) int64 { return max(n, -n) }
