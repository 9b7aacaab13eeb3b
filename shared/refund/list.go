package refund

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

const (
	// defaultPage is how many refunds a page has where the caller wants no number, and
	// maxRefundPage how many at most.
	defaultPage, maxRefundPage = 50, 500
	// listAtOnce is how many items are listed at a time where not each of them will pass.
	listAtOnce = 100
	// maxScan bounds how many items are looked at for one page.
	maxScan = 1000
)

// A RefundPage is a part of a list of refunds.
type RefundPage struct {
	Refunds []Inspection // in full: see [Inspection.Masked]
	Next    string       // with which the list goes on; "": nothing follows

	// Incomplete says that refunds which a program of an earlier version has made may be
	// missing: the reconciler has not yet entered all of them into the index.
	Incomplete bool
}

// ListRefunds lists the refunds that pass a filter, the newest first: at most limit of
// them (0: 50; at most 500), behind cursor, "" for the beginning. What looks at very many
// that do not pass ends early: a page may be short, or empty, and the list goes on as long
// as Next is not "". Two filters have an order of their own: with Query, whatever has
// exactly that number comes first; with Undelivered, what was given up comes before what
// is pending. The list may be a moment old, the refunds on it are as they are now. It is
// for whoever runs the service: no caller is admitted or denied.
// [CodeInvalid] if the filter or the limit is none, or the cursor is of another filter.
func (s *Service) ListRefunds(ctx context.Context, f Filter, cursor string, limit int) (RefundPage, error) {
	if err := s.Bind(ctx); err != nil {
		return RefundPage{}, err
	}
	if err := f.check(); err != nil {
		return RefundPage{}, err
	}
	if limit < 0 || limit > maxRefundPage {
		return RefundPage{}, invalidf("the limit must be between 1 and %d", maxRefundPage)
	}
	if limit == 0 {
		limit = defaultPage
	}
	now := s.now()
	at, err := f.parseCursor(cursor, now)
	if err != nil {
		return RefundPage{}, err
	}
	page := RefundPage{Refunds: []Inspection{}}
	if page.Incomplete, err = s.incomplete(ctx); err != nil {
		return RefundPage{}, err
	}
	sources := s.sources(f)
	for scanned := 0; at.Source < len(sources) && len(page.Refunds) < limit && scanned < maxScan; {
		found, next, n, err := s.scan(ctx, f, sources[at.Source], at, limit-len(page.Refunds), now)
		if err != nil {
			return RefundPage{}, err
		}
		page.Refunds = append(page.Refunds, found...)
		scanned += n
		if at.Place = next; next == "" {
			at.Source++
		}
	}
	if at.Source < len(sources) {
		page.Next = at.text()
	}
	return page, nil
}

// scan looks for at most limit refunds that pass, once, and returns the place behind the
// last of them and how many items it has looked at.
func (s *Service) scan(ctx context.Context, f Filter, from source, at listPlace, limit int, now time.Time) (found []Inspection, next string, scanned int, err error) {
	n := limit
	if !f.indexed() {
		n = max(limit, listAtOnce)
	}
	numbers, next, err := from.list(ctx, at, n)
	if err != nil {
		return nil, "", 0, err
	}
	var wanted []string
	for _, c := range numbers {
		if c.passes {
			wanted = append(wanted, c.no)
		}
	}
	records, err := s.recordsOf(ctx, wanted...)
	if err != nil {
		return nil, "", 0, err
	}
	for i := range records {
		r := &records[i]
		if !f.matches(r, now) || from.elsewhere(r) {
			continue
		}
		if found = append(found, r.inspection(now)); len(found) < limit {
			continue
		}
		// The page is full: the list goes on behind this one, where there is more.
		last := 1 + slices.IndexFunc(numbers, func(c candidate) bool { return c.no == wanted[i] })
		if last < len(numbers) {
			_, next, err = from.list(ctx, at, last)
		}
		return found, next, last, err
	}
	return found, next, len(numbers), nil
}

// CountRefunds counts the refunds that pass a filter, by the list alone, which may be a
// moment old. Where the index does not know what the filter wants, it looks at each refund
// that may pass: on a large ledger that takes long, and ctx ends it.
// [CodeInvalid] if the filter is none.
func (s *Service) CountRefunds(ctx context.Context, f Filter) (int64, error) {
	if err := s.Bind(ctx); err != nil {
		return 0, err
	}
	if err := f.check(); err != nil {
		return 0, err
	}
	if f.indexed() {
		n, err := s.Ledger.Count(ctx, f.index(f.Attention))
		return n, ledgerError(err)
	}
	now, n := s.now(), int64(0)
	for _, from := range s.sources(f) {
		at := listPlace{Until: now.Add(farFuture)}
		for {
			numbers, next, err := from.list(ctx, at, maxScan)
			if err != nil {
				return 0, err
			}
			for _, c := range numbers {
				if c.passes {
					n++
				}
			}
			if at.Place = next; next == "" {
				break
			}
		}
	}
	return n, nil
}

// A candidate is a refund that a source has listed, and whether it passes by what is
// known of it there.
type candidate struct {
	no     string
	passes bool
}

// A source is one of the places where the refunds that pass a filter are found.
type source struct {
	// list returns up to limit refunds behind a place, and the place behind them, "" if
	// nothing follows.
	list func(ctx context.Context, at listPlace, limit int) (found []candidate, next string, err error)
	// elsewhere reports whether the source before has the refund.
	elsewhere func(*record) bool
}

