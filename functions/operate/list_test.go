package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// numbers are those of the refunds that list prints.
func (r result) numbers() (all []string) {
	r.t.Helper()
	r.want(codeDone)
	for _, each := range r.object()["refunds"].([]any) {
		all = append(all, each.(map[string]any)["out_refund_no"].(string))
	}
	return all
}

// shop is a world with refunds in several states, the newest first: open, in doubt;
// closed; two that have arrived; one that was refused.
func shop(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "apiv3", "order-1", "order-2", "order-3")
	w.operate("refund", "-out-refund-no", "refused", "-out-trade-no", "order-9", "-amount", "100", "-total", "10000", "-yes").want(codeFinding)
	w.Advance("1h")
	w.operate(refundArgs("order-1", "arrived-1", "-yes")...).want(codeDone)
	w.Advance("1h")
	w.operate("refund", "-out-refund-no", "arrived-2", "-out-trade-no", "order-1", "-amount", "250", "-total", "10000", "-yes").want(codeDone)
	w.Advance("1h")
	w.operate(refundArgs("order-2", "shut", "-yes")...).want(codeDone)
	for no, status := range map[string]string{"arrived-1": "SUCCESS", "arrived-2": "SUCCESS", "shut": "CLOSED"} {
		w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"`+status+`"}`, 200)
		w.operate("query", no).want(codeDone)
	}
	w.Advance("1h")
	w.operate("reconcile").want(codeDone) // which has the index complete, too
	w.stuck("order-3", "open")
	w.Advance("1m") // nobody waits for its answer any more
	return w
}

// Each flag of list narrows it, several narrow it further, and the total says how many
// pass in all.
func TestListFindsWhatItsFlagsSay(t *testing.T) {
	w := shop(t)
	zone := w.Sandbox.Now().UTC()
	at := func(d time.Duration) string { return zone.Add(d).Format(time.RFC3339) }
	for args, want := range map[string]string{
		"":                              "open shut arrived-2 arrived-1 refused",
		"-limit 0":                      "open shut arrived-2 arrived-1 refused",
		"-state success":                "arrived-2 arrived-1",
		"-state SUCCESS,closed":         "shut arrived-2 arrived-1",
		"-state rejected":               "refused",
		"-order order-1":                "arrived-2 arrived-1",
		"-order order":                  "",
		"-in-doubt":                     "open",
		"-since 90m":                    "open shut",
		"-since 1d":                     "open shut arrived-2 arrived-1 refused",
		"-until 90m":                    "arrived-2 arrived-1 refused",
		"-since 150m -until 90m":        "arrived-2",
		"-since " + at(-90*time.Minute): "open shut",
		"-until 2020-01-01":             "",
		"-since 2020-01-01T10:00":       "open shut arrived-2 arrived-1 refused",
		"-amount 250":                   "arrived-2",
		"-min 101":                      "arrived-2",
		"-max 100":                      "open shut arrived-1 refused",
		"-min 101 -max 249":             "",
		"-find rrive":                   "arrived-2 arrived-1",
		"-find order-3":                 "open",
		"-find arrived-1":               "arrived-1",
		"-state success -amount 100":    "arrived-1",
		"-undelivered -state success":   "arrived-2 arrived-1", // code of the merchant's own, if the functions have any
		"-attention":                    "shut",                // closed: the payer has not got the money
		"-attention -state claimed":     "",
	} {
		got := w.operate(append([]string{"list", "-json"}, strings.Fields(args)...)...)
		found := got.numbers()
		if strings.Contains(args, "undelivered") { // which have an order of their own
			slices.SortFunc(found, func(a, b string) int { return strings.Compare(b, a) })
		}
		if numbers := strings.Join(found, " "); numbers != want {
			t.Errorf("list %s: got %s, want %s", args, numbers, want)
		}
		if n := int(got.object()["total"].(float64)); n != len(strings.Fields(want)) {
			t.Errorf("list %s: total %d, want %d", args, n, len(strings.Fields(want)))
		}
	}
}

// A list goes on where the one before ended, and counts all in either.
func TestListGoesOn(t *testing.T) {
	w := shop(t)
	var all []string
	cursor := ""
	for range 9 {
		args := []string{"list", "-json", "-limit", "2"}
		if cursor != "" {
			args = append(args, "-cursor", cursor)
		}
		got := w.operate(args...)
		if n := len(got.numbers()); n > 2 {
			t.Errorf("a page of %d", n)
		}
		if total := got.object()["total"]; total != 5.0 {
			t.Errorf("total %v, want 5", total)
		}
		all = append(all, got.numbers()...)
		next, more := got.object()["next"].(string)
		if cursor = next; !more {
			break
		}
	}
	if want := []string{"open", "shut", "arrived-2", "arrived-1", "refused"}; !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
	w.operate("list", "-limit", "2").want(codeDone, "2 of 5\n", "more: -cursor ")
	w.operate("list", "-limit", "2", "-cursor", "nowhere").want(codeUsage, "the cursor is none")
}

// The shape is the contract's: programs read it.
func TestListAsJSON(t *testing.T) {
	w := shop(t)
	o := w.operate("list", "-in-doubt", "-json").want(codeDone).object()
	r := o["refunds"].([]any)[0].(map[string]any)
	amount := r["amount"].(map[string]any)
	since, err := time.Parse(time.RFC3339, r["since"].(string))
	if o["total"] != 1.0 || r["out_refund_no"] != "open" || r["state"] != "claimed" || r["out_trade_no"] != "order-3" || r["in_doubt"] != true ||
		amount["refund"] != 100.0 || amount["total"] != 10000.0 || amount["currency"] != "CNY" || err != nil || w.Sandbox.Now().Sub(since) > time.Hour {
		t.Errorf("got %v, %v", o, err)
	}
	if o := w.operate("list", "-order", "none", "-json").want(codeDone).object(); o["total"] != 0.0 || len(o["refunds"].([]any)) != 0 {
		t.Errorf("nothing: got %v, want a total of 0 and an empty list", o)
	}
}

// Amounts and ages in the table are as people read them.
func TestListAsTable(t *testing.T) {
	w := shop(t)
	got := w.operate("list").want(codeDone).stdout
	want := strings.TrimLeft(`
