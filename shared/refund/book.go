package refund

import (
	"context"
	"time"
)

// A book is one reading of the ledger: a refund, the account of its order and
// the other names of both. It is changed in memory and written in one commit.
type book struct {
	no       string
	rec      record
	items    map[Key]Item     // as read
	accounts map[Key]*account // every order item that was read or made
	changed  []Key            // what commit has to write, in the order of first change
	told     bool             // the record changed in what is owed alone, so that asking stays due as it was
	ids      map[Key]string   // refund_id names that were read or made
	alarms   []alarm          // what the change raises
	raised   []string         // lasting causes among them, told or not
	calmed   []Cause          // lasting causes that it ends
	about    []any            // what is logged beside an alarm
}

// read opens the book of a refund number. names are further keys that the
// caller knows to matter: the order's names, the refund_id.
func (s *Service) read(ctx context.Context, no string, names ...Key) (*book, error) {
	if err := s.Bind(ctx); err != nil {
		return nil, err
	}
	b := &book{no: no, items: map[Key]Item{}, accounts: map[Key]*account{}, ids: map[Key]string{}}
	want := append([]Key{refundKey(no)}, names...)
	for len(want) > 0 {
		items, err := s.Ledger.Get(ctx, want...)
		if err != nil {
			return nil, ledgerError(err)
		}
		for _, it := range items {
			if err := b.take(it); err != nil {
				return nil, err
			}
		}
		want = b.missing()
	}
	return b, nil
}

// take puts an item that was read into the book.
func (b *book) take(it Item) error {
	b.items[it.Key] = it
	switch {
	case it.Key == refundKey(b.no):
		return decode(it, &b.rec)
	case isRefundID(it.Key):
		var no string
		err := decode(it, &no)
		b.ids[it.Key] = no
		return err
	}
	a := &account{}
	b.accounts[it.Key] = a
	return decode(it, a)
}

// missing lists the items that what was read so far refers to.
func (b *book) missing() []Key {
	var want []Key
	add := func(k Key) {
		if _, ok := b.items[k]; k != "" && !ok {
			want = append(want, k)
		}
	}
	add(b.rec.Order)
	add(b.rec.Also)
	for _, a := range b.accounts {
		add(a.SameAs)
	}
	if len(b.rec.Contents) > 0 || b.rec.Taken { // which of them the upstream means decides the order
		for _, c := range append(b.rec.Contents, b.rec.Request) {
			for _, k := range orderKeys(c.TransactionID, c.OutTradeNo) {
				add(k)
			}
		}
	}
	return want
}

// resolve follows an order's name to the key of its account.
func (b *book) resolve(k Key) Key {
	for range len(b.accounts) { // a bound, should items ever point in a circle
		a := b.accounts[k]
		if a == nil || a.SameAs == "" {
			break
		}
		k = a.SameAs
	}
	return k
}

// account returns the account in which the refund counts; nil if nobody has named its order.
func (b *book) account() *account { return b.accounts[b.resolve(b.rec.Order)] }

// also returns the account in which the refund counts by its caller's other name;
// nil if there is none, or if it has turned out to be the same.
func (b *book) also() *account {
	if k := b.resolve(b.rec.Also); k != "" && k != b.resolve(b.rec.Order) {
		return b.accounts[k]
	}
	return nil
}

// homes are the accounts in which the refund counts, by their keys: one, or two
// while nobody but the caller says that his two names are one order's.
func (b *book) homes() []Key {
	homes := []Key{b.resolve(b.rec.Order)}
	if b.also() != nil {
		homes = append(homes, b.resolve(b.rec.Also))
	}
	return homes
}

// exists reports whether an item stands in the ledger or will by this commit.
func (b *book) exists(k Key) bool { return b.items[k].Version > 0 || b.dirty(k) }

func (b *book) dirty(k Key) bool {
	for _, c := range b.changed {
		if c == k {
			return true
		}
	}
	return false
}

func (b *book) touch(k Key) {
	if !b.dirty(k) {
		b.changed = append(b.changed, k)
	}
}

// open chooses the accounts in which a new refund counts: one for each name that
// the caller gives, since only the upstream can say that they are one order's.
// WeChat's own number comes first. It returns why the names cannot be one order's
// by what the upstream has said before; nil if they can.
func (b *book) open(transactionID, outTradeNo string) *Error {
	keys := orderKeys(transactionID, outTradeNo)
	for _, k := range keys {
		a := b.accounts[b.resolve(k)]
		switch {
		case differ(a.TransactionID, transactionID):
			return twoOrders("out_trade_no", "transaction_id", a.TransactionID)
		case differ(a.OutTradeNo, outTradeNo):
			return twoOrders("transaction_id", "out_trade_no", a.OutTradeNo)
		}
	}
	b.rec.Order, b.rec.Also = b.resolve(keys[0]), ""
	if also := b.resolve(keys[len(keys)-1]); also != b.rec.Order {
		b.rec.Also = also
	}
	for _, k := range keys {
		if b.exists(b.resolve(k)) {
			continue
		}
		if k == transactionKey(transactionID) {
			b.accounts[k].TransactionID = transactionID
		} else {
			b.accounts[k].OutTradeNo = outTradeNo
		}
	}
	return nil
}

func twoOrders(one, other, known string) *Error {
	return conflictf("transaction_id and out_trade_no name two orders: the %s of this %s is %s", other, one, known)
}

