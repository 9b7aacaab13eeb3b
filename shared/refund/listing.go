package refund

import (
	"context"
	"slices"
	"strings"
	"time"
)

const (
	// defaultListing and maxListing are how many items a list has where the caller names no
	// number, and at most.
	defaultListing, maxListing = 20, 50
	// maxOffset bounds how far into a list a caller can look: what lies deeper is found by
	// state, or by the operator's program.
	maxOffset = 5000
)

// ListFor lists applications or refunds, the newest first. Operators and servers see all;
// a buyer sees what they have applied for, and the refunds of those orders. It may
// be a moment old. [CodeInvalid] if no such list is there.
func (s *Service) ListFor(ctx context.Context, caller Caller, q ApplicationQuery) (Listing, error) {
	buyer, err := s.admitQuery(ctx, caller)
	if err != nil {
		return Listing{}, err
	}
	if q.Kind == "" {
		q.Kind = "applications"
	}
	if q.Limit == 0 {
		q.Limit = defaultListing
	}
	states, err := q.refundStates()
	switch {
	case q.Offset < 0 || q.Offset > maxOffset:
		return Listing{}, invalidf("offset must be between 0 and %d", maxOffset)
	case q.Limit < 1 || q.Limit > maxListing:
		return Listing{}, invalidf("limit must be between 1 and %d", maxListing)
	case err != nil:
		return Listing{}, err
	}
	if err := s.Bind(ctx); err != nil {
		return Listing{}, err
	}
	switch {
	case buyer && q.Kind == "applications":
		return s.ownApplications(ctx, caller, q)
	case buyer:
		return s.ownRefunds(ctx, caller, q, states)
	case q.Kind == "applications":
		return s.listApplications(ctx, q)
	}
	return s.listRefunds(ctx, q, states)
}

// refundStates are the states of refunds that the query wants; it refuses a state that nothing is in.
func (q ApplicationQuery) refundStates() ([]State, error) {
	switch q.Kind {
	case "applications":
		if q.State != "" && !slices.Contains(ApplicationStates(), ApplicationState(q.State)) {
			var all []string
			for _, s := range ApplicationStates() {
				all = append(all, string(s))
			}
			return nil, invalidf("state must be %s", strings.Join(all, " or "))
		}
		return nil, nil
	case "refunds":
		if q.State == "" {
			return allStates(), nil
		}
		var names []string
		for _, s := range allStates() {
			if strings.EqualFold(string(s), q.State) {
				return []State{s}, nil
			}
			names = append(names, strings.ToUpper(string(s)))
		}
		return nil, invalidf("state must be %s", strings.Join(names, " or "))
	}
	return nil, invalidf("kind must be applications or refunds")
}

// page lists as many items of an index as the query wants, and counts them all.
func (s *Service) page(ctx context.Context, index Index, q ApplicationQuery) (items []Item, total int64, err error) {
	if total, err = s.Ledger.Count(ctx, index); err != nil {
		return nil, 0, ledgerError(err)
	}
	skip, cursor := q.Offset, ""
	for {
		page, next, err := s.Ledger.List(ctx, index, cursor, min(skip+q.Limit-len(items), listAtOnce))
		if err != nil {
			return nil, 0, ledgerError(err)
		}
		passed := min(skip, len(page))
		skip -= passed
		items = append(items, page[passed:]...)
		if cursor = next; next == "" || len(items) >= q.Limit {
			return items[:min(len(items), q.Limit)], total, nil
		}
	}
}

func (s *Service) listApplications(ctx context.Context, q ApplicationQuery) (Listing, error) {
	states := ApplicationStates()
	if q.State != "" {
		states = []ApplicationState{ApplicationState(q.State)}
	}
	var classes []string
	for _, st := range states {
		classes = append(classes, applicationClass(st))
	}
	items, total, err := s.page(ctx, Recent(time.Time{}, time.Time{}, classes...), q)
	if err != nil {
		return Listing{}, err
	}
	l := Listing{Total: total, Offset: q.Offset, Items: []any{}}
	for _, it := range items {
		var a application
		if isApplication(it.Key) && decode(it, &a) == nil {
			l.Items = append(l.Items, a.inFull(a.view(nil)))
		}
	}
	return l, nil
}

