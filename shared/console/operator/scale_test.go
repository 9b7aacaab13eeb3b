//go:build heavy

package operator_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// manyRefunds is what a shop of some size refunds in some years.
const manyRefunds = 100_000

// crowd copies a refund so often, each under a number and at a time of its own.
func crowd(w *world, like string) {
	w.t.Helper()
	var model refund.Item
	for cursor := ""; ; {
		items, next, err := w.refunds.Ledger.List(w.t.Context(), refund.Everything(), cursor, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, it := range items {
			if no, ok := it.RefundNo(); ok && no == like {
				model = it
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	const together = 50
	batches := make(chan int)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for first := range batches {
				items := make([]refund.Item, together)
				for i := range items {
					no := fmt.Sprintf("C%08d", first+i)
					items[i] = refund.Item{
						Key: refund.Key(strings.Replace(string(model.Key), like, no, 1)), Body: []byte(strings.ReplaceAll(string(model.Body), like, no)),
						Class: model.Class, At: model.At.Add(-time.Duration(first+i) * time.Second),
					}
				}
				if err := w.refunds.Ledger.Commit(context.Background(), items...); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	for first := 0; first < manyRefunds; first += together {
		batches <- first
	}
	close(batches)
	writers.Wait()
}

// Over a hundred thousand refunds in PostgreSQL a page comes quickly wherever it is, and a
// file of all of them is sent without being held.
func TestAHundredThousandRefundsAreListedQuickly(t *testing.T) {
	w := open(t, postgres(t), false)
	w.fill(2)
	crowd(w, "RF2026001000-1")
	took := func(what string, most time.Duration, do func()) {
		t.Helper()
		begun := time.Now()
		do()
		if d := time.Since(begun); d > most {
			t.Errorf("%s took %v, want at most %v", what, d, most)
		} else {
			t.Logf("%s: %v", what, d.Round(time.Millisecond))
		}
	}
	took("the first screen", 3*time.Second, func() {
		if o := get[overview](w, "overview"); o.Refunds < manyRefunds {
			t.Errorf("%d refunds are counted", o.Refunds)
		}
	})
	var p page
	took("the first page", time.Second, func() { p = get[page](w, "refunds") })
	for range 20 {
		p = get[page](w, "refunds?limit=200&cursor="+p.Next)
	}
	took("a page in the middle", time.Second, func() {
		if p = get[page](w, "refunds?cursor="+p.Next); len(p.Refunds) != 50 {
			t.Errorf("%d refunds", len(p.Refunds))
		}
	})
	took("one by its number", time.Second, func() {
		if p := get[page](w, "refunds?limit=1&q=C00077777"); len(p.Refunds) != 1 {
			t.Errorf("%d refunds", len(p.Refunds))
		}
	})
	took("the file", 10*time.Minute, func() {
		var peak, before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+w.root+"api/refunds.csv", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		lines, most := 0, uint64(0)
		for scan := bufio.NewScanner(answer.Body); scan.Scan(); {
			if lines++; lines%5000 == 0 {
				runtime.ReadMemStats(&peak)
				most = max(most, peak.HeapAlloc)
			}
		}
		if lines <= manyRefunds {
			t.Errorf("%d lines", lines)
		}
		if grown := int64(most) - int64(before.HeapAlloc); grown > 64<<20 {
			t.Errorf("the heap has grown by %d MB", grown>>20)
		} else {
			t.Logf("%d lines; the heap has grown by %d MB", lines, grown>>20)
		}
	})
}
