package model

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// A real is the real service over a real ledger, and an upstream that says what it is told.
type real struct {
	refund.Channel // what is not answered here is not asked for
	t              *testing.T
	service        *refund.Service
	no             string
	reply, answer  func() (refund.Refund, error)
}

func newReal(t *testing.T) *real {
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	r := &real{t: t}
	r.service = &refund.Service{Channel: r, Ledger: store, Merchant: refund.Merchant{MchID: "1900000001"}, NoBill: true}
	return r
}

func (r *real) close() { r.service.Ledger.(*ledger.Store).Close() }

func (r *real) Spec() refund.Spec {
	return refund.Spec{
		Name: "model", NumberChars: "-", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32}, Currencies: []string{"CNY"},
	}
}

func (r *real) Refund(context.Context, refund.Request) (refund.Refund, error) { return r.reply() }

func (r *real) Query(context.Context, refund.Lookup) (refund.Page, error) {
	got, err := r.answer()
	return refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{got}}, err
}

func (r *real) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

// says is what the upstream says in each case.
func (r *real) says(s Status) (refund.Refund, error) {
	status := map[Status]refund.Status{
		Processing: refund.StatusProcessing, Success: refund.StatusSuccess, Closed: refund.StatusClosed, Abnormal: refund.StatusAbnormal,
	}[s]
	switch s {
	case Unknown:
		return refund.Refund{}, &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber}
	case Unsent:
		return refund.Refund{}, &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Unsent: true}
	case Refused:
		return refund.Refund{}, &refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix}
	case Absent:
		return refund.Refund{}, &refund.Error{Code: refund.CodeNotFound, Next: refund.Later}
	}
	return refund.Refund{
		RefundID: "50" + r.no, OutRefundNo: r.no, OutTradeNo: "O" + r.no, TransactionID: "T" + r.no,
		Status: status, Amount: refund.Amount{Total: 100, Refund: 60, Currency: "CNY"},
	}, nil
}

// book reads the record.
func (r *real) book() Book {
	items, err := r.service.Ledger.Get(context.Background(), refund.Key("refund/"+r.no))
	if err != nil {
		r.t.Fatal(err)
	}
	if items[0].Version == 0 {
		return Book{}
	}
	var row struct {
		State refund.State
		Open  []int
	}
	if err := json.Unmarshal(items[0].Body, &row); err != nil {
		r.t.Fatal(err)
	}
	status, err := StatusOf(row.State)
	if err != nil {
		r.t.Fatal(err)
	}
	return Book{status, int8(len(row.Open))}
}

// A deed is one thing that can happen to a refund, done to the real one and in the model.
type deed struct {
	name string
	asks bool
	real func(*real)
	book func(*Model, Book) Book
}

// letters are what can become known at any time.
func letters() []deed {
	var all []deed
	for _, word := range []Status{Success, Closed, Abnormal} {
		all = append(all, letter("letter", refund.Notification, word))
	}
	return append(all, letter("bill", refund.FromBill, Processing))
}

func letter(name string, from refund.Source, word Status) deed {
	return deed{
		name: fmt.Sprintf("%s %s", name, word),
		real: func(r *real) {
			got, _ := r.says(word)
			r.answer = func() (refund.Refund, error) { return r.says(Unknown) } // if it is asked whether that is so
			_, _ = r.service.Settle(context.Background(), refund.Outcome{
				Source: from, OutRefundNo: r.no, Refund: got, Merchant: r.service.Merchant, EventID: string(word.State()),
			})
		},
		book: func(m *Model, b Book) Book { return m.Settle(b, Word{Says: word, Letter: true}) },
	}
}

// within has a deed happen while an answer is awaited; none has no name.
func within(r *real, inner deed, says Status) func() (refund.Refund, error) {
	return func() (refund.Refund, error) {
		if inner.name != "" {
			inner.real(r)
		}
		return r.says(says)
	}
}

// heard is what the model makes of an answer that was awaited.
func heard(m *Model, b Book, inner deed, says Status) Book {
	before := b
	if inner.name != "" {
		b = inner.book(m, b)
	}
	return m.Settle(b, Word{Says: says, Old: b.Status != before.Status})
}

