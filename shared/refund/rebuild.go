package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// RebuildInput says what a ledger that was restored from an older copy is to be rebuilt
// from. Caller is required.
type RebuildInput struct {
	Caller Caller // who decides, for the history

	// Since is from when on a refund must have changed for the upstream to be asked about
	// it although it has ended; zero: all are asked about.
	Since time.Time

	// Numbers are refund numbers from elsewhere, which the ledger may have forgotten.
	Numbers []string

	Ledger  string // names the database: where another run was ended in another one is nowhere here
	Restart bool   // from the beginning, wherever an earlier run was ended

	Found    func(Rebuilt)        // is told of whatever is not as it was; nil: nobody
	Progress func(RebuildSummary) // is told now and then; nil: nobody
}

// A RebuildSummary counts what a rebuild did, earlier runs that it goes on from included.
type RebuildSummary struct {
	Asked     int64 `json:"asked"`     // refunds that the upstream was asked about by their numbers
	Orders    int64 `json:"orders"`    // orders whose refunds it was asked to list
	Unchanged int64 `json:"unchanged"` // refunds of which it says what the ledger does
	Moved     int64 `json:"moved"`     // refunds of which it says otherwise: the ledger follows
	TakenUp   int64 `json:"taken_up"`  // refunds that the ledger did not know
	Unknown   int64 `json:"unknown"`   // refunds that the upstream does not know
	Failed    int64 `json:"failed"`    // questions that have had no answer, and days whose bill could not be had
	Days      int64 `json:"days"`      // days whose bill was read
	Resumed   bool  `json:"resumed"`   // an earlier run was gone on from
}

// A Rebuilt is one refund that is not as the ledger had it, or of which that could not be told.
type Rebuilt struct {
	OutRefundNo string `json:"out_refund_no,omitempty"`
	Order       string `json:"order,omitempty"` // an order whose refunds could not be listed
	Day         Day    `json:"day,omitempty"`   // a day whose bill could not be read, or from whose bill it was taken up
	What        string `json:"what"`            // moved, taken_up, unknown or failed
	State       State  `json:"state,omitempty"` // now
	Why         string `json:"why,omitempty"`
}

// What a [Rebuilt] is.
const (
	RebuiltMoved   = "moved"
	RebuiltTakenUp = "taken_up"
	RebuiltUnknown = "unknown"
	RebuiltFailed  = "failed"
)

const (
	rebuildKey = Key("rebuild/state")
	// rebuildPage is after how many items the place is noted.
	rebuildPage = 100
	// rebuildAttempts is how often a question is asked that has no answer.
	rebuildAttempts = 3
)

// A rebuildState is how far a rebuild has come: whoever runs it again with the same input
// goes on from there.
type rebuildState struct {
	Ledger  string         `json:"ledger"`
	Since   time.Time      `json:"since,omitzero"`
	Numbers string         `json:"numbers,omitempty"` // a hash of them
	Begun   time.Time      `json:"begun"`
	Day     Day            `json:"day,omitempty"`    // the last one whose bill was read
	Listed  bool           `json:"listed"`           // all that the ledger holds was gone through
	Cursor  string         `json:"cursor,omitempty"` // else: up to there
	Next    int            `json:"next,omitempty"`   // the first of the numbers that was not asked about
	Done    time.Time      `json:"done,omitzero"`
	Summary RebuildSummary `json:"summary"`
	By      string         `json:"by,omitempty"`
}

// Rebuild asks the upstream about the refunds that the ledger holds, about its orders
// where the upstream can list them, and about further numbers, and takes up what it says:
// a refund that the ledger has forgotten counts on its order again. Where the upstream has
// a bill, each day's since in.Since is read anew before, so that nothing is missed of which
// nobody has a number. Nothing is submitted, and nothing that the upstream does not know is
// released: that is for the reconciler to do, once the ledger is whole. It keeps to the
// rate at which the merchant may refund, may be ended at any moment, and goes on from
// there. [CodeConflict] if another one is under way.
func (s *Service) Rebuild(ctx context.Context, in RebuildInput) (RebuildSummary, error) {
	if err := s.Admit(ctx, in.Caller); err != nil {
		return RebuildSummary{}, err
	}
	if err := s.Bind(ctx); err != nil {
		return RebuildSummary{}, err
	}
	r := &rebuilding{Service: s, RebuildInput: in}
	err := r.begin(ctx)
	if err == nil {
		err = r.bills(ctx)
	}
	if err == nil && !r.state.Listed {
		err = r.ledger(ctx)
	}
	if err == nil {
		err = r.numbers(ctx)
	}
	if err == nil {
		r.state.Done = s.now()
		err = r.save(ctx)
	}
	return r.state.Summary, err
}

