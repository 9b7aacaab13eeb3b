package refund

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// A classing is how far the reconciler has come with listing what programs of an earlier
// version have written: they know no classes, and leave those of an item as they are.
type classing struct {
	Passes   int       `json:"passes"`            // that are done
	DoneAt   time.Time `json:"done_at,omitzero"`  // when the last one was
	Cursor   string    `json:"cursor,omitempty"`  // how far the present one is
	Lease    time.Time `json:"lease,omitzero"`    // an instance works on it until then
	Failures int       `json:"failed,omitempty"`  // runs in a row that could not go on from there
	Changed  int64     `json:"changed,omitempty"` // items that were listed anew, in all
}

const (
	classesKey = Key("reconcile/classes")
	// classPasses is how often all items are looked at: a second time for what a program of
	// the version before, still running, has written during the first.
	classPasses = 2
	// classAgain is how long after the first pass the second one begins: when no such
	// program can be running any more.
	classAgain = 24 * time.Hour
	// classPage is how many items are looked at at once, and classCommit how many of them
	// are written in one commit.
	classPage, classCommit = 200, 20
	// maxClassFailures is how often a pass tries to go on from a place before it begins
	// again: in a ledger that was copied, the place is one of another database.
	maxClassFailures = 3
)

// backfillClasses lists items under their classes that are not, page by page, until end.
// One of several reconcilers does it; when both passes are done nobody does. It is not
// what a run is for: what goes wrong is logged, and the next run goes on.
func (s *Service) backfillClasses(ctx context.Context, end time.Time) {
	if s.classed.Load() || !time.Now().Before(end) {
		return
	}
	if err := s.classPages(ctx, end); err != nil && !errors.Is(err, ErrStale) {
		s.log(ctx, slog.LevelWarn, "not indexed", "", "error", err)
	}
}

func (s *Service) classPages(ctx context.Context, end time.Time) error {
	items, err := s.Ledger.Get(ctx, classesKey)
	if err != nil {
		return err
	}
	var c classing
	_ = decode(items[0], &c) // one that cannot be read begins anew
	version, now := items[0].Version, s.now()
	save := func() error {
		err := s.Ledger.Commit(ctx, item(classesKey, version, c, time.Time{}))
		version++
		return err
	}
	switch left := c.Lease.Sub(now); {
	case c.Passes >= classPasses:
		s.classed.Store(true)
		return nil
	case left > 0 && left <= lease+clockSkew, c.Passes > 0 && c.Cursor == "" && within(now.Sub(c.DoneAt), classAgain):
		return nil
	}
	for more := true; more; {
		if err := s.Bind(ctx); err != nil { // again, since a run may be long
			return err
		}
		c.Lease = s.now().Add(lease)
		if err := save(); err != nil { // somebody else does it
			return err
		}
		page, next, err := s.Ledger.List(ctx, Everything(), c.Cursor, classPage)
		if err != nil {
			c.Lease = time.Time{}
			if c.Failures++; c.Failures >= maxClassFailures {
				c.Failures, c.Cursor = 0, ""
			}
			return errors.Join(err, save())
		}
		n, err := s.classPage(ctx, page)
		if err != nil {
			return err
		}
		c.Changed += int64(n)
		c.Cursor, c.Failures = next, 0
		if more = next != "" && time.Now().Before(end) && ctx.Err() == nil; next == "" {
			c.Passes, c.DoneAt = c.Passes+1, s.now()
			if c.Changed > 0 {
				s.log(ctx, slog.LevelInfo, "indexed", "", "pass", c.Passes, "changed", c.Changed)
			}
		}
	}
	c.Lease = time.Time{}
	return save()
}

// within reports whether a time span has begun and is not over.
func within(d, span time.Duration) bool { return d >= 0 && d < span }

// classPage puts items where they are to be listed, and returns how many were not there.
func (s *Service) classPage(ctx context.Context, page []Item) (changed int, err error) {
	var wrong []Item
	commit := func() error {
		n, err := s.commitClasses(ctx, wrong)
		changed, wrong = changed+n, nil
		return err
	}
	for _, it := range page {
		if next, ok := reclassed(it); ok {
			wrong = append(wrong, next)
		}
		if len(wrong) == classCommit {
			if err := commit(); err != nil {
				return changed, err
			}
		}
	}
	if len(wrong) > 0 {
		err = commit()
	}
	return changed, err
}

// reclassed is the item where it is to be listed; ok is false if it is there already, or
// is no record that can be read.
func reclassed(it Item) (next Item, ok bool) {
	var rec record
	if _, isRefund := it.RefundNo(); !isRefund || decode(it, &rec) != nil || rec.State == unknown {
		return it, false
	}
	next = rec.listed(it)
	return next, next.Class != it.Class || next.At.UnixMilli() != it.At.UnixMilli()
}

// commitClasses writes items in one commit or, if one of them has changed since it was
// listed, those that still need it one by one.
func (s *Service) commitClasses(ctx context.Context, items []Item) (changed int, err error) {
	if err := s.Ledger.Commit(ctx, items...); err == nil || !errors.Is(err, ErrStale) {
		return len(items), err
	}
	keys := make([]Key, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	fresh, err := s.Ledger.Get(ctx, keys...)
	if err != nil {
		return 0, err
	}
	for _, it := range fresh {
		next, ok := reclassed(it)
		if !ok {
			continue
		}
		switch err := s.Ledger.Commit(ctx, next); {
		case err == nil:
			changed++
		case !errors.Is(err, ErrStale): // whoever was faster has listed it, or the next pass will
			return changed, err
		}
	}
	return changed, nil
}

// incomplete reports whether lists may lack what an earlier version has written: the first
// pass is not done yet, and a look at the ledger's first items does not show that it has
// nothing to do, as in one that is new.
func (s *Service) incomplete(ctx context.Context) (bool, error) {
	if s.classed.Load() {
		return false, nil
	}
	items, err := s.Ledger.Get(ctx, classesKey)
	if err != nil {
		return false, ledgerError(err)
	}
	var c classing
	_ = decode(items[0], &c)
	if c.Passes > 0 {
		return false, nil
	}
	page, next, err := s.Ledger.List(ctx, Everything(), "", classPage)
	if err != nil {
		return false, ledgerError(err)
	}
	return next != "" || slices.ContainsFunc(page, func(it Item) bool { _, wrong := reclassed(it); return wrong }), nil
}
