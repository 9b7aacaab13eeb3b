package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// reported is a day that does not agree, with something of every kind.
func reported() refund.BillReport {
	return refund.BillReport{
		Date: "2026-11-25", State: refund.BillDiffers, Currency: "CNY", Equal: 31, Differs: 1, OursOnly: 1, TheirsOnly: 2, ToAsk: 2, Silent: 1, Skipped: 3,
		Fen:   refund.BillFen{Bill: 400500, Ledger: 400400, Equal: 310000, Differs: 200, OursOnly: 1500, TheirsOnly: 90300, ToAsk: 90300, Skipped: 4200},
		Funds: &refund.FundsReport{State: refund.BillDiffers, Proved: 32, Missing: 1, ByHand: 2, OutFen: 400300},
		Hash:  "sha1:dcd7ceb3d382a1181798368bb15d8437de46c00f", Rows: 60, ReadAt: time.Date(2026, 11, 26, 2, 3, 0, 0, time.UTC),
		Findings: []refund.BillFinding{
			{What: "differs", OutRefundNo: "=refund-1", RefundID: "50302709992024070991956632208", Order: "order-1", Line: 7, Bill: 200, Ledger: 100, Says: "another amount\x1b[2J"},
			{What: "ours_only", OutRefundNo: "refund-2", Order: "order-2", Ledger: 1500},
		},
		Other:       []refund.BillReport{{Currency: "JPY", Equal: 1, Fen: refund.BillFen{Bill: 7, Ledger: 7, Equal: 7}}},
		Corrections: []refund.BillCorrection{{At: time.Date(2026, 11, 26, 2, 3, 0, 0, time.UTC), Why: "the file was of another day", By: "operator alice", Before: refund.BillReport{State: refund.BillAgrees, Equal: 30}}},
	}
}

// printed is what the program prints of something, on a terminal.
func printed(t *testing.T, do func(*program)) string {
	t.Helper()
	var out strings.Builder
	do(&program{stdout: textOnly{&out}, stderr: &out, file: &out, zone: time.UTC})
	return out.String()
}

// wantTexts insists on texts.
func wantTexts(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("%q is missing in\n%s", text, got)
		}
	}
}

func TestADaysReportNamesAllThatIsNotEqualInMoneyAndNumbers(t *testing.T) {
	r := reported()
	got := printed(t, func(p *program) { p.print(r, func(w io.Writer) { p.dayTable(w, r) }) })
	wantTexts(t, got,
		"2026-11-25 does not agree: look at what is not equal", "4005.00 CNY", "4004.00 CNY", "31, 3100.00 CNY", "1, 2.00 CNY: another amount or order",
		"1, 15.00 CNY: accepted on that day, and not in its bill", "2, 903.00 CNY: not made here, and taken over (subscribers are not told of 1)",
		"2, 903.00 CNY: of all of these, WeChat Pay is asked how they ended", "3, 42.00 CNY: of other sub-merchants", "1, 7 JPY",
		"32 proved, 1 missing", "2 by hand", "4003.00 CNY left", "2026-11-26 02:03:00 +0000 by the timer", "sha1:dcd7", "60 rows",
		"agrees: 30 refunds equal", "by operator alice: the file was of another day", `another amount\u001b[2J`, "the first 2: the counts above are of all")
}

func TestTheListOfDaysHasALineForEach(t *testing.T) {
	l := billList{Channel: "cloudbase", Days: []refund.BillReport{
		{Date: "2026-11-26", State: refund.BillUnread}, reported(), {Date: "2026-11-24", State: refund.BillAgrees},
		{Date: "2026-11-23", State: refund.BillUnavailable, Why: "NO_AUTH: the product is not opened"},
	}}
	got := printed(t, func(p *program) { p.print(l, func(w io.Writer) { p.daysTable(w, l) }) })
	wantTexts(t, got, "The channel cloudbase has no bill that can be fetched", "2026-11-26  unread", "4005.00 CNY", "7 JPY", "funds: differs; read anew once",
		"2026-11-24  agrees, empty", "NO_AUTH: the product is not opened")
	if n := strings.Count(got, "\n"); n != 7 {
		t.Errorf("%d lines, want 7:\n%s", n, got)
	}
}

// The names are those that other programs rely on.
func TestADaysReportAsJSON(t *testing.T) {
	r := reported()
	got := printed(t, func(p *program) { p.json = true; p.print(r, nil) })
	var o struct {
		Date, State    string
		Equal, Differs int64
		Ours           int64 `json:"ours_only"`
		Theirs         int64 `json:"theirs_only"`
		ToAsk          int64 `json:"to_ask"`
		Fen            struct{ Bill, Ledger int64 }
	}
	if err := json.Unmarshal([]byte(got), &o); err != nil {
		t.Fatal(err)
	}
	if o.Date != "2026-11-25" || o.State != "differs" || o.Equal != 31 || o.Differs != 1 || o.Ours != 1 || o.Theirs != 2 || o.ToAsk != 2 || o.Fen.Bill != 400500 || o.Fen.Ledger != 400400 {
		t.Errorf("got %+v of\n%s", o, got)
	}
}

// A spreadsheet takes numbers for text, and text for no formula.
func TestBillsAsCSV(t *testing.T) {
	for _, c := range []struct {
		print func(*program) error
		rows  int
		texts []string
	}{
		{func(p *program) error { return p.daysCSV([]refund.BillReport{reported()}) }, 3, []string{"2026-11-25", "4005.00", "JPY", "sha1:"}},
		{func(p *program) error { return p.findingsCSV(reported()) }, 3, []string{"'=refund-1", "\t50302709992024070991956632208", "2.00", `\u001b`}},
	} {
		got := printed(t, func(p *program) {
			if err := c.print(p); err != nil {
				t.Error(err)
			}
		})
		wantTexts(t, got, append(c.texts, bom)...)
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(got, bom))).ReadAll()
		if err != nil || len(rows) != c.rows {
			t.Errorf("%d rows, %v; want %d of one width:\n%s", len(rows), err, c.rows, got)
		}
	}
}

func TestWrongUseOfBill(t *testing.T) {
	for args, want := range map[string]string{
		"bill -run":                          "-date is missing",
		"bill -file x":                       "-date is missing",
		"bill -why x":                        "-date is missing",
		"bill -date 2026-11-25 -since 3d":    "-date is one day, -since is where a list begins",
		"bill -date 2026-11-25 -run -file x": "-run reads from WeChat Pay, -file from a file",
		"bill -date 2026-11-25 -why x":       "-why goes with -run or -file",
		"bill -csv -json":                    "-csv and -json are two forms",
		"bill -date 25.11.2026":              "it must be a day of China's calendar",
		"bill -date 2026-02-30":              "it must be a day of China's calendar",
		"bill -since 0h":                     "no day has ended since",
		"bill -since 2024-01-01":             "at most 366 days are listed",
		"bill -since never":                  "-since is \"never\"",
		"bill 2026-11-25":                    "unexpected argument",
	} {
		runBare(t, strings.Fields(args)...).want(codeUsage, want)
	}
}
