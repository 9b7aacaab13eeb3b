package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// A pass goes once over the whole source, and writes to the target what that lacks or has
// otherwise.
type pass struct {
	*copying
	number int

	mu      sync.Mutex
	seen    int64
	written int64
	sum     Sum
}

// copyAttempts is how often a batch is tried, the last time after half a minute.
const copyAttempts = 8

// run has a few workers write batches, and ends with the first error.
func (p *pass) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []refund.Item)
	var wg sync.WaitGroup
	for range p.Workers {
		wg.Go(func() {
			for batch := range batches {
				if err := p.copy(ctx, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := eachBatch(ctx, p.from, func(batch []refund.Item) error {
		for _, it := range batch {
			p.sum.Add(it)
		}
		select {
		case batches <- batch:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(batches)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// copy brings one batch over. A commit of which the outcome is unknown is looked at and
// tried again.
func (p *pass) copy(ctx context.Context, batch []refund.Item) error {
	fresh := p.number == 1 && p.target.Closed.Whole.IsZero()
	for attempt := 1; ; attempt++ {
		written, err := p.attempt(ctx, batch, fresh && attempt == 1)
		if err == nil {
			p.report(len(batch), written)
			return nil
		}
		if attempt == copyAttempts || ctx.Err() != nil || errors.Is(err, ErrRefused) {
			return err
		}
		pause := time.Duration(0)
		if !errors.Is(err, refund.ErrStale) {
			pause = 100 * time.Millisecond << attempt
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// attempt writes what the target lacks of a batch, and returns how many items that were.
// fresh: it probably lacks all of them, so that it need not be read first.
func (p *pass) attempt(ctx context.Context, batch []refund.Item, fresh bool) (written int, err error) {
	if fresh {
		return p.write(ctx, batch, make([]refund.Item, len(batch)))
	}
	target, err := p.to.Get(ctx, itemKeys(batch)...)
	if err != nil {
		return 0, fmt.Errorf("target: %w", err)
	}
	var differ []refund.Item
	for i, it := range batch {
		if !equal(it, target[i]) {
			differ = append(differ, it)
		}
	}
	if len(differ) == 0 {
		return 0, nil
	}
	// A list may be stale. An item that was read after the target's cannot be older than
	// what was copied before.
	source, err := p.from.Get(ctx, itemKeys(differ)...)
	if err != nil {
		return 0, fmt.Errorf("source: %w", err)
	}
	var items, over []refund.Item
	for _, it := range source {
		at := slices.IndexFunc(target, func(t refund.Item) bool { return t.Key == it.Key })
		switch {
		case equal(it, target[at]):
			continue
		case it.Version <= target[at].Version:
			return 0, refuse("%s differs in the target, and the source has not changed it since", it.Key)
		}
		items, over = append(items, it), append(over, target[at])
	}
	if len(items) == 0 {
		return 0, nil
	}
	return p.write(ctx, items, over)
}

// write commits items of the source over what the target has.
func (p *pass) write(ctx context.Context, items, over []refund.Item) (int, error) {
	commit := slices.Clone(items)
	for i := range commit {
		commit[i].Version = over[i].Version
	}
	if err := p.to.Commit(ctx, commit...); err != nil {
		return 0, fmt.Errorf("target: %w", err)
	}
	return len(items), nil
}

func (p *pass) report(seen, written int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen += int64(seen)
	p.written += int64(written)
	p.Progress(CopyProgress{Doing: "copying", Pass: p.number, Seen: p.seen, Written: p.written})
}

// eachBatch goes over all items of a ledger but those that are its database's alone, in
// batches that one commit takes.
func eachBatch(ctx context.Context, l refund.Ledger, do func([]refund.Item) error) error {
	for cursor := ""; ; {
		items, next, err := l.List(ctx, refund.Everything(), cursor, maxPage)
		if err != nil {
			return err
		}
		items = slices.DeleteFunc(items, func(it refund.Item) bool { return it.Key.Local() })
		for len(items) > 0 {
			n, size := 0, 0
			for n < min(len(items), copyItems) && (n == 0 || size+len(items[n].Body) <= copyBytes) {
				size += len(items[n].Body)
				n++
			}
			if err := do(items[:n:n]); err != nil {
				return err
			}
			items = items[n:]
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// equal reports whether two items hold the same. Their versions count what happened to
// each in its own database.
func equal(a, b refund.Item) bool {
	return (a.Version == 0) == (b.Version == 0) && a.Key == b.Key && a.Class == b.Class &&
		millis(a.Due) == millis(b.Due) && millis(a.At) == millis(b.At) && bytes.Equal(a.Body, b.Body)
}

// millis is a time as ledgers keep it; that of no time lies before all others.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return -1 << 63
	}
	return t.UnixMilli()
}