// A rebuilding is one run of [Service.Rebuild].
type rebuilding struct {
	*Service
	RebuildInput
	version int64 // of the state's item

	mu    sync.Mutex // of all below, and of the functions that are told
	state rebuildState
}

// begin goes on from an earlier run with the same input, or begins anew.
func (r *rebuilding) begin(ctx context.Context) error {
	items, err := r.Service.Ledger.Get(ctx, rebuildKey)
	if err != nil {
		return ledgerError(err)
	}
	r.version = items[0].Version
	var earlier rebuildState
	_ = decode(items[0], &earlier) // one that cannot be read is as none
	sum := sha256.Sum256([]byte(strings.Join(r.Numbers, "\n")))
	numbers := hex.EncodeToString(sum[:12])
	same := earlier.Ledger == r.RebuildInput.Ledger && earlier.Since.Equal(r.Since) && earlier.Numbers == numbers
	if same && earlier.Done.IsZero() && !earlier.Begun.IsZero() && !r.Restart && earlier.Next <= len(r.Numbers) {
		r.state = earlier
		r.state.Summary.Resumed = true
		return nil
	}
	r.state = rebuildState{Ledger: r.RebuildInput.Ledger, Since: r.Since, Numbers: numbers, Begun: r.now(), By: r.Caller.Identity()}
	return r.save(ctx)
}

// save notes how far the rebuild has come.
func (r *rebuilding) save(ctx context.Context) error {
	err := r.Service.Ledger.Commit(ctx, item(rebuildKey, r.version, r.state, time.Time{}))
	if errors.Is(err, ErrStale) {
		return conflictf("another rebuild of this ledger is under way")
	}
	r.version++
	if err == nil && r.Progress != nil {
		r.Progress(r.state.Summary)
	}
	return ledgerError(err)
}

