package refund_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// of is a refund of an order of its own.
func of(order, no string, fen int64) refund.Request {
	r := request(no, fen)
	r.OutTradeNo = order
	return r
}

// settled is a notification about a refund of some order.
func settled(order, no string, fen int64, status refund.Status) refund.Outcome {
	out := notification(no, fen, status)
	out.Refund.OutTradeNo, out.Refund.TransactionID = order, "T-"+order
	return out
}

// numbers lists all pages of a filter, and checks that none has more than limit.
func (f *fixture) numbers(t *testing.T, filter refund.Filter, limit int) (all []string) {
	t.Helper()
	cursor := ""
	for range 1000 {
		page, err := f.ListRefunds(t.Context(), filter, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Refunds) > limit {
			t.Fatalf("a page of %d, want at most %d", len(page.Refunds), limit)
		}
		for _, r := range page.Refunds {
			all = append(all, r.OutRefundNo)
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
	t.Fatal("the list does not end")
	return nil
}

// assorted is a ledger with refunds in every state, one minute apart, the oldest first.
func assorted(t *testing.T) (*fixture, time.Time) {
	t.Helper()
	f := clocked(t)
	f.Pace = -1
	sub := f.subscribe("shop")
	begun := f.Now()
	f.must(t, of("O1", "processing", 10))
	f.advance(time.Minute)
	f.must(t, of("O1", "success", 20))
	f.settle(t, settled("O1", "success", 20, refund.StatusSuccess))
	f.Deliver(t.Context(), "success")
	f.advance(time.Minute)
	f.must(t, of("O1", "closed", 30))
	f.settle(t, settled("O1", "closed", 30, refund.StatusClosed))
	f.Deliver(t.Context(), "closed")
	f.advance(time.Minute)
	f.must(t, of("O2", "abnormal", 40))
	sub.answer = failing
	f.settle(t, settled("O2", "abnormal", 40, refund.StatusAbnormal)) // and nobody is told
	f.advance(time.Minute)
	f.up.before = refusal(refund.CodeRejected, refund.NewNumber, "NOT_ENOUGH")
	f.refused(t, of("O2", "rejected", 50), refund.CodeRejected, refund.NewNumber)
	f.advance(time.Minute)
	f.up.before = noAnswer
	f.refused(t, of("O2", "doubt", 60), refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	f.advance(time.Minute)
	f.settle(t, settled("O3", "external", 70, refund.StatusSuccess))
	return f, begun
}

// Each filter finds what passes and nothing else, the newest first, page by page, and
// counts as many as it lists.
func TestEachFilterListsAndCountsWhatPasses(t *testing.T) {
	f, begun := assorted(t)
	at := func(minutes int) time.Time { return begun.Add(time.Duration(minutes) * time.Minute) }
	for name, tt := range map[string]struct {
		filter refund.Filter
		want   string
	}{
		"everything":             {refund.Filter{}, "external doubt rejected abnormal closed success processing"},
		"one state":              {refund.Filter{States: []refund.State{refund.Success}}, "external success"},
		"two states":             {refund.Filter{States: []refund.State{refund.Closed, refund.Claimed}}, "doubt closed"},
		"since":                  {refund.Filter{Since: at(5)}, "external doubt"},
		"until":                  {refund.Filter{Until: at(2)}, "success processing"},
		"between":                {refund.Filter{Since: at(1), Until: at(4)}, "abnormal closed success"},
		"out_trade_no":           {refund.Filter{Order: "O1"}, "closed success processing"},
		"transaction_id":         {refund.Filter{Order: "T-O1"}, "closed success processing"},
		"order, state":           {refund.Filter{Order: "O1", States: []refund.State{refund.Closed}}, "closed"},
		"order, rejected too":    {refund.Filter{Order: "O2", States: []refund.State{refund.Rejected, refund.Abnormal}}, "rejected abnormal"},
		"order that is none":     {refund.Filter{Order: "O"}, ""},
		"amounts":                {refund.Filter{MinFen: 30, MaxFen: 50}, "rejected abnormal closed"},
		"least amount":           {refund.Filter{MinFen: 60}, "external doubt"},
		"in doubt":               {refund.Filter{InDoubt: true}, "doubt"},
		"in doubt, other state":  {refund.Filter{InDoubt: true, States: []refund.State{refund.Success}}, ""},
		"undelivered":            {refund.Filter{Undelivered: true}, "external abnormal"},
		"undelivered, state":     {refund.Filter{Undelivered: true, States: []refund.State{refund.Abnormal}}, "abnormal"},
		"attention":              {refund.Filter{Attention: true}, "abnormal closed"},
		"part of a number":       {refund.Filter{Query: "cess"}, "success processing"},
		"a whole number first":   {refund.Filter{Query: "T-O1"}, "closed success processing"},
		"a whole refund_id":      {refund.Filter{Query: "5000closed"}, "closed"},
		"part of a refund_id":    {refund.Filter{Query: "5000"}, "external abnormal closed success processing"},
		"part, amount and state": {refund.Filter{Query: "c", MaxFen: 30, States: []refund.State{refund.Success, refund.Closed}}, "closed success"},
	} {
		want := strings.Fields(tt.want)
		for _, limit := range []int{1, 2, 3, 500} {
			got := f.numbers(t, tt.filter, limit)
			if tt.filter.Undelivered { // what is due comes in the order of the ledger
				if len(got) != len(want) || strings.Join(got, " ") != tt.want && fmt.Sprint(got[1], " ", got[0]) != tt.want {
					t.Errorf("%s, pages of %d: got %v, want %v", name, limit, got, want)
				}
			} else if strings.Join(got, " ") != tt.want {
				t.Errorf("%s, pages of %d: got %v, want %v", name, limit, got, want)
			}
		}
		if n, err := f.CountRefunds(t.Context(), tt.filter); err != nil || n != int64(len(want)) {
			t.Errorf("%s: counted %d, %v; want %d", name, n, err, len(want))
		}
	}
}

// What a number names exactly comes before what it is only a part of, and comes once.
func TestAWholeNumberComesFirst(t *testing.T) {
	f := clocked(t)
	for i, no := range []string{"R1", "R10", "xR1", "R2"} {
		f.advance(time.Minute)
		f.must(t, of(fmt.Sprint("O", i), no, 1))
	}
	wantEqual(t, "found", []string{"R1", "xR1", "R10"}, f.numbers(t, refund.Filter{Query: "R1"}, 2))
}

// What was given up comes before what is pending, each refund once.
func TestGivenUpDeliveriesAreListedFirst(t *testing.T) {
	f := clocked(t)
	f.subscribe("shop").answer = failing
	f.settle(t, settled("O1", "lost", 10, refund.StatusSuccess))
	f.wait(t, 80*time.Hour)
	f.settle(t, settled("O2", "pending", 10, refund.StatusSuccess))
	for _, limit := range []int{1, 10} {
		wantEqual(t, "undelivered", []string{"lost", "pending"}, f.numbers(t, refund.Filter{Undelivered: true}, limit))
	}
	wantEqual(t, "to be looked at", []string{"lost"}, f.numbers(t, refund.Filter{Undelivered: true, Attention: true}, 10))
	if n, err := f.CountRefunds(t.Context(), refund.Filter{Attention: true}); err != nil || n != 1 {
		t.Errorf("%d are to be looked at, %v; want 1", n, err)
	}
	if got := f.inspect(t, "lost"); !got.Attention {
		t.Errorf("%+v is not to be looked at", got)
	}
}

// A filter that matches rarely does not scan for ever: its page is short, and goes on.
func TestPagesAreBoundedInWork(t *testing.T) {
	f := setUp(t)
	f.must(t, of("needle", "needle", 99))
	at := time.Now().Add(time.Hour)
	const many = 2500
	for i := 0; i < many; i += 100 {
		var items []refund.Item
		for j := i; j < i+100; j++ {
			body := fmt.Sprintf(`{"state":"success","request":{"out_refund_no":"R%d","out_trade_no":"O%d","amount":{"refund":1,"total":1,"currency":"CNY"}},`+
				`"refund":{"out_refund_no":"R%d","status":"SUCCESS","amount":{"refund":1}},"order":"","moves":1,"claimed_at":"2026-11-22T10:00:00Z","history":null}`, j, j, j)
			items = append(items, refund.Item{Key: refund.Key(fmt.Sprint("refund/R", j)), Body: []byte(body), Class: "success", At: at})
		}
		f.write(t, items...)
	}
	counted := &countedLists{Ledger: f.Ledger}
	f.Ledger = counted
	var pages int
	for cursor := ""; ; pages++ {
		before := counted.listed
		page, err := f.ListRefunds(t.Context(), refund.Filter{MinFen: 50}, cursor, 10)
		if err != nil {
			t.Fatal(err)
		}
		if looked := counted.listed - before; looked > 1100 {
			t.Errorf("page %d looked at %d items, want about 1000 at most", pages, looked)
		}
		if cursor = page.Next; cursor == "" {
			if len(page.Refunds) != 1 || page.Refunds[0].OutRefundNo != "needle" || pages < 2 {
				t.Errorf("the last page of %d holds %+v", pages+1, page.Refunds)
			}
			break
		}
		if len(page.Refunds) > 0 {
			t.Errorf("page %d holds %+v", pages, page.Refunds)
		}
	}
}

// countedLists counts the items that were listed by class. Whether all have one is looked
// at apart from that, in the first 200 of a ledger that the timer has not been through.
type countedLists struct {
	refund.Ledger
	listed int
}

func (c *countedLists) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	items, next, err := c.Ledger.List(ctx, index, cursor, limit)
	if index.Kind == refund.IndexClass {
		c.listed += len(items)
	}
	return items, next, err
}

// The list may be old; what it shows is not.
func TestListShowsTheRecordAsItIsNow(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	stale := &staleLists{Ledger: f.Ledger}
	f.Ledger = stale
	f.numbers(t, refund.Filter{States: []refund.State{refund.Processing}}, 10)
	stale.frozen = true
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	if got := f.numbers(t, refund.Filter{States: []refund.State{refund.Processing}}, 10); got != nil {
		t.Errorf("%v is still listed as processing", got)
	}
}

// staleLists answers, once frozen, with what it has listed before.
type staleLists struct {
	refund.Ledger
	frozen bool
	items  []refund.Item
}

func (s *staleLists) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	if s.frozen {
		return s.items, "", nil
	}
	items, next, err := s.Ledger.List(ctx, index, cursor, limit)
	s.items = items
	return items, next, err
}

// A cursor goes on with its own list and no other, and nothing else is one.
func TestACursorIsItsFiltersOwn(t *testing.T) {
	f, _ := assorted(t)
	page, err := f.ListRefunds(t.Context(), refund.Filter{}, "", 2)
	if err != nil || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	for name, c := range map[string]struct {
		filter refund.Filter
		cursor string
		limit  int
	}{
		"another filter": {refund.Filter{Attention: true}, page.Next, 2},
		"no cursor":      {refund.Filter{}, "x", 2},
		"cut":            {refund.Filter{}, page.Next[1:], 2},
		"limit":          {refund.Filter{}, page.Next, 501},
		"negative limit": {refund.Filter{}, "", -1},
		"state":          {refund.Filter{States: []refund.State{"done"}}, "", 1},
		"amounts":        {refund.Filter{MinFen: 2, MaxFen: 1}, "", 1},
		"less than none": {refund.Filter{MinFen: -1}, "", 1},
		"times":          {refund.Filter{Since: time.Now(), Until: time.Now().Add(-time.Hour)}, "", 1},
		"number":         {refund.Filter{Query: "a b"}, "", 1},
		"long number":    {refund.Filter{Order: strings.Repeat("1", 65)}, "", 1},
	} {
		if _, err := f.ListRefunds(t.Context(), c.filter, c.cursor, c.limit); !refund.IsCode(err, refund.CodeInvalid) {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
	local := refund.Filter{Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))}
	page, err = f.ListRefunds(t.Context(), local, "", 2)
	if err != nil {
		t.Fatal(err)
	}
	local.Since = local.Since.UTC()
	if _, err := f.ListRefunds(t.Context(), local, page.Next, 2); err != nil {
		t.Errorf("the same time in another zone: %v", err)
	}
}

// Whatever comes as a cursor, the answer is a page or an error.
func FuzzListCursor(f *testing.F) {
	f.Add("")
	f.Add("e30")
	f.Add("eyJmIjoiIiwicyI6LTF9")
	f.Fuzz(func(t *testing.T, cursor string) {
		fx := setUp(t)
		page, err := fx.ListRefunds(t.Context(), refund.Filter{Query: "1"}, cursor, 1)
		if err == nil && cursor != "" && len(page.Refunds) > 0 {
			t.Errorf("%q lists %+v", cursor, page)
		}
	})
}
