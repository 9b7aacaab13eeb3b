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
}

// read opens the book of a refund number. names are further keys that the
// caller knows to matter: the order's names, the refund_id.
func (s *Service) read(ctx context.Context, no string, names ...Key) (*book, error) {
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
	for _, a := range b.accounts {
		add(a.SameAs)
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

// account returns the account in which the refund counts.
func (b *book) account() *account { return b.accounts[b.resolve(b.rec.Order)] }

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

// open chooses the account in which a new refund counts. The two names that a
// caller gives are not known to name one order until the upstream says so, so
// they are not joined here: an account that exists is preferred, then WeChat's
// own number.
func (b *book) open(transactionID, outTradeNo string) *account {
	keys := orderKeys(transactionID, outTradeNo)
	chosen := keys[0]
	for _, k := range keys {
		if b.exists(k) {
			chosen = k
			break
		}
	}
	b.rec.Order = b.resolve(chosen)
	a := b.accounts[b.rec.Order]
	if !b.exists(b.rec.Order) {
		if chosen == transactionKey(transactionID) {
			a.TransactionID = transactionID
		} else {
			a.OutTradeNo = outTradeNo
		}
	}
	return a
}

// hold makes the refund reserve that much in its account, and count there or not.
func (b *book) hold(minor int64, counted bool) {
	if b.rec.Held == minor && b.rec.Counted == counted {
		return
	}
	a := b.account()
	b.touch(b.resolve(b.rec.Order))
	a.Reserved -= b.rec.Held
	b.rec.Held, b.rec.Counted = minor, counted
	if counted {
		a.add(b.no, minor, b.rec.ClaimedAt)
	} else {
		a.remove(b.no)
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
