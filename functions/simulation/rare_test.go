package simulation_test

import (
	"fmt"
	"strings"
	"testing"
)

// A rarity is a situation that has cost somebody money and that luck alone seldom brings
// about. A run that does not reach it often enough has not tried it.
type rarity struct {
	name  string
	least int64 // in a hundred histories on each of the five channels
}

func rarities() []rarity {
	return []rarity{
		{"a refusal, while another submission is open", 3},
		{"a notification, while the reply is awaited", 1},
		{"abnormal, finished by hand, and heard of by query", 1},
		{"abnormal, finished by hand, and heard of by notification", 1},
		{"the number is taken by another refund", 3},
		{"claimed again, after a refusal", 3},
		{"given up, as nothing ever arrived", 3},
		{"submitted again, with an earlier one open", 10},
		{"a commit is made, and its answer lost", 3},
		{"a request arrives when its sender has given up", 10},
		{"the instance dies between the call and the record of its answer", 5},
		{"a notification is acknowledged that says what is over", 3},
		{"made by hand, and never claimed here", 3},
		{"the balance is too low, and it waits", 3},
	}
}

const rare = "rare: "

// rarely counts the situations that a commit shows.
func (v *invariants) rarely(c *call, no string, before, next refundRow) {
	heard, notified := c.told(no), strings.HasPrefix(c.name, "notification ")
	v.mu.Lock()
	awaited := v.of(no).sending > 0
	v.mu.Unlock()
	for name, is := range map[string]bool{
		"a refusal, while another submission is open":              before.State == "claimed" && next.State == "claimed" && heard.refused && len(next.Open) > 0 && len(next.Open) < len(before.Open),
		"a notification, while the reply is awaited":               next.State != before.State && notified && awaited,
		"abnormal, finished by hand, and heard of by query":        before.State == "abnormal" && next.final() && !notified && heard.source == "ask",
		"abnormal, finished by hand, and heard of by notification": before.State == "abnormal" && next.final() && notified,
		"the number is taken by another refund":                    next.Taken && !before.Taken,
		"claimed again, after a refusal":                           before.State == "rejected" && next.State == "claimed",
		"given up, as nothing ever arrived":                        next.Released && !before.Released,
		"submitted again, with an earlier one open":                next.Attempt > before.Attempt && len(before.Open) > 0,
		"made by hand, and never claimed here":                     next.Foreign && before.State == "",
		"the balance is too low, and it waits":                     next.Funds != nil && before.Funds == nil,
	} {
		if is {
			v.w.count(rare+name, 1)
		}
	}
}

// seldom prints how often each situation occurred, and fails if one did too seldom.
func seldom(t *testing.T, all figures, channels int) {
	t.Helper()
	hundreds := all["histories"] / int64(100*channels)
	var table strings.Builder
	for _, r := range rarities() {
		n := all[rare+r.name]
		fmt.Fprintf(&table, "%8d %s\n", n, r.name)
		if least := max(1, hundreds*r.least); n < least && all["histories"] >= 200 {
			t.Errorf("%q: %d times in %d histories, want %d at least", r.name, n, all["histories"], least)
		}
	}
	t.Logf("%d histories, %d commits that are steps of the model; how often the rare situations occurred:\n%s", all["histories"], all["steps of the model"], &table)
}
