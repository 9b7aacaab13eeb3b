package simulation_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// A figure is a line of the report.
type figure struct {
	threat, what string
	trials       string
	ours, naive  string
}

// sections measure what the report shows. A new figure is a new line in one of
// them, or a section of its own.
func sections() []func(*testing.T) []figure {
	return []func(*testing.T) []figure{histories, channels, withoutNotifications, contestFigures, deliveryFigures}
}

// The figures, ours beside the naive handler's. They are seen with -v alone, and without
// it nothing is measured: what they show is tested by the other tests.
func TestReport(t *testing.T) {
	if !testing.Verbose() {
		return
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "threat\tfigure\ttrials\tours\tnaive")
	begun := time.Now()
	for _, section := range sections() {
		for _, f := range section(t) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.threat, f.what, f.trials, f.ours, f.naive)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("in %v on %d processors\n\n%s", time.Since(begun).Round(time.Second), runtime.GOMAXPROCS(0), &text)
}

func histories(t *testing.T) []figure {
	us, them, took := trial{histories: size(flags.histories, 400, 20, 40), atMost: patience(15 * time.Second), draw: draw, naive: 1}.run(t)
	if us["phantom fen"] != 0 || them["phantom fen"] == 0 {
		t.Errorf("phantom fen: %d, naive %d; want none, and some", us["phantom fen"], them["phantom fen"])
	}
	line := func(threat, what, name, of, unit string) figure {
		return figure{threat, what, fmt.Sprintf("%d %s", us[of], unit), fmt.Sprint(us[name]), fmt.Sprint(them[name])}
	}
	return []figure{
		line("all", "phantom fen", "phantom fen", "histories", "histories"),
		line("all", "histories with phantom fen", "histories with phantom fen", "histories", "histories"),
		line("I3", "refunds of which the books are wrong", "refunds with wrong books", "refunds", "refunds"),
		line("A8", "fen refunded twice for one wish", "fen refunded twice", "wishes", "wishes"),
		line("A4", "replies that are wrong about the money", "replies that are wrong", "wishes", "wishes"),
		line("C10", "effects on the business more than once", "effects more than once", "notifications answered", "notifications"),
		line("C19", "notifications answered after more than 5 s", "notifications answered late", "notifications answered", "notifications"),
		line("C1", "forged, altered or stale notifications believed", "forged notifications believed", "forged notifications", "notifications"),
		// The naive handler has no subscribers.
		{"D3", "deliveries owed to subscribers and never made", fmt.Sprintf("%d deliveries", us["deliveries owed"]), fmt.Sprint(us["deliveries lost"]), "-"},
		{"C21", "events taken again, since the answer was lost", fmt.Sprintf("%d deliveries", us["deliveries"]), fmt.Sprint(us["deliveries repeated after a lost answer"]), "-"},
		line("A16", "claims that nobody can answer, each with an alarm", "stuck claims", "histories", "histories"),
		line("", "crashes survived", "crashes", "calls", "calls"),
		{"", "simulated hours a second", fmt.Sprintf("%.0f hours", us.hours()+them.hours()), fmt.Sprintf("%.0f", (us.hours()+them.hours())/took.Seconds()), ""},
	}
}

// channels runs histories on the four channels beside APIv3.
func channels(t *testing.T) (lines []figure) {
	for _, name := range others() {
		us, _, _ := trial{histories: size(flags.histories, 100, 5, 5), atMost: patience(3 * time.Second), draw: drawOn(name)}.run(t)
		if us["phantom fen"] != 0 {
			t.Errorf("%s: %d phantom fen, want none", name, us["phantom fen"])
		}
		lines = append(lines,
			figure{"all", "phantom fen over " + name, fmt.Sprintf("%d histories", us["histories"]), fmt.Sprint(us["phantom fen"]), "-"},
			figure{"A16", "claims over " + name + " that nobody can answer, each with an alarm", fmt.Sprintf("%d histories", us["histories"]), fmt.Sprint(us["stuck claims"]), "-"},
		)
	}
	return lines
}

// C20: the books are right in the end although every notification is lost.
func TestBooksAreRightWithoutNotifications(t *testing.T) { withoutNotifications(t) }

// withoutNotifications drops every notification for ever.
func withoutNotifications(t *testing.T) []figure {
	us, them, _ := trial{
		histories: size(flags.histories, 100, 10, 20), atMost: patience(5 * time.Second), naive: 1,
		draw: func(seed uint64) *history {
			h := draw(seed)
			h.NoNotifications = true
			return h
		},
	}.run(t)
	const wrong = "histories with wrong books"
	if us[wrong] != 0 || them[wrong] == 0 {
		t.Errorf("without any notification the books are wrong in %d histories, naive %d; want none, and some", us[wrong], them[wrong])
	}
	return []figure{{
		"C20", "histories with lost updates, all notifications dropped", fmt.Sprintf("%d histories", us["histories"]),
		fmt.Sprint(us[wrong]), fmt.Sprint(them[wrong]),
	}}
}

func contestFigures(t *testing.T) []figure {
	n := size(flags.races, 500, 100, 100)
	us, them := raceOurs(t, n), raceNaive(n)
	return []figure{
		{"A7", "over-refunds per 10,000 races", fmt.Sprintf("%d races", n), per(us.over, n), per(them.over, n)},
		{"A6", "one number submitted more than once, per 10,000 races", fmt.Sprintf("%d races", n), per(us.twice, n), per(them.twice, n)},
	}
}

func deliveryFigures(t *testing.T) []figure {
	n := size(flags.races, 300, 50, 50)
	us, them := doubles(t, n)
	if us != 0 {
		t.Errorf("%d duplicate effects", us)
	}
	return []figure{{"C11", "duplicate effects per 10,000 double deliveries", fmt.Sprintf("%d notifications", n), per(us, n), per(them, n)}}
}

func per(count, of int) string { return fmt.Sprintf("%.0f", float64(count)*10_000/float64(of)) }
