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

// acceptance is an upstream that accepts every refund and never finishes it.
type acceptance struct{ refund.Channel }

func (acceptance) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

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

func (l *spiedLedger) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	items, next, err := l.Ledger.List(ctx, index, cursor, limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	if index.Kind != refund.IndexDue || time.Until(index.Until) > time.Hour {
		return items, next, err // what only one of the two does: the hourly look for times that a wrong clock has set, among others
	}
	for _, i := range items {
		l.listed[i.Key] = true
	}
	return items, next, err
}

const sharedRefunds = 800

// listedTwice runs two reconcilers at once over 800 refunds, and returns how many of
// them were listed to both. apart is how many shards lie between their first ones.
func listedTwice(t *testing.T, ledger *Store, apart int) (both int) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	claims := &refund.Service{Channel: acceptance{}, Ledger: ledger, Log: log}
	_, err := claims.Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
		OutRefundNo: "R000000", OutTradeNo: "O000000", Amount: refund.RequestAmount{Refund: 1, Total: 1, Currency: "CNY"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The others are copies of this one, each of an order of its own.
	one := get(t, ledger, "refund/R000000", "order/out_trade_no/O000000")
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
		commit(t, ledger, some...)
	}
	// Two clocks that differ by some milliseconds and stand still.
	now := []time.Time{time.Now().Add(2 * time.Minute)}
	now = append(now, now[0])
	for (firstShard(now[1])-firstShard(now[0])+shards)%shards != apart {
		if now[1] = now[1].Add(time.Millisecond); now[1].Sub(now[0]) > time.Second {
			t.Fatalf("no list of a whole second begins %d shards further", apart)
		}
	}
	var spies [2]*spiedLedger
	var summaries [2]refund.Summary
	together(2, func(i int) {
		spies[i] = &spiedLedger{Ledger: ledger, listed: map[refund.Key]bool{}}
		s := &refund.Service{Channel: acceptance{}, Ledger: spies[i], Log: log, Now: func() time.Time { return now[i] }}
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
	return both
}

// Two reconcilers that work at the same time mostly work on different refunds, since
// their lists begin in different shards; those that begin in the same one do not.
func TestReconcilersAtTheSameTimeMostlyWorkOnDifferentRefunds(t *testing.T) {
	t.Parallel()
	if got := listedTwice(t, open(t, backends()[0].fresh(t)), shards/2); got > sharedRefunds/4 {
		t.Errorf("%d of 800 refunds were listed to both", got)
	}
	if got := listedTwice(t, open(t, backends()[0].fresh(t)), 0); got < sharedRefunds/2 {
		t.Errorf("from the same shard, %d of 800 refunds were listed to both, want most", got)
	}
}

// A list can begin in any shard, and none is preferred.
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
