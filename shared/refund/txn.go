package refund

import (
	"context"
	"time"
)

// A book is one reading of the ledger: a refund, the account of its order and
// the other names of both. It is changed in memory and written in one commit.
type txn struct {
	no          string
	rec         record
	items       map[Key]Item          // as read
	accounts    map[Key]*orderAccount // every order item that was read or made
	changed     []Key                 // what commit has to write, in the order of first change
	keepQueryAt bool                  // the record changed in what is owed alone, so that asking stays due as it was
	ids         map[Key]string        // refund_id names that were read or made
	alarms      []alarm               // what the change raises
	raised      []string              // lasting causes among them, told or not
	closed      []Cause               // lasting causes that it ends
	logArgs     []any                 // what is logged beside an alarm
}

// read opens the book of a refund number. names are further keys that the
// caller knows to matter: the order's names, the refund_id.
func (s *Service) begin(ctx context.Context, no string, names ...Key) (*txn, error) {
	if err := s.Bind(ctx); err != nil {
		return nil, err
	}
	tx := &txn{no: no, items: map[Key]Item{}, accounts: map[Key]*orderAccount{}, ids: map[Key]string{}}
	want := append([]Key{refundKey(no)}, names...)
	for len(want) > 0 {
		items, err := s.Ledger.Get(ctx, want...)
		if err != nil {
			return nil, ledgerError(err)
		}
		for _, it := range items {
			if err := tx.load(it); err != nil {
				return nil, err
			}
		}
		want = tx.missing()
	}
	return tx, nil
}

// take puts an item that was read into the book.
func (tx *txn) load(it Item) error {
	tx.items[it.Key] = it
	switch {
	case it.Key == refundKey(tx.no):
		return decode(it, &tx.rec)
	case isRefundID(it.Key):
		var no string
		err := decode(it, &no)
		tx.ids[it.Key] = no
		return err
	}
	a := &orderAccount{}
	tx.accounts[it.Key] = a
	return decode(it, a)
}

// missing lists the items that what was read so far refers to.
func (tx *txn) missing() []Key {
	var want []Key
	add := func(k Key) {
		if _, ok := tx.items[k]; k != "" && !ok {
			want = append(want, k)
		}
	}
	add(tx.rec.Order)
	add(tx.rec.SecondOrder)
	for _, a := range tx.accounts {
		add(a.SameAs)
	}
	if len(tx.rec.Contents) > 0 || tx.rec.Taken { // which of them the upstream means decides the order
		for _, c := range append(tx.rec.Contents, tx.rec.Request) {
			for _, k := range orderKeys(c.TransactionID, c.OutTradeNo) {
				add(k)
			}
		}
	}
	return want
}

// resolve follows an order's name to the key of its account.
func (tx *txn) resolve(k Key) Key {
	for range len(tx.accounts) { // a bound, should items ever point in a circle
		a := tx.accounts[k]
		if a == nil || a.SameAs == "" {
			break
		}
		k = a.SameAs
	}
	return k
}

// account returns the account in which the refund counts; nil if nobody has named its order.
func (tx *txn) account() *orderAccount { return tx.accounts[tx.resolve(tx.rec.Order)] }

// also returns the account in which the refund counts by its caller's other name;
// nil if there is none, or if it has turned out to be the same.
func (tx *txn) secondAccount() *orderAccount {
	if k := tx.resolve(tx.rec.SecondOrder); k != "" && k != tx.resolve(tx.rec.Order) {
		return tx.accounts[k]
	}
	return nil
}

// homes are the accounts in which the refund counts, by their keys: one, or two
// while nobody but the caller says that his two names are one order's.
func (tx *txn) accountKeys() []Key {
	homes := []Key{tx.resolve(tx.rec.Order)}
	if tx.secondAccount() != nil {
		homes = append(homes, tx.resolve(tx.rec.SecondOrder))
	}
	return homes
}

