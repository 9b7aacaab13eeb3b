package ledger

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// acceptance is an upstream that accepts everything and never gets on with it.
type acceptance struct{}

func (acceptance) Spec() refund.Spec {
	return refund.Spec{
		Name: "test", NumberChars: "_", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32}, Reason: refund.Length{Min: 1, Max: 80}, Currencies: []string{"CNY"},
	}
}

func (acceptance) Refund(_ context.Context, r refund.Request) (refund.Refund, error) {
	return refund.Refund{
		OutRefundNo: r.OutRefundNo, OutTradeNo: r.OutTradeNo, Status: refund.StatusProcessing,
		Amount: refund.Amount{Refund: r.Amount.Refund, Total: r.Amount.Total, Currency: "CNY"},
	}, nil
}

func (acceptance) Query(_ context.Context, l refund.Lookup) (refund.Page, error) {
	time.Sleep(10 * time.Millisecond) // as a network would
	return refund.Page{Refunds: []refund.Refund{{OutRefundNo: l.OutRefundNo, Status: refund.StatusProcessing, Amount: refund.Amount{Refund: 1, Total: 1}}}}, nil
}

// A spiedLedger remembers what was listed to its reader.
type spiedLedger struct {
	refund.Ledger
	mu     sync.Mutex
	listed map[refund.Key]bool
}

func (l *spiedLedger) List(ctx context.Context, due time.Time, cursor string, limit int) ([]refund.Item, string, error) {
	items, next, err := l.Ledger.List(ctx, due, cursor, limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Until(due) > time.Hour {
		return items, next, err // the hourly look for times that a wrong clock has set: one of the two has it
	}
	for _, i := range items {
		l.listed[i.Key] = true
	}
	return items, next, err
}

const sharedRefunds = 800

// meet runs two reconcilers at once over 800 refunds, and returns how many of them
// were listed to both. apart is how many shards lie between their beginnings.
func meet(t *testing.T, open func() *Store, private bool, apart int) (both int) {
	t.Helper()
	stores := []*Store{open(), nil}
	if stores[1] = stores[0]; !private {
		stores[1] = open()
	}
	log := slog.New(slog.DiscardHandler)
	claims := &refund.Service{Channel: acceptance{}, Ledger: stores[0], Log: log}
	_, err := claims.Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
		OutRefundNo: "R000000", OutTradeNo: "O000000", Amount: refund.RequestAmount{Refund: 1, Total: 1, Currency: "CNY"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The others are as this one, each of an order of its own.
	one := get(t, stores[0], "refund/R000000", "order/out_trade_no/O000000")
	var copies []refund.Item
	for i := 1; i < sharedRefunds; i++ {
		number := fmt.Sprintf("%06d", i)
		for _, of := range one {
			of.Key = refund.Key(strings.ReplaceAll(string(of.Key), "000000", number))
			of.Body = bytes.ReplaceAll(of.Body, []byte("000000"), []byte(number))
			of.Version = 0
			copies = append(copies, of)
		}
	}
	for some := range slices.Chunk(copies, 100) {
		commit(t, stores[0], some...)
	}
	// Two clocks that differ by some milliseconds and stand still.
	moment := time.Now().Add(2 * time.Minute)
	other := moment
	for (firstShard(other)-firstShard(moment)+shards)%shards != apart {
		other = other.Add(time.Millisecond)
	}
	spies := []*spiedLedger{{Ledger: stores[0], listed: map[refund.Key]bool{}}, {Ledger: stores[1], listed: map[refund.Key]bool{}}}
	var summaries [2]refund.Summary
	together(2, func(i int) {
		now := []time.Time{moment, other}[i]
		s := &refund.Service{Channel: acceptance{}, Ledger: spies[i], Log: log, Now: func() time.Time { return now }}
		var err error
		if summaries[i], err = s.Reconcile(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if sum := summaries[0].Checked + summaries[1].Checked; sum != sharedRefunds {
		t.Errorf("%d and %d refunds were taken up, want %d in all and none twice", summaries[0].Checked, summaries[1].Checked, sharedRefunds)
	}
	for key := range spies[0].listed {
		if spies[1].listed[key] {
			both++
		}
	}
	t.Logf("%d and %d refunds taken up, %d listed to both", summaries[0].Checked, summaries[1].Checked, both)
	return both
}

// Two reconcilers that work at the same time mostly work on different refunds.
func TestReconcilersShareTheWork(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() *Store) {
		if got := meet(t, open, b.private, shards/2); got > sharedRefunds/4 {
			t.Errorf("%d of 800 refunds were listed to both", got)
		}
	})
}

// As they did while all lists began at one place: what the test above counts is there.
func TestReconcilersThatFollowEachOther(t *testing.T) {
	t.Parallel()
	url := backends()[0].fresh(t)
	shared := open(t, url)
	if got := meet(t, func() *Store { return shared }, true, 0); got < sharedRefunds/2 {
		t.Errorf("%d of 800 refunds were listed to both, want most", got)
	}
}

// A list can begin anywhere, and no moment is preferred.
func TestFirstShardIsSpread(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Second, time.Minute, time.Hour} {
		var count [shards]int
		for i := range 800 {
			count[firstShard(at(0).Add(time.Duration(i)*step))]++
		}
		for shard, n := range count {
			if n < 50 || n > 150 {
				t.Errorf("steps of %v: shard %d comes first in %d of 800 lists", step, shard, n)
			}
		}
	}
}
