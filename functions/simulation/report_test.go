package simulation_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A figure is a line of the report.
type figure struct {
	threat, what string
	trials       string
	ours         string
	theirs       []string // of each of [rules]
}

// sections measure what the report shows. A new figure is a new line in one of
// them, or a section of its own.
func sections() []func(*testing.T) []figure {
	return []func(*testing.T) []figure{histories, channels, withoutNotifications, bills, contestFigures, deliveryFigures}
}

// The figures, ours beside those of the rules of others. They are seen with -v alone, and without
// it nothing is measured: what they show is tested by the other tests.
func TestReport(t *testing.T) {
	if !testing.Verbose() {
		return
	}
	var table strings.Builder
	begun := time.Now()
	for _, section := range sections() {
		for _, f := range section(t) {
			fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", f.threat, f.what, f.trials, f.ours, strings.Join(f.columns(), " | "))
		}
	}
	var named strings.Builder
	head, line := "", ""
	for i, r := range rules() {
		fmt.Fprintf(&named, "(%c) %s: %s\n", 'a'+i, r.name, r.source)
		head, line = head+fmt.Sprintf(" (%c) |", 'a'+i), line+"---|"
	}
	t.Logf("in %v on %d processors\n\n| threat | figure | trials | ours |%s\n|---|---|---|---|%s\n%s\n%s", time.Since(begun).Round(time.Second), runtime.GOMAXPROCS(0), head, line, &table, &named)
}

// columns are what stands under the rules of others, "" where nothing does.
func (f figure) columns() []string {
	return append(slices.Clone(f.theirs), make([]string, len(rules())-len(f.theirs))...)
}

func histories(t *testing.T) []figure {
	us, them, took := trial{histories: size(flags.histories, 400, 20, 40), atMost: patience(15 * time.Second), draw: draw, all: true}.run(t)
	line := func(threat, what, name, of, unit string) figure {
		f := figure{threat, what, fmt.Sprintf("%d %s", us[of], unit), fmt.Sprint(us[name]), nil}
		for _, r := range rules() {
			f.theirs = append(f.theirs, fmt.Sprint(them[r.name][name]))
		}
		return f
	}
	lines := []figure{
		line("all", "phantom fen", "phantom fen", "histories", "histories"),
		line("all", "histories with phantom fen", "histories with phantom fen", "histories", "histories"),
		line("I3", "refunds of which the ledger is wrong", "refunds with wrong books", "refunds", "refunds"),
		line("A8", "fen refunded twice for one wish", "fen refunded twice", "wishes", "wishes"),
		line("A4", "replies that are wrong about the money", "replies that are wrong", "wishes", "wishes"),
		line("C10", "effects told more than once", "effects more than once", "notifications answered", "notifications"),
		line("C1", "forged, altered or stale notifications believed", "forged notifications believed", "forged notifications", "notifications"),
		line("D3", "events owed to subscribers and never told", "deliveries lost", "deliveries owed", "events"),
		line("C21", "events taken again, since the answer was lost", "deliveries repeated after a lost answer", "deliveries", "deliveries"),
		line("", "crashes survived", "crashes", "calls", "calls"),
	}
	for i, f := range lines {
		if f.threat == "D3" || f.threat == "C21" { // theirs have no subscribers
			lines[i].theirs = nil
		}
	}
	t.Logf("%.0f of our simulated hours a second", us.hours()/took.Seconds())
	return lines
}

// channels runs histories on the four channels beside APIv3.
func channels(t *testing.T) []figure {
	all := figures{}
	for _, name := range others() {
		us, _, _ := trial{histories: size(flags.histories, 100, 5, 5), atMost: patience(3 * time.Second), draw: drawOn(name)}.run(t)
		all.add(us)
	}
	return []figure{{"all", "phantom fen over the four other systems", fmt.Sprintf("%d histories", all["histories"]), fmt.Sprint(all["phantom fen"]), nil}}
}

