package control

import (
	"cmp"
	"maps"
	"slices"
)

// totals are the figures of everything, however much of it is shown. They are kept up to
// date change by change.
type totals struct {
	Refunds            int            `json:"refunds"`
	Orders             int            `json:"orders"`
	Notifications      int            `json:"notifications"`
	Open               int            `json:"open"` // see [row.open]
	InDoubt            int            `json:"in_doubt"`
	Undelivered        int            `json:"undelivered"` // refunds, as the two before and the next
	Owed               int            `json:"owed"`
	States             map[string]int `json:"states"`
	NotificationStates map[string]int `json:"notification_states"`
	Money              []sum          `json:"money"` // by currency; CNY comes first and is always there
}

// A sum is about the refunds in one currency, in its minor unit.
type sum struct {
	Currency   string `json:"currency"`
	Refunds    int    `json:"refunds"`
	Held       int64  `json:"held"`    // by the merchant's word; where it has none, WeChat Pay's
	Arrived    int64  `json:"arrived"` // the same
	Difference int64  `json:"difference"`
}

// newTotals has every state that has a name.
func newTotals() totals {
	return totals{
		States:             map[string]int{"claimed": 0, "processing": 0, "abnormal": 0, "success": 0, "closed": 0, "rejected": 0},
		NotificationStates: map[string]int{"pending": 0, "delivered": 0, "failed": 0, "lost": 0},
		Money:              []sum{{Currency: "CNY"}},
	}
}

// count takes a row in, by 1, or out again, by -1.
func (t *totals) count(r row, by int) {
	t.Refunds += by
	for _, c := range []struct {
		applies bool
		figure  *int
	}{{r.open(), &t.Open}, {r.InDoubt, &t.InDoubt}, {r.Undelivered, &t.Undelivered}, {r.Owed, &t.Owed}} {
		if c.applies {
			*c.figure += by
		}
	}
	t.States[r.Status] += by
	i := slices.IndexFunc(t.Money, func(s sum) bool { return s.Currency == r.Currency })
	if i < 0 {
		i, t.Money = len(t.Money), append(t.Money, sum{Currency: r.Currency})
	}
	record := cmp.Or(r.Merchant, r.WeChat)
	s := &t.Money[i]
	s.Refunds += by
	s.Held += int64(by) * record.held()
	s.Arrived += int64(by) * record.arrived()
	s.Difference += int64(by) * r.difference()
}

// clone returns totals that do not change any more.
func (t *totals) clone() totals {
	out := *t
	out.States, out.NotificationStates = maps.Clone(t.States), maps.Clone(t.NotificationStates)
	out.Money = slices.DeleteFunc(slices.Clone(t.Money), func(s sum) bool { return s.Refunds == 0 && s.Currency != "CNY" })
	slices.SortFunc(out.Money[1:], func(a, b sum) int { return cmp.Compare(a.Currency, b.Currency) })
	return out
}
