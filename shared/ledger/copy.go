package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// ErrRefused reports that a copy would mix two ledgers, or leave two open at once.
// Nothing of the refused kind was written.
var ErrRefused = errors.New("ledger: copy: refused")

// CopyOptions say how a ledger is copied. Source is required.
type CopyOptions struct {
	Source  string        // names the source, the same at every run and without a secret: [Name] of its URL
	By      string        // who decides, for the ledgers' own record
	Close   bool          // close the source for good, and open the target in its place
	Workers int           // batches under way at once; 0: 4
	Quiet   time.Duration // how long after the source was closed nobody writes to it any more; 0: [refund.ClosedFor]

	Progress func(CopyProgress) // is told now and then, by one goroutine at a time; nil: nobody
}

// CopyProgress says how far a copy is.
type CopyProgress struct {
	Doing   string // a few words
	Pass    int    // of those over the whole source, from 1
	Seen    int64  // items in this pass
	Written int64  // of them, those that the target lacked or had otherwise
}

// A CopyResult says what a copy did and what both sides hold now, the items aside
// that are each database's alone.
type CopyResult struct {
	Source, Target Sum
	Passes         int
	Written        int64 // items that the target lacked, or had as they were earlier
	Changing       bool  // the source was written to during every pass: the target lags behind
	Moved          bool  // the target is open in the source's place, by this run or an earlier one
	Earlier        bool  // by an earlier one: nothing was compared, since the target lives on
	Differs        []refund.Key
}

// Equal reports whether both sides hold the same.
func (r CopyResult) Equal() bool { return !r.Changing && r.Source == r.Target }

const (
	// A batch is one commit. DynamoDB takes 100 items and 4 MB, and reads no more at once.
	copyItems = 100
	copyBytes = 2_000_000
	// copyPasses is how many passes over a source that is in use are worth while.
	copyPasses = 3
	// lastPasses bounds those over one that is closed, to which nobody writes any more.
	lastPasses = 5
	// maxDiffers bounds how many keys are named.
	maxDiffers = 20
)

// Copy makes to hold whatever from holds, whichever databases they are: pass by pass,
// until one finds nothing that has changed. It may be ended at any moment, and goes on
// from there when it is called again: what is there is compared and left alone. Until a
// copy with Close has ended to is closed, so that nobody takes a part for the whole.
//
// With Close, from is closed before the last passes, and to is opened once both hold the
// same: at no moment are both open, so that no refund is lost between them. Nothing is
// deleted, and from keeps all that it has.
//
// [ErrRefused] if to has had a life of its own: if it is in use, holds another merchant's
// refunds or another ledger's copy, or items that from lacks; and if from is no whole
// ledger, or has moved elsewhere.
func Copy(ctx context.Context, from, to refund.Ledger, o CopyOptions) (CopyResult, error) {
	o.Workers, o.Quiet = cmp.Or(o.Workers, 4), cmp.Or(o.Quiet, refund.ClosedFor)
	if o.Progress == nil {
		o.Progress = func(CopyProgress) {}
	}
	c := &copying{CopyOptions: o, from: from, to: to}
	err := c.run(ctx)
	return c.result, err
}

// A copying is one run of [Copy].
type copying struct {
	CopyOptions
	from, to       refund.Ledger
	source, target refund.Ownership
	result         CopyResult
}

func (c *copying) run(ctx context.Context) error {
	if err := c.begin(ctx); err != nil || c.result.Moved {
		return err
	}
	if err := c.refuseExtra(ctx); err != nil {
		return err
	}
	settled, err := c.passes(ctx, copyPasses)
	if err != nil {
		return err
	}
	if c.Close {
		if settled, err = c.closeSource(ctx); err != nil {
			return err
		}
	}
	c.result.Changing = !settled
	if !settled {
		return nil
	}
	if err := c.compare(ctx); err != nil || !c.result.Equal() {
		return err
	}
	return c.finish(ctx)
}

// begin finds out whether the target may be written to, and closes it for everybody else.
func (c *copying) begin(ctx context.Context) (err error) {
	if c.source, err = refund.ReadOwnership(ctx, c.from); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if c.target, err = refund.ReadOwnership(ctx, c.to); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	src, dst := c.source, c.target
	used := dst.Merchant != (refund.Merchant{})
	switch {
	case src.Merchant == (refund.Merchant{}):
		return refuse("no merchant has ever used the source")
	case src.Closed != nil && src.Closed.Why == refund.ClosedAsCopy && src.Closed.Whole.IsZero():
		return refuse("the source is itself a copy, and not a whole one")
	case used && dst.Merchant != src.Merchant:
		return refuse("the target is the ledger of merchant %s, the source that of merchant %s", dst.Owner(), src.Owner())
	case src.Closed != nil && src.Closed.Why == refund.ClosedAsMoved && dst.Closed == nil && dst.Copy == src.Closed.Copy:
		c.result.Moved, c.result.Earlier = true, true
		return nil
	case src.Closed != nil && src.Closed.Why == refund.ClosedAsMoved && c.Close && (dst.Closed == nil || dst.Closed.Copy != src.Closed.Copy):
		return refuse("the source has moved to another database already, at %s", src.Closed.At.Format(time.RFC3339))
	case used && dst.Closed == nil:
		return refuse("the target is in use: it is open, and has refunds of its own")
	case used && dst.Closed.Why != refund.ClosedAsCopy:
		return refuse("the target is a ledger that has moved to another database itself")
	case used && dst.Closed.Source != c.Source:
		return refuse("the target is a copy of another ledger, or of this one under another address; give an empty database")
	case used:
		return nil // an earlier run's
	}
	if err := eachBatch(ctx, c.to, func(items []refund.Item) error {
		return refuse("the target belongs to nobody, and is not empty: it holds %s", items[0].Key)
	}); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	c.target.Merchant, c.target.Channel = src.Merchant, src.Channel
	c.target.Closed = &refund.Closing{Why: refund.ClosedAsCopy, Copy: rand.Text(), Source: c.Source, At: time.Now().UTC(), By: c.By}
	return c.own(ctx, "target", &c.target, c.to)
}