// sources are where the refunds are found that pass: what costs least.
func (s *Service) sources(f Filter) []source {
	nowhere := func(*record) bool { return false }
	byClass := func(marked bool, elsewhere func(*record) bool) source {
		index := f.index(marked)
		return s.fromIndex(f, func(time.Time) Index { return index }, elsewhere)
	}
	switch {
	case len(f.states()) == 0:
		return nil
	case f.Order != "" && !slices.Contains(f.States, Rejected): // of whose claim the order's account holds nothing
		return []source{s.fromNumbers(f, func(ctx context.Context) ([]string, error) { return s.orderNumbers(ctx, f.Order) }, nowhere)}
	case f.Undelivered && f.Attention:
		return []source{byClass(true, nowhere)}
	case f.Undelivered: // what was given up is marked, and what was not is due
		return []source{byClass(true, nowhere), s.fromIndex(f, DueBy, (*record).needsAttention)}
	case f.Query != "":
		exactly := func(ctx context.Context) ([]string, error) { return s.numbersOf(ctx, f.Query) }
		return []source{s.fromNumbers(f, exactly, nowhere), byClass(f.Attention, func(r *record) bool { return r.isExactly(f.Query) })}
	}
	return []source{byClass(f.Attention, nowhere)}
}

// fromIndex finds refunds in an index of the ledger.
func (s *Service) fromIndex(f Filter, index func(until time.Time) Index, elsewhere func(*record) bool) source {
	return source{elsewhere: elsewhere, list: func(ctx context.Context, at listPlace, limit int) (found []candidate, next string, err error) {
		items, next, err := s.Ledger.List(ctx, index(at.Until), at.Place, limit)
		if err != nil {
			return nil, "", ledgerError(err)
		}
		now := s.now()
		for _, it := range items {
			var rec record
			no, ok := it.RefundNo()
			rec.Request.OutRefundNo = no
			if ok = ok && decode(it, &rec) == nil; ok {
				ok = f.matches(&rec, now) && !elsewhere(&rec)
			}
			found = append(found, candidate{no, ok})
		}
		return found, next, nil
	}}
}

// fromNumbers finds refunds whose numbers are known.
func (s *Service) fromNumbers(f Filter, numbers func(context.Context) ([]string, error), elsewhere func(*record) bool) source {
	return source{elsewhere: elsewhere, list: func(ctx context.Context, at listPlace, limit int) (found []candidate, next string, err error) {
		all, err := numbers(ctx)
		if err != nil {
			return nil, "", err
		}
		begin := 0
		if at.Place != "" {
			begin, err = strconv.Atoi(at.Place)
		}
		if err != nil || begin < 0 {
			return nil, "", invalidf("the cursor is none of this list")
		}
		begin = min(begin, len(all))
		end := min(begin+limit, len(all))
		records, err := s.recordsOf(ctx, all[begin:end]...)
		if err != nil {
			return nil, "", err
		}
		now := s.now()
		for i := range records {
			found = append(found, candidate{all[begin+i], f.matches(&records[i], now)})
		}
		if end < len(all) {
			next = strconv.Itoa(end)
		}
		return found, next, nil
	}}
}

// orderNumbers are the refunds that count on the order with a number, newest first.
func (s *Service) orderNumbers(ctx context.Context, number string) ([]string, error) {
	var all []orderEntry
	for _, l := range []Lookup{{TransactionID: number}, {OutTradeNo: number}} {
		a, err := s.order(ctx, l)
		if err != nil {
			return nil, err
		}
		for _, m := range a.all() {
			place(&all, m)
		}
	}
	var numbers []string
	for _, m := range slices.Backward(all) {
		numbers = append(numbers, m.No)
	}
	return numbers, nil
}

// numbersOf are the refunds that have exactly that number, or whose order has it.
func (s *Service) numbersOf(ctx context.Context, number string) ([]string, error) {
	items, err := s.Ledger.Get(ctx, refundKey(number), refundIDKey(number))
	if err != nil {
		return nil, ledgerError(err)
	}
	var all []string
	var rec record
	if err := decode(items[0], &rec); err != nil {
		return nil, err
	}
	if items[0].Version > 0 && !rec.onlyReserved() {
		all = append(all, number)
	}
	var no string
	if err := decode(items[1], &no); err != nil {
		return nil, err
	}
	ofOrder, err := s.orderNumbers(ctx, number)
	for _, no := range append([]string{no}, ofOrder...) {
		if no != "" && !slices.Contains(all, no) {
			all = append(all, no)
		}
	}
	return all, err
}

// isExactly reports whether [Service.numbersOf] finds the refund by the number.
func (r *record) isExactly(number string) bool {
	numbers := r.numbers()
	return slices.Contains(numbers[:2], number) || r.Counted && slices.Contains(numbers[2:], number)
}

// A listPlace is a place in a list of refunds: behind which item of which source.
type listPlace struct {
	Filter string    `json:"f"` // whose list it is
	Source int       `json:"s,omitempty"`
	Place  string    `json:"p,omitempty"`
	Until  time.Time `json:"u"` // where lists of what is due begin
}

func (p listPlace) text() string { return base64.RawURLEncoding.EncodeToString(encode(p)) }

// parseCursor reads a place in the filter's list.
func (f Filter) parseCursor(cursor string, now time.Time) (listPlace, error) {
	f.Since, f.Until = f.Since.UTC(), f.Until.UTC()
	sum := sha256.Sum256(encode(f))
	whose := base64.RawURLEncoding.EncodeToString(sum[:9])
	if cursor == "" {
		return listPlace{Filter: whose, Until: now.Add(farFuture)}, nil
	}
	var p listPlace
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || base64.RawURLEncoding.EncodeToString(text) != cursor || json.Unmarshal(text, &p) != nil || p.Filter != whose || p.Source < 0 {
		return p, invalidf("the cursor is none, or of a list with another filter")
	}
	return p, nil
}