func ask(word Status, inner deed) deed {
	return deed{
		name: fmt.Sprintf("ask: %s (%s)", word, inner.name),
		asks: true,
		real: func(r *real) {
			r.answer = within(r, inner, word)
			_, _ = r.service.Confirm(context.Background(), r.no)
		},
		book: func(m *Model, b Book) Book {
			if b.Status == Success || b.Status == Closed {
				return b // and nobody is asked
			}
			return heard(m, b, inner, word)
		},
	}
}

func send(word Status, inner deed) deed {
	return deed{
		name: fmt.Sprintf("send: %s (%s)", word, inner.name),
		real: func(r *real) {
			r.reply = within(r, inner, word)
			_, _ = r.service.Refund(context.Background(), refund.Caller{Kind: refund.Server}, refund.Request{
				OutRefundNo: r.no, OutTradeNo: "O" + r.no, Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"},
			})
		},
		book: func(m *Model, b Book) Book {
			next, submits := m.Claim(b)
			if !submits {
				return b
			}
			return heard(m, next, inner, word)
		},
	}
}

// day is a day on which the timer runs and the upstream holds nothing and answers no
// application.
func day() deed {
	return deed{
		name: "a day of absence",
		real: func(r *real) {
			r.reply = func() (refund.Refund, error) { return r.says(Unknown) }
			r.answer = func() (refund.Refund, error) { return r.says(Absent) }
			for range 26 * 6 {
				time.Sleep(10 * time.Minute)
				if _, err := r.service.Reconcile(context.Background()); err != nil {
					r.t.Error(err)
				}
			}
		},
		book: func(m *Model, b Book) Book { return m.Release(b, Quiet) },
	}
}

func deeds() []deed {
	all := append(letters(), day())
	inner := append([]deed{{}}, letters()...)
	for _, word := range []Status{Processing, Success, Closed, Abnormal} {
		inner = append(inner, ask(word, deed{}))
	}
	for _, in := range inner {
		for _, word := range []Status{Unknown, Unsent, Refused, Processing, Success, Closed, Abnormal} {
			if in.asks && word > statuses {
				continue // whether it was asked about meanwhile makes no difference to what says nothing of the present
			}
			all = append(all, send(word, in))
		}
		if in.asks {
			continue
		}
		for _, word := range []Status{Absent, Processing, Success, Closed, Abnormal} {
			all = append(all, ask(word, in))
		}
	}
	return all
}

// From every situation in which a refund can be, everything that can happen to it leaves the
// real service's record as it leaves the model's: what was proved of one holds of the other.
func TestTheRealServiceTakesEveryStepOfTheModel(t *testing.T) {
	steps, situations, differences := compare(t, New(Rules{}))
	for _, d := range differences {
		t.Error(d)
	}
	t.Logf("%d situations, %d steps, and the real service does as the model does", situations, steps)
	if situations != 9 {
		t.Errorf("%d situations, want 9", situations)
	}
}

// A model with other rules is found out by the same comparison.
func TestAModelWithOtherRulesIsNotTheRealService(t *testing.T) {
	for _, other := range []Rules{{SilenceIsNo: true}, {RefusalsAlone: true}} {
		if _, _, differences := compare(t, New(other)); len(differences) == 0 {
			t.Errorf("%+v: no difference", other)
		}
	}
}

// compare has everything happen in each situation that the model has.
func compare(t *testing.T, m *Model) (steps, situations int, differences []string) {
	t.Helper()
	type situation struct {
		book Book
		by   []deed
	}
	list, all := []situation{{}}, deeds()
	seen := map[Book]bool{{}: true}
	for ; situations < len(list) && len(differences) == 0; situations++ {
		s := list[situations]
		synctest.Test(t, func(t *testing.T) {
			r := newReal(t)
			defer func() { r.close() }()
			for n, d := range all {
				if d.name == day().name { // it would be about what others have left, too
					r.close()
					r = newReal(t)
				}
				r.no = fmt.Sprintf("R%d-%d", situations, n)
				for _, before := range s.by {
					before.real(r)
				}
				d.real(r)
				steps++
				want := d.book(m, s.book)
				if got := r.book(); got != want {
					differences = append(differences, fmt.Sprintf("%v, then %s: got %v, the model %v", names(s.by), d.name, got, want))
				}
				if !seen[want] && want.Open <= 2 {
					seen[want] = true
					list = append(list, situation{want, append(s.by[:len(s.by):len(s.by)], d)})
				}
			}
		})
	}
	return steps, situations, differences
}

func names(all []deed) (out []string) {
	for _, d := range all {
		out = append(out, d.name)
	}
	return out
}
