package refund

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// A snapshot is what a process knows of some items of the ledger without reading them:
// what it has read for a commit of its own, and what that commit has written. Items that
// were not there have version 0. Others may have changed all of it since, so that what is
// decided by it counts only if a commit takes it.
type snapshot map[Key]Item

// aliasVersion is the version of an item that was never read, since the account says that
// it leads there. It cannot be written.
const aliasVersion = -1

// after is what is known once a commit has written the items.
func (tx *txn) after(written []Item) snapshot {
	left := snapshot{}
	for k, it := range tx.items {
		if it.Version != aliasVersion && !isRate(k) {
			left[k] = it
		}
	}
	for _, it := range written {
		if !isRate(it.Key) {
			it.Version++
			left[it.Key] = it
		}
	}
	return left
}

// updateUnread changes a refund from what a snapshot knows, which spares a call of the
// ledger. It serves the ordinary case alone: done is false, and nothing was written, if
// more has to be known, if others have been there since, if a person is to be told of
// something, or if there is nothing to write by which the snapshot would be confirmed.
func (s *Service) updateUnread(ctx context.Context, known snapshot, no string, keys []Key, change func(tx *txn, now time.Time) error) (left snapshot, done bool, err error) {
	if known == nil || s.Bind(ctx) != nil {
		return nil, false, nil
	}
	tx := s.newTxn(no)
	if !tx.loadUnread(known, keys) {
		return nil, false, nil
	}
	now := s.now()
	if change(tx, now) != nil || len(tx.alarms) > 0 || len(tx.closed) > 0 {
		return nil, false, nil
	}
	items := tx.changes(now)
	confirms := func(it Item) bool { return it.Key == refundKey(no) }
	guessed := func(it Item) bool { return it.Version == aliasVersion }
	if !slices.ContainsFunc(items, confirms) || slices.ContainsFunc(items, guessed) {
		return nil, false, nil
	}
	err = s.write(ctx, tx, items)
	return tx.left, !errors.Is(err, ErrStale), err
}

// loadUnread takes in what a snapshot holds, and what follows from it of further items
// that matter. It reports whether that is all.
func (tx *txn) loadUnread(known snapshot, keys []Key) bool {
	for _, it := range known {
		if tx.load(it) != nil {
			return false
		}
	}
	if tx.items[refundKey(tx.no)].Version == 0 {
		return false
	}
	for _, k := range keys {
		if _, ok := tx.items[k]; !ok && !tx.assume(k) {
			return false
		}
	}
	return len(tx.missing()) == 0
}

// assume takes an item for what it has to be in the ordinary case. An item that it takes
// for absent is written by the commit, which finds out if it is not.
func (tx *txn) assume(k Key) bool {
	home := tx.account()
	switch {
	case isRefundID(k): // the upstream has only just made it
		return tx.load(Item{Key: k}) == nil
	case home == nil || !isOrder(k):
		return false
	case home.Alias == k:
		it := item(k, aliasVersion, orderAccount{SameAs: tx.resolve(tx.rec.Order)}, time.Time{})
		return tx.load(it) == nil
	case strings.HasPrefix(string(k), string(transactionKey(""))):
		return home.TransactionID == "" && tx.load(Item{Key: k}) == nil
	}
	return home.OutTradeNo == "" && tx.load(Item{Key: k}) == nil
}