// exists reports whether an item stands in the ledger or will by this commit.
func (tx *txn) exists(k Key) bool { return tx.items[k].Version > 0 || tx.dirty(k) }

func (tx *txn) dirty(k Key) bool {
	for _, c := range tx.changed {
		if c == k {
			return true
		}
	}
	return false
}

func (tx *txn) touch(k Key) {
	if !tx.dirty(k) {
		tx.changed = append(tx.changed, k)
	}
}

// open chooses the accounts in which a new refund counts: one for each name that
// the caller gives, since only the upstream can say that they are one order's.
// WeChat's own number comes first. It returns why the names cannot be one order's
// by what the upstream has said before; nil if they can.
func (tx *txn) chooseOrder(transactionID, outTradeNo string) *Error {
	keys := orderKeys(transactionID, outTradeNo)
	for _, k := range keys {
		a := tx.accounts[tx.resolve(k)]
		switch {
		case differ(a.TransactionID, transactionID):
			return twoOrders("out_trade_no", "transaction_id", a.TransactionID)
		case differ(a.OutTradeNo, outTradeNo):
			return twoOrders("transaction_id", "out_trade_no", a.OutTradeNo)
		}
	}
	tx.rec.Order, tx.rec.SecondOrder = tx.resolve(keys[0]), ""
	if also := tx.resolve(keys[len(keys)-1]); also != tx.rec.Order {
		tx.rec.SecondOrder = also
	}
	for _, k := range keys {
		if tx.exists(tx.resolve(k)) {
			continue
		}
		if k == transactionKey(transactionID) {
			tx.accounts[k].TransactionID = transactionID
		} else {
			tx.accounts[k].OutTradeNo = outTradeNo
		}
	}
	return nil
}

func twoOrders(one, other, known string) *Error {
	return conflictf("transaction_id and out_trade_no name two orders: the %s of this %s is %s", other, one, known)
}

// hold makes the refund reserve that much of its order, and count there or not.
func (tx *txn) reserve(minor int64, counted bool) {
	m := member{No: tx.no, At: tx.rec.ClaimedAt, Held: minor, External: tx.rec.external()}
	if tx.rec.State == Claimed {
		m.Total = tx.rec.Request.Amount.Total
	}
	if a := tx.account(); a != nil {
		switch {
		case counted && a.put(m, minor-tx.rec.Held):
			tx.touch(tx.resolve(tx.rec.Order))
		case !counted && tx.rec.Counted:
			a.remove(tx.no, tx.rec.Held)
			tx.touch(tx.resolve(tx.rec.Order))
		}
	}
	if a := tx.secondAccount(); a != nil {
		switch {
		case counted && a.claim(m):
			tx.touch(tx.resolve(tx.rec.SecondOrder))
		case !counted && tx.rec.Counted:
			a.unclaim(tx.no)
			tx.touch(tx.resolve(tx.rec.SecondOrder))
		}
	}
	tx.rec.Held, tx.rec.Counted = minor, counted
}

// move makes the refund count in other accounts than before.
func (tx *txn) move(order, also Key) {
	if tx.rec.Order == order && tx.rec.SecondOrder == also {
		return
	}
	held, counted := tx.rec.Held, tx.rec.Counted
	tx.reserve(0, false)
	tx.rec.Order, tx.rec.SecondOrder = order, also
	if counted {
		tx.reserve(held, true)
	}
	tx.touch(refundKey(tx.no))
}