// own writes whose a ledger is.
func (c *copying) own(ctx context.Context, side string, o *refund.Ownership, l refund.Ledger) error {
	err := o.Write(ctx, l)
	if errors.Is(err, refund.ErrStale) {
		return refuse("somebody else has begun to use the %s just now", side)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", side, err)
	}
	return nil
}

// passes goes over the source, at most so many times, and reports whether a pass has
// found nothing to write.
func (c *copying) passes(ctx context.Context, most int) (settled bool, err error) {
	for range most {
		c.result.Passes++
		p := pass{copying: c, number: c.result.Passes}
		err := p.run(ctx)
		c.result.Written += p.written
		if err != nil {
			return false, err
		}
		if c.result.Source = p.sum; p.written == 0 {
			return true, nil
		}
	}
	return false, nil
}

// closeSource closes the source, waits until nobody writes to it any more, and goes over
// it again. What an earlier run has closed stays so.
func (c *copying) closeSource(ctx context.Context) (settled bool, err error) {
	quiet := c.Quiet
	if c.source.Closed == nil || c.source.Closed.Why != refund.ClosedAsMoved {
		if c.source.Closed != nil { // it is a copy, to which nobody writes
			quiet = 0
		}
		c.source.Closed = &refund.Closing{Why: refund.ClosedAsMoved, Copy: c.target.Closed.Copy, At: time.Now().UTC(), By: c.By}
		if err := c.own(ctx, "source", &c.source, c.from); err != nil {
			return false, err
		}
	}
	wait := time.Until(c.source.Closed.At.Add(quiet))
	c.Progress(CopyProgress{Doing: fmt.Sprintf("the source is closed; for %v whoever was at it may still write", max(0, wait).Round(time.Second)), Pass: c.result.Passes})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(wait):
	}
	settled, err = c.passes(ctx, lastPasses)
	if err == nil && !settled {
		err = errors.New("ledger: copy: somebody still writes to the source, which is closed: a program that does not obey that; stop it and go on")
	}
	return settled, err
}

// compare reads the target anew, and names what differs.
func (c *copying) compare(ctx context.Context) error {
	c.Progress(CopyProgress{Doing: "comparing both sides", Pass: c.result.Passes})
	sum, err := SumOf(ctx, c.to)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	c.result.Target = sum
	if c.result.Equal() {
		return nil
	}
	return eachBatch(ctx, c.from, func(source []refund.Item) error {
		target, err := c.to.Get(ctx, itemKeys(source)...)
		if err != nil {
			return fmt.Errorf("target: %w", err)
		}
		for i := range source {
			if len(c.result.Differs) < maxDiffers && !equal(source[i], target[i]) {
				c.result.Differs = append(c.result.Differs, source[i].Key)
			}
		}
		return nil
	})
}

// finish notes that the target is whole and, at the end of a move, opens it.
func (c *copying) finish(ctx context.Context) error {
	c.target.Channel = c.source.Channel
	if c.Close {
		c.target.Copy, c.target.Closed = c.target.Closed.Copy, nil
		c.result.Moved = true
	} else {
		c.target.Closed.Whole = time.Now().UTC()
	}
	return c.own(ctx, "target", &c.target, c.to)
}

// refuseExtra refuses a target that holds what the source lacks. Nothing is ever deleted
// from a ledger, so that such an item is no copy.
func (c *copying) refuseExtra(ctx context.Context) error {
	var extra []string
	n := 0
	err := eachBatch(ctx, c.to, func(target []refund.Item) error {
		source, err := c.from.Get(ctx, itemKeys(target)...)
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		for i, it := range source {
			// A copy is written once, and again only after the source was.
			if it.Version >= target[i].Version {
				continue
			}
			if n++; n <= maxDiffers {
				extra = append(extra, string(it.Key))
			}
		}
		return nil
	})
	if err == nil && n > 0 {
		noun := "items"
		if n == 1 {
			noun = "item"
		}
		err = refuse("the target holds %d %s that the source lacks, or has seen fewer changes of, so that it had another life: %s", n, noun, strings.Join(extra, ", "))
	}
	return err
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

func itemKeys(items []refund.Item) []refund.Key {
	keys := make([]refund.Key, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	return keys
}