OUT_REFUND_NO  STATE     AMOUNT    ORDER    CLAIMED   NOTE
open           claimed   1.00 CNY  order-3  1m ago    in doubt
shut           closed    1.00 CNY  order-2  1h1m ago  1 undelivered, refund_closed
arrived-2      success   2.50 CNY  order-1  2h1m ago  1 undelivered
arrived-1      success   1.00 CNY  order-1  3h1m ago  1 undelivered
refused        rejected  1.00 CNY  order-9  4h1m ago  
5 of 5
`, "\n")
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The export has every refund that passes, who did what in full, and nothing that a
// spreadsheet would take for a formula.
func TestListAsCSV(t *testing.T) {
	w := shop(t)
	w.operate("refund", "-out-refund-no", "formula", "-out-trade-no", "order-3", "-amount", "5", "-total", "10000", "-reason", "=1+1", "-yes").want(codeDone)
	got := w.operate("list", "-csv").want(codeDone)
	if !strings.HasPrefix(got.stdout, "\xef\xbb\xbf") || strings.Count(got.stdout, "\r\n") != 7 {
		t.Errorf("no mark of UTF-8, or other line ends than spreadsheets want: %q", got.stdout)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(got.stdout, "\xef\xbb\xbf"))).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Fatalf("%d rows, %v, want a head and 6", len(rows), err)
	}
	cell := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	for _, c := range []struct{ name, got, want string }{
		{"number", cell(1, "out_refund_no"), "formula"},
		{"reason", cell(1, "reason"), "'=1+1"},
		{"amount", cell(1, "refund"), "0.05"},
		{"total", cell(1, "total"), "100.00"},
		{"state", cell(4, "state"), "success"},
		{"in doubt", cell(2, "in_doubt"), "true"},
		{"who claimed", cell(1, "claimed_by"), "operator alice"},
		{"transaction_id", cell(4, "transaction_id")[:3], "\t42"},
		{"refused", cell(6, "refusal"), "RESOURCE_NOT_EXISTS: "},
	} {
		if !strings.HasPrefix(c.got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
	if acts := cell(1, "who_did_what"); strings.Count(acts, " by operator alice") != 2 {
		t.Errorf("who did what: got %q, want that alice claimed and sent it", acts)
	}
	if some := w.operate("list", "-csv", "-state", "closed").want(codeDone).stdout; strings.Count(some, "\r\n") != 2 {
		t.Errorf("with a filter: got %q", some)
	}
	if got := w.operate("list", "-json").stdout; strings.Contains(got, "alice") {
		t.Errorf("a list gives away who did it: %s", got)
	}
}

func TestListRefusesWhatNothingCanBe(t *testing.T) {
	w := newWorld(t, "apiv3")
	for args, want := range map[string]string{
		"-csv -json":                          "-csv and -json are two forms",
		"-csv -cursor x":                      "takes no -cursor",
		"-amount 5 -min 3":                    "-amount is one amount",
		"-limit -1":                           "-limit: must be a whole number, at least 0",
		"-limit 0x10":                         "-limit: must be a whole number, at least 0",
		"-amount 0":                           "-amount must be at least 1",
		"-amount -5":                          "-amount must be at least 1",
		"-amount -5 -max 0":                   "-amount must be at least 1",
		"-min 0":                              "-min must be at least 1",
		"-min -5":                             "-min must be at least 1",
		"-max 0":                              "-max must be at least 1",
		"-max -5 -csv":                        "-max must be at least 1",
		"-since=":                             "-since is empty",
		"-until=":                             "-until is empty",
		"-order= -state claimed":              "-order is empty",
		"-state done":                         `there is no state "done"`,
		"-since yesterday":                    `-since is "yesterday": it must be a date`,
		"-until 2026-13-01":                   `-until is "2026-13-01"`,
		"-since -5h":                          "it must be a date",
		"-min 5 -max 4":                       "-min must not be above -max",
		"-since 2026-02-02 -until 2026-02-01": "-since must be before -until",
		"-amount 1.50":                        "invalid value",
	} {
		w.operate(append([]string{"list"}, strings.Fields(args)...)...).want(codeUsage, want)
	}
	w.operate("list").want(codeDone, "0 of 0\n")
}

// A number or a day that cannot be meant is refused by the name of its flag, by every command
// that takes one, and is read in ten.
func TestFlagsThatCannotBeMeantAreNamed(t *testing.T) {
	w := shop(t)
	for args, want := range map[string]string{
		"applications -limit 0":                  "-limit must be between 1 and 50",
		"applications -limit -1":                 "-limit: must be a whole number, at least 0",
		"applications -offset -1":                "-offset: must be a whole number, at least 0",
		"applications -state=":                   "-state is empty",
		"query -out-trade-no order-1 -offset -1": "-offset: must be a whole number, at least 0",
		"query arrived-1 -offset 1":              "-offset goes with -out-trade-no or -transaction-id",
		"bill -date=":                            "-date is empty",
		"bill -since=":                           "-since is empty",
		"forget -before=":                        "-before is empty",
		"rebuild -since=":                        "-since is empty",
	} {
		w.operate(strings.Fields(args)...).want(codeUsage, want)
	}
	w.operate("list", "-limit", "08").want(codeDone, "5 of 5\n")
	w.operate("list", "-limit", "02").want(codeDone, "2 of 5\n")
}

// A cursor is printed where something stands behind it, and nowhere else: so also of what a
// filter leaves of the rest, on any page.
func TestNoCursorLeadsToAnEmptyPage(t *testing.T) {
	w := shop(t)
	for _, args := range []string{
		"", "-find order-3", "-find arrived", "-find arrived-1", "-amount 250", "-max 100", "-order order-1", "-in-doubt", "-state success", "-attention", "-undelivered",
	} {
		cursor, left := "", -1
		for left != 0 {
			line := append([]string{"list", "-limit", "1", "-json"}, strings.Fields(args)...)
			if cursor != "" {
				line = append(line, "-cursor", cursor)
			}
			o := w.operate(line...).want(codeDone).object()
			if n := len(o["refunds"].([]any)); n != 1 {
				t.Fatalf("list %s: a page of %d refunds", args, n)
			}
			if left < 0 {
				left = int(o["total"].(float64))
			}
			left--
			if cursor, _ = o["next"].(string); (cursor != "") != (left > 0) {
				t.Fatalf("list %s: %d are left, and the cursor is %q", args, left, cursor)
			}
		}
	}
	w.operate("list", "-find", "arrived-1", "-limit", "1").want(codeDone, "1 of 1\n").lacks("more:")
}

// A time is read as people write it, in their own zone.
func TestMoment(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	now := time.Date(2026, 11, 26, 20, 0, 0, 0, zone)
	p := &program{zone: zone, now: func() time.Time { return now }}
	for text, want := range map[string]string{
		"2026-11-26": "2026-11-25T16:00:00Z", "2026-11-26T15:04": "2026-11-26T07:04:00Z", "2026-11-26 15:04:05": "2026-11-26T07:04:05Z",
		"2026-11-26T15:04:05Z": "2026-11-26T15:04:05Z", "2026-11-26T15:04:05+09:00": "2026-11-26T06:04:05Z",
		"90m": "2026-11-26T10:30:00Z", "24h": "2026-11-25T12:00:00Z", "7d": "2026-11-19T12:00:00Z", "0d": "2026-11-26T12:00:00Z",
	} {
		got, err := p.moment("-since", text)
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v, want %s", text, got.UTC(), err, want)
		}
	}
	for _, text := range []string{"7", "-7d", "7.5d", "999999999999d", "26.11.2026", "2026-11-26T25:00", " "} {
		if got, err := p.moment("-since", text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestAgesAndAmounts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m1s", time.Hour: "1h",
		90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 49*time.Hour + 59*time.Minute: "2d1h", 400 * 24 * time.Hour: "400d", -90 * time.Second: "-1m30s",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	for _, c := range []struct {
		minor    int64
		currency string
		want     string
	}{
		{60, "CNY", "0.60 CNY"}, {0, "CNY", "0.00 CNY"}, {100, "JPY", "100 JPY"}, {1234567, "KWD", "1234.567 KWD"},
		{9007199254740991, "CNY", "90071992547409.91 CNY"}, {5, "", "0.05"},
	} {
		if got := money(c.minor, c.currency); got != c.want {
			t.Errorf("%d %s: got %s, want %s", c.minor, c.currency, got, c.want)
		}
	}
}

// More pages than one are asked for, and none beyond what is wanted.
func TestListOfMany(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	for i := range 12 {
		order := fmt.Sprintf("order-%d", 1+i%2)
		w.operate("refund", "-out-refund-no", fmt.Sprintf("r-%02d", i), "-out-trade-no", order, "-amount", "1", "-total", "10000", "-yes").want(codeDone)
	}
	var p program
	p.root, p.getenv, p.now = t.Context(), w.getenv, w.Sandbox.Now
	defer p.close()
	refunds, err := p.refunds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 11, 12, 13, 0} {
		n := 0
		next, _, err := eachRefund(t.Context(), refunds, refund.Filter{}, "", limit, func(refund.Inspection) error { n++; return nil })
		want := limit
		if limit == 0 || limit > 12 {
			want = 12
		}
		if err != nil || n != want || (next != "") != (want < 12) {
			t.Errorf("limit %d: got %d, next %q, %v, want %d", limit, n, next, err, want)
		}
	}
}

// A new ledger lacks nothing, though the timer has never run.
func TestNewLedgerIsListedWhole(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	for range 2 {
		if got := w.operate("list", "-csv").want(codeDone); got.stderr != "" {
			t.Errorf("of a new ledger: %s", got.stderr)
		}
		if got := w.operate("list").want(codeDone); strings.Contains(got.stdout, "may be missing") {
			t.Errorf("of a new ledger: %s", got.stdout)
		}
		w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	}
	w.operate("list", "-state", "claim").want(codeUsage, `there is no state "claim"; there are claimed, processing`)
}

// Whatever zone WeChat Pay writes in, the export is in UTC.
func TestTimesOfTheExportAreInUTC(t *testing.T) {
	for said, want := range map[string]string{
		"2026-11-26T06:04:05+08:00": "2026-11-25T22:04:05Z", "2026-11-26T06:04:05Z": "2026-11-26T06:04:05Z", "": "", "soon": "soon",
	} {
		if got := utc(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}