func (s *Service) listRefunds(ctx context.Context, q ApplicationQuery, states []State) (Listing, error) {
	items, total, err := s.page(ctx, Recent(time.Time{}, time.Time{}, classes(states, false)...), q)
	if err != nil {
		return Listing{}, err
	}
	l := Listing{Total: total, Offset: q.Offset, Items: []any{}}
	for _, it := range items {
		var rec record
		if _, ok := it.RefundNo(); ok && decode(it, &rec) == nil {
			l.Items = append(l.Items, rec.view())
		}
	}
	return l, nil
}

// own reads what the caller has applied for, the newest first.
func (s *Service) own(ctx context.Context, caller Caller) ([]application, error) {
	items, err := s.Ledger.Get(ctx, payerKey(caller))
	if err != nil {
		return nil, ledgerError(err)
	}
	var p payerItem
	if err := decode(items[0], &p); err != nil {
		return nil, err
	}
	var all []application
	for chunk := range slices.Chunk(p.Applications, inspectAtOnce) {
		var keys []Key
		for _, id := range chunk {
			keys = append(keys, applicationKey(id))
		}
		items, err := s.Ledger.Get(ctx, keys...)
		if err != nil {
			return nil, ledgerError(err)
		}
		for _, it := range items {
			var a application
			if decode(it, &a) == nil && it.Version > 0 && a.ofCaller(caller) {
				all = append(all, a)
			}
		}
	}
	slices.Reverse(all)
	return all, nil
}

func (s *Service) ownApplications(ctx context.Context, caller Caller, q ApplicationQuery) (Listing, error) {
	all, err := s.own(ctx, caller)
	if err != nil {
		return Listing{}, err
	}
	var numbers []string
	for _, a := range all {
		if a.Request.OutRefundNo != "" {
			numbers = append(numbers, a.Request.OutRefundNo)
		}
	}
	records, err := s.recordsOf(ctx, numbers...)
	if err != nil {
		return Listing{}, err
	}
	var found []any
	for _, a := range all {
		var rec *record
		for i := range records {
			if a.Request.OutRefundNo != "" && records[i].Request.OutRefundNo == a.Request.OutRefundNo {
				rec = &records[i]
			}
		}
		if v := a.view(rec).forBuyer(); q.State == "" || string(v.State) == q.State {
			found = append(found, v)
		}
	}
	return q.part(found), nil
}

func (s *Service) ownRefunds(ctx context.Context, caller Caller, q ApplicationQuery, states []State) (Listing, error) {
	all, err := s.own(ctx, caller)
	if err != nil {
		return Listing{}, err
	}
	var entries []orderEntry
	seen := map[string]bool{}
	for _, a := range all {
		if l := (Lookup{TransactionID: a.Request.TransactionID, OutTradeNo: a.Request.OutTradeNo}); !seen[l.TransactionID+"/"+l.OutTradeNo] {
			seen[l.TransactionID+"/"+l.OutTradeNo] = true
			account, err := s.order(ctx, l)
			if err != nil {
				return Listing{}, err
			}
			for _, e := range account.all() {
				place(&entries, e)
			}
		}
	}
	slices.SortStableFunc(entries, func(x, y orderEntry) int { return y.At.Compare(x.At) })
	records, err := s.records(ctx, entries)
	if err != nil {
		return Listing{}, err
	}
	var found []any
	for i := range records {
		if slices.Contains(states, records[i].State) && !records[i].NumberTaken {
			found = append(found, records[i].view().forBuyer())
		}
	}
	return q.part(found), nil
}

// part is the part of a list that the query wants.
func (q ApplicationQuery) part(all []any) Listing {
	begin := min(q.Offset, len(all))
	end := min(begin+q.Limit, len(all))
	return Listing{Total: int64(len(all)), Offset: q.Offset, Items: append([]any{}, all[begin:end]...)}
}
