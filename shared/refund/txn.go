package refund

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A txn is a unit of work on one refund: the refund, its order's account and the
// numbers that lead to both, as they were read. It is changed in memory, and what
// has changed is written in one commit.
type txn struct {
	no          string
	rec         record
	items       map[Key]Item          // as read
	read        map[Key][]byte        // their values, as this version writes them
	accounts    map[Key]*orderAccount // every order item that was read or made
	ids         map[Key]string        // refund numbers by the refund_ids that were read or made
	rate        *submissionRate       // what the merchant's instances share, where it was read too
	known       map[Key]bool          // items that hold nothing which this version does not know
	keepQueryAt bool                  // the change leaves the time of the next query as it was
	alarms      []alarm               // that the change raises
	raised      []string              // codes of lasting causes among them, logged or not
	closed      []Cause               // lasting causes that the change ends
	logArgs     []any                 // logged beside each alarm
	told        *PaidOrder            // what the upstream has just told of the order; nil: nothing
	decided     bool                  // the claim is by the decision of the application
	application *application          // that may have reserved the number, or by whose decision it is claimed; nil: there is none
	waitFunds   bool                  // a claim may wait for the merchant's balance
	left        snapshot              // what its commit has left behind
}

func (s *Service) newTxn(no string) *txn {
	return &txn{
		no: no, items: map[Key]Item{}, read: map[Key][]byte{}, accounts: map[Key]*orderAccount{}, ids: map[Key]string{}, known: map[Key]bool{},
		waitFunds: s.WaitFunds,
	}
}

// update changes a refund and what depends on it in one transaction, anew from the
// beginning whenever somebody else was faster. keys are further items that the
// caller knows to matter: the order's numbers, the refund_id. What change returns,
// other than [errUnchanged], is update's error, and then nothing is written.
func (s *Service) update(ctx context.Context, no string, keys []Key, change func(tx *txn, now time.Time) error) error {
	_, err := s.updateFrom(ctx, nil, no, keys, change)
	return err
}

// updateFrom is [Service.update]. It begins from a snapshot, if there is one that
// serves, and returns what its commit has left behind: nil if there was none.
func (s *Service) updateFrom(ctx context.Context, known snapshot, no string, keys []Key, change func(tx *txn, now time.Time) error) (left snapshot, err error) {
	if left, done, err := s.updateUnread(ctx, known, no, keys, change); done {
		return left, err
	}
	logged := map[string]bool{}
	err = s.retry(ctx, func() error {
		tx, err := s.begin(ctx, no, keys...)
		if err != nil {
			return err
		}
		now := s.now()
		if err := change(tx, now); err != nil {
			return err
		}
		s.logAlarms(ctx, tx, logged)
		err = s.commit(ctx, tx, now)
		left = tx.left
		return err
	})
	return left, err
}

// updateItem changes one item on which no refund depends. What change returns is as for
// [Service.update].
func updateItem[T any](ctx context.Context, s *Service, k Key, change func(body *T) error) error {
	return s.retry(ctx, func() error {
		items, err := s.Ledger.Get(ctx, k)
		if err != nil {
			return ledgerError(err)
		}
		var body T
		if err := decode(items[0], &body); err != nil {
			return err
		}
		if err := change(&body); err != nil {
			return err
		}
		return ledgerError(s.Ledger.Commit(ctx, item(k, items[0].Version, body, time.Time{})))
	})
}

// begin reads a refund and every item that it depends on. keys are as for [Service.update].
func (s *Service) begin(ctx context.Context, no string, keys ...Key) (*txn, error) {
	return s.beginUntil(ctx, func(*record) bool { return false }, no, keys...)
}

// beginUntil is [Service.begin], but for what the refund depends on beyond keys if its
// record is enough: then the transaction only says what that holds.
func (s *Service) beginUntil(ctx context.Context, enough func(*record) bool, no string, keys ...Key) (*txn, error) {
	tx := s.newTxn(no)
	want := append([]Key{refundKey(no)}, keys...)
	unbound := !s.boundLately()
	if unbound { // one call finds out whose the ledger is, too
		want = append(want, OwnershipKey)
	}
	for len(want) > 0 {
		items, err := s.Ledger.Get(ctx, want...)
		if err != nil {
			return nil, ledgerError(err)
		}
		if last := len(items) - 1; unbound {
			if err := s.bindRead(ctx, items[last]); err != nil {
				return nil, err
			}
			items, unbound = items[:last], false
		}
		for _, it := range items {
			if err := tx.load(it); err != nil {
				return nil, err
			}
		}
		if enough(&tx.rec) {
			break
		}
		want = tx.missing()
	}
	return tx, nil
}

