package refund

import (
	"context"
	"time"
)

const (
	// firstPage is how many refunds are listed at once to find the first claim, and
	// maxFirstScan how many one run of the reconciler looks at.
	firstPage, maxFirstScan = 200, 20_000
	// firstAgain is how much of the time that was looked at before is looked at again: as
	// much as a clock may be behind.
	firstAgain = time.Hour
)

// errNotYet ends a run that has to go on later.
var errNotYet = unavailable("there is more to look at than one run has time for", nil)

// firstClaim is when the earliest refund was claimed here; external ones do not count. Zero:
// nobody has claimed any. Once it is known it is kept.
func (r *billRun) firstClaim(ctx context.Context) (time.Time, error) {
	now := r.now()
	if first := r.state.First; !first.IsZero() && !first.After(now) {
		return first, nil
	}
	from := r.state.Before
	if from.IsZero() || from.After(now) {
		var err error
		if from, err = r.earliest(ctx, now); err != nil {
			return time.Time{}, err
		}
	}
	// From there on, in spans that hold a page at most: lists begin with the newest.
	for span := firstAgain; from.Before(now); {
		if !r.inTime(ctx) || r.by == (actor{}) && r.scanned > maxFirstScan {
			r.state.Before = from
			return time.Time{}, errNotYet
		}
		until := from.Add(span)
		items, next, err := r.listed(ctx, from, until, firstPage)
		if err != nil {
			return time.Time{}, err
		}
		if next != "" && span > time.Millisecond {
			span /= 2
			continue
		}
		for next != "" { // within one millisecond
			var more []Item
			if more, next, err = r.Ledger.List(ctx, Recent(from, until, classes(nil, false)...), next, firstPage); err != nil {
				return time.Time{}, ledgerError(err)
			}
			items = append(items, more...)
		}
		if first := firstOf(items, now); !first.IsZero() {
			r.state.First = first
			return first, nil
		}
		from, span = until, span*2
	}
	r.state.Before = now.Add(-firstAgain)
	return time.Time{}, nil
}

// firstOf is the earliest claim of refunds that were claimed here; zero: none was.
func firstOf(items []Item, now time.Time) (first time.Time) {
	for _, it := range items {
		var rec record
		if decode(it, &rec) != nil || rec.External || rec.ClaimedAt.After(now) {
			continue
		}
		if first.IsZero() || rec.ClaimedAt.Before(first) {
			first = rec.ClaimedAt
		}
	}
	return first
}

// earliest is a time just before the first refund that the ledger lists, found by halving;
// now if it lists none.
func (r *billRun) earliest(ctx context.Context, now time.Time) (time.Time, error) {
	none, some := time.Unix(0, 0).UTC(), now.Add(clockSkew)
	if items, _, err := r.listed(ctx, time.Time{}, some, 1); err != nil || len(items) == 0 {
		return now, err
	}
	for some.Sub(none) > time.Second {
		middle := none.Add(some.Sub(none) / 2)
		items, _, err := r.listed(ctx, time.Time{}, middle, 1)
		if err != nil {
			return now, err
		}
		if len(items) > 0 {
			some = middle
		} else {
			none = middle
		}
	}
	return none.Truncate(time.Millisecond), nil
}

func (r *billRun) listed(ctx context.Context, since, until time.Time, limit int) ([]Item, string, error) {
	items, next, err := r.Ledger.List(ctx, Recent(since, until, classes(nil, false)...), "", limit)
	r.scanned += len(items)
	return items, next, ledgerError(err)
}