// hold makes the refund reserve that much of its order, and count there or not.
func (b *book) hold(minor int64, counted bool) {
	m := member{No: b.no, At: b.rec.ClaimedAt, Held: minor, External: b.rec.foreign()}
	if b.rec.State == Claimed {
		m.Total = b.rec.Request.Amount.Total
	}
	if a := b.account(); a != nil {
		switch {
		case counted && a.put(m, minor-b.rec.Held):
			b.touch(b.resolve(b.rec.Order))
		case !counted && b.rec.Counted:
			a.remove(b.no, b.rec.Held)
			b.touch(b.resolve(b.rec.Order))
		}
	}
	if a := b.also(); a != nil {
		switch {
		case counted && a.claim(m):
			b.touch(b.resolve(b.rec.Also))
		case !counted && b.rec.Counted:
			a.unclaim(b.no)
			b.touch(b.resolve(b.rec.Also))
		}
	}
	b.rec.Held, b.rec.Counted = minor, counted
}

// move makes the refund count in other accounts than before.
func (b *book) move(order, also Key) {
	if b.rec.Order == order && b.rec.Also == also {
		return
	}
	held, counted := b.rec.Held, b.rec.Counted
	b.hold(0, false)
	b.rec.Order, b.rec.Also = order, also
	if counted {
		b.hold(held, true)
	}
	b.touch(refundKey(b.no))
}

// settleIn books the refund on the order that the upstream names, and on no other.
// Two names are one order's only if one answer tells both. It returns what
// contradicts the ledger, "" if nothing.
func (b *book) settleIn(transactionID, outTradeNo string) string {
	told := orderKeys(transactionID, outTradeNo)
	if len(told) == 0 {
		return ""
	}
	home := b.account()
	if home == nil || differ(home.TransactionID, transactionID) || differ(home.OutTradeNo, outTradeNo) {
		// Not the order that was claimed: it is the one that is told, by the name that leads to it.
		order := told[0]
		for _, k := range told {
			if a := b.accounts[b.resolve(k)]; b.exists(b.resolve(k)) && !differ(a.TransactionID, transactionID) && !differ(a.OutTradeNo, outTradeNo) {
				order = k
				break
			}
		}
		b.move(b.resolve(order), "")
	}
	if len(told) == 1 {
		b.settleByOneName(told[0], transactionID, outTradeNo)
		return ""
	}
	why := b.join(transactionID, outTradeNo)
	b.move(b.rec.Order, "") // whatever else the caller has called it
	return why
}

// settleByOneName books the refund on the order of the one name that the upstream
// tells. Whatever other name the caller has given, or the account has, is not
// confirmed by that.
func (b *book) settleByOneName(name Key, transactionID, outTradeNo string) {
	told, order := b.resolve(name), b.resolve(b.rec.Order)
	if !b.exists(told) { // a name that nobody here has heard of
		a := b.accounts[told]
		a.TransactionID, a.OutTradeNo = transactionID, outTradeNo
		b.touch(told)
	}
	if told != order {
		b.move(told, order)
	}
}

// join learns from the upstream that both names name the refund's order, and
// merges their accounts. It returns what contradicts that, "" if nothing.
func (b *book) join(transactionID, outTradeNo string) string {
	home := b.resolve(b.rec.Order)
	a := b.accounts[home]
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
			b.touch(home)
		}
		if *n.known != n.told {
			return n.field + " names another order in the ledger"
		}
	}
	for _, k := range orderKeys(transactionID, outTradeNo) {
		other := b.resolve(k)
		if other == home {
			continue
		}
		if o := b.accounts[other]; b.exists(other) {
			if differ(o.TransactionID, a.TransactionID) || differ(o.OutTradeNo, a.OutTradeNo) {
				return "the ledger knows " + string(k) + " as another order"
			}
			a.absorb(*o)
			b.touch(home)
		}
		b.accounts[other] = &account{SameAs: home}
		b.touch(other)
	}
	return ""
}

func differ(x, y string) bool { return x != "" && y != "" && x != y }

// nameID makes the refund findable by its refund_id. It returns what
// contradicts that, "" if nothing.
func (b *book) nameID(refundID string) string {
	k := refundIDKey(refundID)
	if len(k) > MaxKey {
		return "refund_id is too long to be found by"
	}
	switch b.ids[k] {
	case b.no:
		return ""
	case "":
		b.ids[k] = b.no
		b.touch(k)
		return ""
	}
	return "refund_id belongs to another refund number in the ledger"
}

// commit writes what changed: all of it, or nothing and [ErrStale].
func (s *Service) commit(ctx context.Context, b *book, now time.Time) error {
	if len(b.changed) == 0 {
		return nil
	}
	items := make([]Item, 0, len(b.changed))
	for _, k := range b.changed {
		var body any = b.accounts[k]
		var due time.Time
		switch {
		case k == refundKey(b.no):
			if !b.told {
				b.rec.AskAt = b.rec.nextAsk(now)
			}
			body, due = b.rec, b.rec.due(now)
		case isRefundID(k):
			body = b.ids[k]
		}
		next := item(k, b.items[k].Version, body, due)
		next.Body = preserve(b.items[k].Body, next.Body, body)
		items = append(items, next)
	}
	return ledgerError(s.Ledger.Commit(ctx, items...))
}