// C20: the books are right in the end although every notification is lost.
func TestBooksAreRightWithoutNotifications(t *testing.T) { withoutNotifications(t) }

// withoutNotifications drops every notification for ever.
func withoutNotifications(t *testing.T) []figure {
	us, them, _ := trial{
		histories: size(flags.histories, 100, 10, 20), atMost: patience(5 * time.Second), all: true,
		draw: func(seed uint64) *history {
			h := draw(seed)
			h.NoNotifications = true
			return h
		},
	}.run(t)
	const wrong = "histories with wrong books"
	var theirs []string
	for _, r := range rules() {
		theirs = append(theirs, fmt.Sprint(them[r.name][wrong]))
	}
	if first := them[rules()[0].name][wrong]; us[wrong] != 0 || first == 0 {
		t.Errorf("without any notification the books are wrong in %d histories, of %q in %d; want none, and some", us[wrong], rules()[0].name, first)
	}
	return []figure{{
		"C20", "histories with lost updates, every notification dropped", fmt.Sprintf("%d histories", us["histories"]),
		fmt.Sprint(us[wrong]), theirs,
	}}
}

// bills lives through the same histories without bills and with them. It is our side both
// times, so these figures have a table of their own.
func bills(t *testing.T) []figure {
	without, with := figures{}, figures{}
	for _, name := range append([]string{apiv3}, others()...) {
		for _, read := range []bool{false, true} {
			draw := func(seed uint64) *history {
				h := withBills(name, true)(seed)
				h.Keyless = false
				if !read {
					h.Bills = billsOff
				}
				return h
			}
			us, _, _ := trial{histories: size(flags.histories, 60, 5, 5), draw: draw}.run(t)
			if read {
				with.add(us)
			} else {
				without.add(us)
			}
		}
	}
	if without["refunds by hand never known"] == 0 || with["refunds by hand never known"] > 0 {
		t.Errorf("%d refunds by hand are never known without bills, %d with them; want some, and none", without["refunds by hand never known"], with["refunds by hand never known"])
	}
	line := func(what, name, trials string) string {
		return fmt.Sprintf("| %s | %s | %d | %d |\n", what, trials, without[name], with[name])
	}
	trials := fmt.Sprintf("%d histories", with["histories"])
	refunds := fmt.Sprintf("%d refunds", with["refunds"])
	t.Logf("\n\n| figure | trials | without bills | with them |\n|---|---|---|---|\n%s%s%s%s%s%s%s",
		line("refunds by hand that the ledger never knows", "refunds by hand never known", refunds),
		line("phantom fen of these", "fen by hand never known", refunds),
		line("histories with any", "histories with refunds never known", trials),
		line("claims beyond what a refund by hand has left", "claims beyond the order", trials),
		line("phantom fen otherwise", "phantom fen", trials),
		line("bills read to their end", "bills read", trials),
		line("readings that had no bill, or were cut off", "bills not read to their end", trials))
	return nil
}

func contestFigures(t *testing.T) []figure {
	n := size(flags.races, 500, 100, 100)
	us, them := holdContests(t, n)
	return []figure{
		{"A7", "over-refunds per 10,000 races", fmt.Sprintf("%d races", n), per(us.over, n), []string{per(them.over, n)}},
		{"A6", "one number submitted more than once, per 10,000 races", fmt.Sprintf("%d races", n), per(us.twice, n), []string{per(them.twice, n)}},
	}
}

func deliveryFigures(t *testing.T) []figure {
	n := size(flags.races, 300, 50, 50)
	us, them := doubles(t, n)
	return []figure{{"C11", "duplicate effects per 10,000 double deliveries", fmt.Sprintf("%d notifications", n), per(us, n), []string{per(them, n)}}}
}

func per(count, of int) string { return fmt.Sprintf("%.0f", float64(count)*10_000/float64(of)) }