// load takes in an item that was read.
func (tx *txn) load(it Item) error {
	tx.items[it.Key] = it
	var value any
	var number string
	switch {
	case it.Key == refundKey(tx.no):
		value = &tx.rec
	case isApplication(it.Key):
		if it.Version == 0 {
			return nil
		}
		tx.application = &application{}
		value = tx.application
	case isRefundID(it.Key):
		value = &number
	case isRate(it.Key):
		tx.rate = &submissionRate{}
		value = tx.rate
	default:
		tx.accounts[it.Key] = &orderAccount{}
		value = tx.accounts[it.Key]
	}
	if err := decode(it, value); err != nil {
		return err
	}
	if isRefundID(it.Key) {
		tx.ids[it.Key] = number
	}
	if it.Key == refundKey(tx.no) && tx.rec.State == Rejected && tx.rec.Refusal == nil {
		return fmt.Errorf("refund: item %s %w: it is rejected, and by nothing", it.Key, errDamaged)
	}
	if it.Version != 0 {
		tx.read[it.Key] = encode(value)
	}
	return nil
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
	if len(tx.rec.Contents) > 0 || tx.rec.NumberTaken { // which of them the upstream means decides the order
		for _, c := range append(tx.rec.Contents, tx.rec.Request) {
			for _, k := range orderKeys(c.TransactionID, c.OutTradeNo) {
				add(k)
			}
		}
	}
	return want
}

// commit writes what changed: all of it, or nothing and [ErrStale].
func (s *Service) commit(ctx context.Context, tx *txn, now time.Time) error {
	return s.write(ctx, tx, tx.changes(now))
}

func (s *Service) write(ctx context.Context, tx *txn, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	err := s.Ledger.Commit(ctx, items...)
	if err == nil {
		tx.left = tx.after(items)
	}
	return ledgerError(err)
}

// changes lists what differs from what was read, as it is to be stored. A refund
// that has changed is due anew; the passing of time alone changes nothing.
func (tx *txn) changes(now time.Time) (items []Item) {
	if k := refundKey(tx.no); tx.differs(k, tx.rec, new(record)) {
		for i := range tx.rec.Causes {
			tx.rec.Causes[i].Count = tx.timesMet(tx.rec.Causes[i])
		}
		if !tx.keepQueryAt {
			tx.rec.QueryAt = tx.rec.nextQueryAt(now)
		}
		items = append(items, tx.rec.listed(tx.item(k, tx.rec, tx.rec.due(now))))
	}
	for _, k := range slices.Sorted(maps.Keys(tx.accounts)) {
		if tx.differs(k, tx.accounts[k], new(orderAccount)) {
			items = append(items, tx.item(k, tx.accounts[k], time.Time{}))
		}
	}
	if a := tx.application; a != nil && tx.differs(applicationKey(a.ID), a, new(application)) {
		items = append(items, a.item(tx.items[applicationKey(a.ID)], now))
	}
	for _, k := range slices.Sorted(maps.Keys(tx.ids)) {
		if tx.differs(k, tx.ids[k], new(string)) {
			items = append(items, tx.item(k, tx.ids[k], time.Time{}))
		}
	}
	for k := range tx.items {
		if isRate(k) && tx.differs(k, tx.rate, new(submissionRate)) {
			items = append(items, tx.item(k, tx.rate, time.Time{}))
		}
	}
	return items
}

// differs reports whether a value is no longer the one that was read, or empty if there
// was none. Another version may have written that one, so that both are compared as this
// version writes them. On the way it finds out what known says.
func (tx *txn) differs(k Key, value, empty any) bool {
	read, ok := tx.read[k]
	if !ok {
		read = encode(empty)
	}
	if bytes.Equal(tx.items[k].Body, read) {
		tx.known[k] = true
	}
	return !bytes.Equal(read, encode(value))
}

// item is a value as it is to be stored, with whatever the stored one holds that this
// version does not know.
func (tx *txn) item(k Key, body any, due time.Time) Item {
	next := item(k, tx.items[k].Version, body, due)
	if !tx.known[k] {
		next.Body = preserve(tx.items[k].Body, next.Body, body)
	}
	return next
}
