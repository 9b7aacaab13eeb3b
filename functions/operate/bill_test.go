package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		"agrees: 30 refunds equal", "by operator alice: the file was of another day", `another amount\u001b[2J`, "the first 2 of 4: the counts above are of all")
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

// day is the sandbox's day in China, so many days from now.
func (w *world) day(days int) string { return string(refund.DayOf(w.Sandbox.Now()).Add(days)) }

// morning is the next one in China: what is refunded then is booked on the same day.
func (w *world) morning() {
	w.t.Helper()
	w.Control("POST", "/_sandbox/clock", `{"to":"09:00"}`, 200)
}

// tomorrow is the next day, after its bills are there.
func (w *world) tomorrow() {
	w.t.Helper()
	w.Advance("1m")
	w.Control("POST", "/_sandbox/clock", `{"to":"00:00"}`, 200)
	w.Control("POST", "/_sandbox/clock", `{"to":"10:30"}`, 200)
}

// byHand refunds on the merchant platform. Nobody is told.
func (w *world) byHand(order, no string, fen int) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":%d}`, order, no, fen), 200)
}

// A day that nobody has read is read when it is asked for; the second time it is shown as it
// is. What was refunded by hand counts on its order from then on.
func TestABillIsReadWhenItIsAskedForAndNotAgain(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	w.morning()
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.byHand("order-2", "by-hand-1", 9000)
	day := w.day(0)
	w.operate("bill", "-date", day).want(codeFinding, "is not over in China")
	w.operate("bill", "-date", "today", "-run").want(codeFinding, "is not over in China")
	w.tomorrow()
	w.operate("show", "by-hand-1").want(codeFinding, "no refund by-hand-1 is on record here")
	first := w.operate("bill", "-date", day, "-json").want(codeDone, "nobody has read the bill of "+day+": it is read now")
	if o := first.object(); o["date"] != day || o["state"] != "agrees" || o["equal"] != 1.0 || o["theirs_only"] != 1.0 || o["ours_only"] != 0.0 || o["differs"] != 0.0 ||
		o["fen"].(map[string]any)["bill"] != 9100.0 || o["fen"].(map[string]any)["ledger"] != 9100.0 || o["by"] != "operator alice" {
		t.Errorf("got %v", o)
	}
	again := w.operate("bill", "-date", day).want(codeDone, "theirs only  1, 90.00 CNY: not made here, and taken over", "by operator alice", "theirs_only", "by-hand-1")
	if strings.Contains(again.stderr, "read now") {
		t.Errorf("read anew: %s", again.stderr)
	}
	w.operate("show", "by-hand-1").want(codeDone, "not made here")
	w.operate(refundArgs("order-2", "refund-2", "-yes", "-amount", "2000")...).want(codeFinding)
	w.operate("bill", "-date", day, "-run").want(codeUsage, "-why is missing: "+day+" has been read")
	w.operate("bill", "-date", day, "-run", "-why", "to see it once more", "-json").want(codeDone)
	w.operate("bill", "-since", "3d").want(codeDone, day+"  agrees", "91.00 CNY")
	w.operate("bill", "-csv", "-since", "3d").want(codeDone, "date,state,currency", day+",agrees,CNY,")
	w.operate("bill", "-csv", "-date", day).want(codeDone, "theirs_only,by-hand-1")
}

// A bill that cannot be had ends with 1, says why, and leaves the ledger as it was; a file
// that was downloaded by hand does what the bill would have done, packed or not.
func TestAFileDoesWhatABillThatCannotBeHadWouldHaveDone(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.morning()
	w.byHand("order-1", "by-hand-1", 9000)
	day := w.day(0)
	w.tomorrow()
	w.Control("POST", "/_sandbox/faults", `{"bill":"no_auth","rate":1}`, 200)
	refused := w.operate("bill", "-date", day).want(codeFinding, "could not be read: WeChat Pay has not given its bill out", "(NO_AUTH)", "give it with -file")
	if strings.Contains(refused.stdout, "0.00") {
		t.Errorf("sums of a bill that nobody has seen:\n%s", refused.stdout)
	}
	w.operate("bill", "-date", "2020-01-01").want(codeFinding, "-date: 2020-01-01 is more than three months ago")
	w.operate("alarms").want(codeDone, "bill/"+day).lacks("2020")
	if o := w.operate("bill", "-date", day, "-json").want(codeFinding).object(); o["state"] != "unavailable" || o["equal"] != 0.0 {
		t.Errorf("got %v", o)
	}
	w.operate("bill", "-since", "2d").want(codeFinding, "1 day does not agree or could not be read: "+day)

	issued := w.Control("GET", "/_sandbox/view/bill.csv?date="+day+"&kind=trade", "", 200).Body
	plain, packed := filepath.Join(t.TempDir(), "bill.csv"), filepath.Join(t.TempDir(), "bill.csv.gz")
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(issued)
	_ = zip.Close()
	for name, content := range map[string][]byte{plain: issued, packed: zipped.Bytes()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.operate("bill", "-date", w.day(-2), "-file", plain).want(codeFinding, "nothing of it was applied").lacks("refund: the bill")
	w.operate("bill", "-date", day, "-file", "/nowhere.csv").want(codeUsage, "-file: there is no file /nowhere.csv")
	w.operate("bill", "-date", day, "-file", packed).want(codeDone, "theirs only  1, 90.00 CNY", "from a file")
	w.operate("bill", "-date", day, "-file", plain).want(codeUsage, "-why is missing")
	w.operate("bill", "-date", day, "-file", plain, "-why", "it was downloaded again").want(codeDone)
	w.operate("show", "by-hand-1").want(codeDone, "processing, not made here")
}

// Before it is issued, nobody is asked for a bill, and nothing is found.
func TestABillIsNotAskedForBeforeItIsIssued(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.Advance("1m")
	w.Control("POST", "/_sandbox/clock", `{"to":"09:30"}`, 200)
	for _, args := range [][]string{{"bill", "-date", w.day(-1)}, {"bill", "-date", w.day(-1), "-run"}} {
		w.operate(args...).want(codeFinding, "the bill of "+w.day(-1)+" is issued today from 10:00 on, China's time: nobody was asked for it")
	}
	w.operate("bill", "-since", "2d").want(codeDone)
	w.Control("POST", "/_sandbox/clock", `{"to":"10:30"}`, 200)
	w.operate("bill", "-date", w.day(-1)).want(codeDone)
}

// A channel without bills says so, and is no disagreement.
func TestAChannelWithoutBillsSaysSo(t *testing.T) {
	w := newWorld(t, "cloudbase", "order-1")
	w.tomorrow()
	w.operate("bill", "-since", "2d").want(codeDone, "The channel cloudbase has no bill that can be fetched")
	w.operate("bill", "-date", "yesterday").lacks("has not given its bill out").want(codeFinding, "download it from the merchant platform, and give it with -file")
	w.operate("bill", "-date", "yesterday", "-run").want(codeFinding, "the channel cloudbase has no bill that can be fetched")
}

// Money that is booked after midnight is in the next day's bill: until then nothing is wrong.
func TestADayThatWaitsForTheNextBillIsNoFinding(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.Control("POST", "/_sandbox/clock", `{"to":"23:30"}`, 200)
	for i := range 20 {
		w.byHand("order-1", fmt.Sprintf("by-hand-%d", i), 100)
	}
	day := w.day(0)
	w.tomorrow()
	w.operate("bill", "-date", day).want(codeDone, day+" waits for the next day's bill", "funds        waiting")
	w.tomorrow()
	w.timer()
	w.operate("bill", "-date", day).want(codeDone, day+" agrees", "20 proved")
}