// settleIn books the refund on the order that the upstream names, and on no other.
// Two names are one order's only if one answer tells both. It returns what
// contradicts the ledger, "" if nothing.
func (tx *txn) assignOrder(transactionID, outTradeNo string) string {
	told := orderKeys(transactionID, outTradeNo)
	if len(told) == 0 {
		return ""
	}
	home := tx.account()
	if home == nil || differ(home.TransactionID, transactionID) || differ(home.OutTradeNo, outTradeNo) {
		// Not the order that was claimed: it is the one that is told, by the name that leads to it.
		order := told[0]
		for _, k := range told {
			if a := tx.accounts[tx.resolve(k)]; tx.exists(tx.resolve(k)) && !differ(a.TransactionID, transactionID) && !differ(a.OutTradeNo, outTradeNo) {
				order = k
				break
			}
		}
		tx.move(tx.resolve(order), "")
	}
	if len(told) == 1 {
		tx.assignOrderByOneName(told[0], transactionID, outTradeNo)
		return ""
	}
	why := tx.joinNames(transactionID, outTradeNo)
	tx.move(tx.rec.Order, "") // whatever else the caller has called it
	return why
}

// settleByOneName books the refund on the order of the one name that the upstream
// tells. Whatever other name the caller has given, or the account has, is not
// confirmed by that.
func (tx *txn) assignOrderByOneName(name Key, transactionID, outTradeNo string) {
	told, order := tx.resolve(name), tx.resolve(tx.rec.Order)
	if !tx.exists(told) { // a name that nobody here has heard of
		a := tx.accounts[told]
		a.TransactionID, a.OutTradeNo = transactionID, outTradeNo
		tx.touch(told)
	}
	if told != order {
		tx.move(told, order)
	}
}

// join learns from the upstream that both names name the refund's order, and
// merges their accounts. It returns what contradicts that, "" if nothing.
func (tx *txn) joinNames(transactionID, outTradeNo string) string {
	home := tx.resolve(tx.rec.Order)
	a := tx.accounts[home]
	for _, n := range []struct {
		field, told string
		known       *string
	}{
		{"transaction_id", transactionID, &a.TransactionID},
		{"out_trade_no", outTradeNo, &a.OutTradeNo},
	} {
		if n.told == "" {
			continue
		}
		if *n.known == "" {
			*n.known = n.told
			tx.touch(home)
		}
		if *n.known != n.told {
			return n.field + " names another order in the ledger"
		}
	}
	for _, k := range orderKeys(transactionID, outTradeNo) {
		other := tx.resolve(k)
		if other == home {
			continue
		}
		if o := tx.accounts[other]; tx.exists(other) {
			if differ(o.TransactionID, a.TransactionID) || differ(o.OutTradeNo, a.OutTradeNo) {
				return "the ledger knows " + string(k) + " as another order"
			}
			a.absorb(*o)
			tx.touch(home)
		}
		tx.accounts[other] = &orderAccount{SameAs: home}
		tx.touch(other)
	}
	return ""
}

func differ(x, y string) bool { return x != "" && y != "" && x != y }

// nameID makes the refund findable by its refund_id. It returns what
// contradicts that, "" if nothing.
func (tx *txn) indexRefundID(refundID string) string {
	k := refundIDKey(refundID)
	if len(k) > MaxKey {
		return "refund_id is too long to be found by"
	}
	switch tx.ids[k] {
	case tx.no:
		return ""
	case "":
		tx.ids[k] = tx.no
		tx.touch(k)
		return ""
	}
	return "refund_id belongs to another refund number in the ledger"
}

// commit writes what changed: all of it, or nothing and [ErrStale].
func (s *Service) commit(ctx context.Context, tx *txn, now time.Time) error {
	if len(tx.changed) == 0 {
		return nil
	}
	items := make([]Item, 0, len(tx.changed))
	for _, k := range tx.changed {
		var body any = tx.accounts[k]
		var due time.Time
		switch {
		case k == refundKey(tx.no):
			if !tx.keepQueryAt {
				tx.rec.QueryAt = tx.rec.nextQueryAt(now)
			}
			body, due = tx.rec, tx.rec.due(now)
		case isRefundID(k):
			body = tx.ids[k]
		}
		next := item(k, tx.items[k].Version, body, due)
		next.Body = preserve(tx.items[k].Body, next.Body, body)
		items = append(items, next)
	}
	return ledgerError(s.Ledger.Commit(ctx, items...))
}