// ledger goes through all that the ledger holds. What is taken up on the way may be met
// later, and is asked about once more.
func (r *rebuilding) ledger(ctx context.Context) error {
	lookups := r.Channel.Spec().Lookups
	return r.eachPage(ctx, r.state.Cursor, rebuildPage, func(page []Item, next string) error {
		err := r.each(ctx, len(page), func(ctx context.Context, i int) error {
			if no, ok := page[i].RefundNo(); ok {
				return r.refund(ctx, no, r.wanted)
			}
			var a orderAccount
			if !isOrder(page[i].Key) || decode(page[i], &a) != nil || a.SameAs != "" {
				return nil
			}
			switch {
			case a.TransactionID != "" && slices.Contains(lookups, "transaction_id"):
				return r.order(ctx, Lookup{TransactionID: a.TransactionID})
			case a.OutTradeNo != "" && slices.Contains(lookups, "out_trade_no"):
				return r.order(ctx, Lookup{OutTradeNo: a.OutTradeNo})
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.state.Cursor, r.state.Listed = next, next == ""
		return r.save(ctx)
	})
}

// numbers asks about the numbers from elsewhere.
func (r *rebuilding) numbers(ctx context.Context) error {
	for r.state.Next < len(r.Numbers) {
		chunk := r.Numbers[r.state.Next:min(r.state.Next+rebuildPage, len(r.Numbers))]
		err := r.each(ctx, len(chunk), func(ctx context.Context, i int) error {
			if err := r.Channel.Spec().Number("out_refund_no", chunk[i]); err != nil {
				r.failed(Rebuilt{OutRefundNo: shortened(chunk[i], maxNumber)}, err) // a file of something else may have one of megabytes
				return nil
			}
			return r.refund(ctx, chunk[i], func(*record) bool { return true })
		})
		if err != nil {
			return err
		}
		r.state.Next += len(chunk)
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// each does n things, a few at a time. The first error ends it, and so does ctx.
func (r *rebuilding) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var wg sync.WaitGroup
	for range min(n, runWorkers) {
		wg.Go(func() {
			for i := range work {
				if ctx.Err() != nil {
					continue
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// wanted reports whether the upstream is asked about a refund that the ledger holds.
func (r *rebuilding) wanted(rec *record) bool {
	if !rec.atRest() {
		return true
	}
	at := rec.ClaimedAt
	if n := len(rec.History); n > 0 && rec.History[n-1].At.After(at) {
		at = rec.History[n-1].At
	}
	return !at.Before(r.Since)
}

// refund asks about one refund, if what is on record of it wants that.
func (r *rebuilding) refund(ctx context.Context, no string, wanted func(*record) bool) error {
	about := Rebuilt{OutRefundNo: no}
	tx, err := r.Service.begin(ctx, no)
	if err != nil {
		return err
	}
	before := tx.rec
	if !wanted(&before) {
		return nil
	}
	var st Settlement
	err = r.question(ctx, func(ctx context.Context) (err error) {
		st, err = r.ask(ctx, no, before.Revision, r.Caller.actor())
		return err
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.count(func(sum *RebuildSummary) { sum.Asked++ })
	about.State = before.State
	switch {
	case err == nil:
		about.State = st.State
		switch {
		case before.State == unknown:
			about.What = RebuiltTakenUp
		case st.Changed || st.numberTaken != before.NumberTaken:
			about.What = RebuiltMoved
		}
	case !IsCode(err, CodeNotFound):
		r.failed(about, err)
		return nil
	case before.State == Rejected && !before.NumberTaken, before.onlyReserved(): // as the ledger has it
	default:
		about.What, about.Why = RebuiltUnknown, AsError(err).Message
		if before.State != unknown && before.State != Claimed {
			about.Why = "the upstream does not know a refund that it had accepted"
			r.raise(ctx, no, alarmVanished, about.Why)
		}
	}
	r.found(about)
	return nil
}

// order asks the upstream to list an order's refunds.
func (r *rebuilding) order(ctx context.Context, l Lookup) error {
	_, number := l.order()
	about := Rebuilt{Order: number}
	known, err := r.orderRecords(ctx, l)
	if err != nil {
		return err
	}
	for {
		var page Page
		err := r.question(ctx, func(ctx context.Context) (err error) {
			page, err = r.askOrder(ctx, l, r.Caller.actor())
			return err
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if l.Offset == 0 {
			r.count(func(sum *RebuildSummary) { sum.Orders++ })
		}
		if e := AsError(err); err != nil && !IsCode(err, CodeNotFound) && !IsCode(e.Err, CodeNotFound) {
			r.failed(about, err)
			return nil
		}
		for _, listed := range page.Refunds {
			no := listed.OutRefundNo
			if slices.ContainsFunc(known, func(rec record) bool { return rec.Request.OutRefundNo == no }) {
				continue // it is asked about by itself
			}
			after, err := r.Inspect(ctx, no)
			if err != nil {
				return err
			}
			what := RebuiltMoved
			if after[0].External && !after[0].ClaimedAt.Before(r.state.Begun) {
				what = RebuiltTakenUp
			}
			r.found(Rebuilt{OutRefundNo: no, Order: number, What: what, State: after[0].State})
		}
		l.Offset += len(page.Refunds)
		if len(page.Refunds) == 0 || l.Offset >= page.TotalRefundCount {
			return nil
		}
	}
}

func (r *rebuilding) failed(about Rebuilt, err error) {
	about.What, about.Why = RebuiltFailed, AsError(err).Message
	r.found(about)
}

// found counts one refund, and tells of it unless it is as it was.
func (r *rebuilding) found(about Rebuilt) {
	r.count(func(sum *RebuildSummary) {
		switch about.What {
		case RebuiltMoved:
			sum.Moved++
		case RebuiltTakenUp:
			sum.TakenUp++
		case RebuiltUnknown:
			sum.Unknown++
		case RebuiltFailed:
			sum.Failed++
		default:
			sum.Unchanged++
			return
		}
		if r.Found != nil {
			r.Found(about)
		}
	})
}

func (r *rebuilding) count(add func(*RebuildSummary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.state.Summary)
}
