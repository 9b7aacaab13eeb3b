package simulation_test

import (
	"slices"
	"strings"
	"sync"

	"wxrefund/functions/simulation/model"
	"wxrefund/shared/refund"
)

// protocol is the model that was exhausted, of which each history has to be a path.
var protocol = sync.OnceValue(func() *model.Model { return model.New(model.Rules{}) })

// book is what a row is in the model.
func (r refundRow) book() (model.Book, error) {
	status, err := model.StatusOf(refund.State(r.State))
	return model.Book{Status: status, Open: int8(min(len(r.Open), 100))}, err
}

// follows checks that a commit is a step of the model: a claim, or what the model makes of
// a word that the call has heard and may believe.
func (v *invariants) follows(c *call, no string, before, next refundRow) {
	from, err := before.book()
	to, bad := next.book()
	if !v.judge("model: a commit has a state of the model", err == nil && bad == nil, "%s is %q and then %q", no, before.State, next.State) {
		return
	}
	v.rarely(c, no, before, next)
	if next.Attempt > before.Attempt {
		v.w.count("steps of the model", 1)
		want, submits := protocol().Claim(from)
		full := len(before.Open) >= 64
		v.judge("model: a submission is a step of it", submits && (to == want || full && to.Status == want.Status), "%s is submitted and goes from %v to %v", no, from, to)
		return
	}
	if from == to {
		return
	}
	v.w.count("steps of the model", 1)
	switch { // what the model knows no amounts and no strangers for
	case next.Taken && !before.Taken && to.Status == model.Rejected:
		return
	case before.waits() && to == (model.Book{Status: model.Rejected}):
		return
	case next.Funds != nil && c.told(no).absent && to == (model.Book{Status: model.Claimed}):
		return // the doubt has ended, and it goes on waiting
	case next.Funds != nil && c.told(no).refused && to == (model.Book{Status: model.Claimed, Open: from.Open - 1}):
		return
	}
	words := v.words(c, no)
	leads := func(w model.Word) bool {
		return protocol().Settle(from, w) == to || next.Released && protocol().Release(from, w.Says) == to
	}
	v.judge("model: what was heard is a step of it", slices.ContainsFunc(words, leads), "%s goes from %v to %v by %s, which has heard %+v", no, from, to, c.name, words)
}

// words are what a call may record of a refund.
func (v *invariants) words(c *call, no string) (all []model.Word) {
	heard := c.told(no)
	add := func(says model.Status, letter bool) {
		all = append(all, model.Word{Says: says, Letter: letter})
		if !letter {
			all = append(all, model.Word{Says: says, Old: true})
		}
	}
	of := func(status string) (model.Status, bool) {
		s, err := model.StatusOf(refund.State(strings.ToLower(status)))
		return s, err == nil && status != ""
	}
	if s, ok := of(heard.status); ok {
		add(s, heard.source == "notification")
	}
	if s, ok := of(c.trusts(no)); ok {
		add(s, true)
	}
	if c.inBill(no) {
		add(model.Processing, true)
	}
	if heard.refused {
		add(model.Refused, false)
	}
	if heard.absent {
		add(model.Quiet, false) // how long ago the last one left is checked by [invariants.released]
	}
	if heard.status == "" && !heard.refused {
		add(model.Unknown, false)
		add(model.Unsent, false)
	}
	return all
}
