package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// A ledger is copied and verified, and stays in use; closed, it is refused by every
// command that would use it, and the copy goes on in its place.
func TestLedgerMovesToAnotherDatabase(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	target := "sqlite:" + filepath.Join(t.TempDir(), "secret-target.db")
	w.settings["NEW_URL"] = target

	got := w.operate("copy", "-to", "env:NEW_URL", "-json").want(codeDone).object()
	from, to := got["from"].(map[string]any), got["to"].(map[string]any)
	if got["equal"] != true || got["moved"] != false || from["checksum"] != to["checksum"] || from["items"].(float64) < 4 || from["kind"] != "sqlite" {
		t.Errorf("got %v", got)
	}
	w.operate(refundArgs("order-2", "refund-2", "-yes")...).want(codeDone) // it is still in use

	w.operate("copy", "-to", target, "-close").want(codeFinding, "nothing was done", "needs -yes")
	source := w.settings["LEDGER_URL"]
	w.moved(source, target) // the minute and a half is not what this test is about
	w.operate("copy", "-to", target, "-close", "-yes").want(codeDone, "has moved there already")

	for _, args := range [][]string{
		refundArgs("order-2", "refund-3", "-yes"), {"reconcile"}, {"query", "refund-1"}, {"list"}, {"show", "refund-1"}, {"cancel", "refund-1", "-yes"},
		{"release", "refund-1", "-yes"}, {"redeliver", "refund-1", "-yes"}, {"applications"}, {"forget", "-before", "1d", "-yes"}, {"bill"}, {"rebuild", "-yes"},
	} {
		// A sentence says it, and nothing besides does that is for programs.
		got := w.operate(args...).want(codeFinding, "was moved to another database").lacks("refund: the ledger")
		if lines := strings.Count(got.stderr, "\n"); lines != 1 {
			t.Errorf("%q: %d lines: %s", args, lines, got.stderr)
		}
	}
	w.operate("verify").want(codeDone, "Nothing is wrong.") // it can be looked at
	w.settings["LEDGER_URL"] = target
	w.operate("verify").want(codeDone, "2 refunds on 2 orders", "Nothing is wrong.")
	w.operate(refundArgs("order-2", "refund-3", "-yes")...).want(codeDone)
	w.operate("show", "refund-2").want(codeDone)
}

// moved moves a ledger at once.
func (w *world) moved(source, target string) {
	w.t.Helper()
	from, err := ledger.Open(w.t.Context(), source)
	if err != nil {
		w.t.Fatal(err)
	}
	defer from.Close()
	to, err := ledger.Open(w.t.Context(), target)
	if err != nil {
		w.t.Fatal(err)
	}
	defer to.Close()
	name, err := ledger.Name(source)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := ledger.Copy(w.t.Context(), from, to, ledger.CopyOptions{Source: name, By: "operator alice", Close: true, Quiet: 1})
	if err != nil || !got.Moved || !got.Equal() {
		w.t.Fatalf("got %+v, %v", got, err)
	}
}

// What a copy cannot do is said before anything is touched, without the URL's password.
func TestCopyRefuses(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	other := newWorld(t, "apiv3", "order-1")
	other.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	empty := "sqlite:" + filepath.Join(t.TempDir(), "empty.db")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"copy", codeUsage, "-to is missing"},
		{"copy -to env:NOWHERE", codeUsage, "-to: NOWHERE is not set"},
		{"copy -to " + w.settings["LEDGER_URL"], codeUsage, "the same database"},
		{"copy -from sqlite:/nowhere/x.db -to " + empty, codeUsage, "there is no file /nowhere/x.db"},
		{"copy -to postgres://u:tiger@127.0.0.1:1/db", codeFinding, "-to: the ledger did not answer: ledger: get"},
		{"copy -to oracle://u:tiger@h/db", codeUsage, "unknown or uncompiled scheme"},
		{"copy -to " + other.settings["LEDGER_URL"], codeFinding, "the target is in use"},
		{"copy -from " + empty + " -to " + w.settings["LEDGER_URL"], codeFinding, "no merchant has ever used the source"},
	} {
		if strings.HasPrefix(c.args, "copy -from "+empty) {
			if s, err := ledger.Open(t.Context(), empty); err == nil {
				s.Close()
			}
		}
		got := w.operate(strings.Fields(c.args)...).want(c.code, c.want)
		if strings.Contains(got.stderr+got.stdout, "tiger") {
			t.Errorf("%s shows the password: %s", c.args, got.stderr)
		}
	}
	w.operate("verify").want(codeDone)
}

// What is wrong in the ledger is named by its code and item, and ends with 1.
func TestVerifyNamesWhatIsWrong(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.operate("verify").want(codeDone, "1 refund on 1 order,", "Nothing is wrong.")
	store, err := ledger.Open(t.Context(), w.settings["LEDGER_URL"])
	if err != nil {
		t.Fatal(err)
	}
	items, err := store.Get(t.Context(), "refund/refund-1")
	if err != nil {
		t.Fatal(err)
	}
	it := items[0]
	it.Body = []byte(strings.Replace(string(it.Body), `"held":100`, `"held":99`, 1))
	if err := store.Commit(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	store.Close()
	w.operate("verify").want(codeFinding, "wrong_held  refund/refund-1  it is processing, and reserves 99 instead of 100", "2 findings")
	got := w.operate("verify", "-json").want(codeFinding).object()
	first := got["found"].([]any)[0].(map[string]any)
	if got["findings"] != float64(2) || first["code"] == "" || first["says"] == "" || first["item"] == "" {
		t.Errorf("got %v", got)
	}
}

// A ledger that was restored from a backup learns again what WeChat Pay knows, from what
// it still has and from a file of the merchant platform, and nothing is refunded twice.
func TestRestoredLedgerIsRebuilt(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	backup := "sqlite:" + filepath.Join(t.TempDir(), "backup.db")
	w.operate("copy", "-to", backup).want(codeDone)
	w.operate(refundArgs("order-2", "refund-2", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"SUCCESS"}`, 200)

	restored := "sqlite:" + filepath.Join(t.TempDir(), "restored.db")
	w.moved(backup, restored)
	w.settings["LEDGER_URL"] = restored
	w.operate("show", "refund-2").want(codeFinding, "no refund refund-2 is on record")

	bill := filepath.Join(t.TempDir(), "bill.csv")
	text := "交易时间,商户订单号,商户退款单号,退款金额\r\n`2026-11-26,`order-2,`refund-2,`1.00\r\n`2026-11-26,`order-1,`0,`0.00\r\n总交易单数,退款总金额\r\n`2,`1.00\r\n"
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bill, []byte(gbk), 0o600); err != nil {
		t.Fatal(err)
	}
	w.operate("rebuild", "-numbers", bill).want(codeFinding, "nothing was done", "needs -yes")
	got := w.operate("rebuild", "-numbers", bill, "-yes", "-json").want(codeDone).object()
	if got["asked"] != float64(2) || got["moved"] != float64(1) || got["taken_up"] != float64(1) || got["unknown"] != float64(0) {
		t.Errorf("got %v", got)
	}
	w.operate("show", "refund-1").want(codeDone, "success")
	w.operate("show", "refund-2").want(codeDone, "processing")
	w.operate("verify").want(codeDone, "2 refunds on 2 orders")
	w.operateWith(t.Context(), strings.NewReader("refund-2\nrefund-9\n"), "rebuild", "-numbers", "-", "-yes").
		want(codeFinding, "unknown  refund-9", "1 unknown to WeChat Pay")
	w.operate("rebuild", "-numbers", "/nowhere.csv", "-yes").want(codeUsage, "there is no file /nowhere.csv")
}

func TestRefundNumbersOfAnyFile(t *testing.T) {
	gbk := func(text string) string {
		out, err := simplifiedchinese.GBK.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct{ name, file, want, err string }{
		{"nothing", "", "", ""},
		{"a number a line", "a\nb\r\n\n b\nc", "a b c", ""},
		{"a bill", "时间,商户退款单号\n`1,`a\n`2,`0\n`3,\n总数\n`5\n", "a", ""},
		{"a bill in GBK", gbk("时间,商户退款单号\n`1,`a\n"), "a", ""},
		{"with a byte order mark", "\ufeffout_refund_no,x\na,1\n", "a", ""},
		{"our own export", "claimed_at,out_refund_no\n2026,\"\t1234567890123456\"\n2026,'-a\n", "1234567890123456 -a", ""},
		{"rows before the columns", "#merchant 1\n#from,to\nn,out_refund_no\n1,a\n", "a", ""},
		{"tabs", "n\tout_refund_no\n1\ta\n", "a", ""},
		{"quotes", "out_refund_no\n\"a\"\n", "a", ""},
		{"no such column", "n,refund\n1,a\n", "", "several columns"},
		{"no text", "\xff\xff\xff\x00\x81", "", ""},
	} {
		got, err := refundNumbers([]byte(c.file))
		if c.name == "no text" { // whatever it is read as, it is no panic
			continue
		}
		if strings.Join(got, " ") != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %q, %v", c.name, got, err)
		}
	}
}

func FuzzRefundNumbers(f *testing.F) {
	f.Add([]byte("a\nb\n"))
	f.Add([]byte("时间,商户退款单号\n`1,`a\n"))
	f.Add([]byte{0xc9, 0xcc, 0xbb, 0xa7, 0xcd, 0xcb, 0xbf, 0xee, 0xb5, 0xa5, 0xba, 0xc5, '\n', 'a'})
	f.Fuzz(func(t *testing.T, file []byte) {
		numbers, err := refundNumbers(file)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, no := range numbers {
			if strings.Contains(no, "\r") {
				return // which CSV does not keep before the end of a line
			}
			if no == "" || no != bare(no) || seen[no] {
				t.Fatalf("%q of %q", no, numbers)
			}
			seen[no] = true
		}
		if again, err := refundNumbers([]byte("out_refund_no,x\n" + csvOf(numbers))); err != nil || !slices.Equal(again, numbers) {
			t.Fatalf("written as CSV, %q is read as %q, %v", numbers, again, err)
		}
	})
}

func csvOf(numbers []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, no := range numbers {
		_ = w.Write([]string{no, "1"}) // a Builder takes everything
	}
	w.Flush()
	return b.String()
}

// A copy that was ended in the middle does not say of itself that its books are wrong.
func TestVerifyTellsACopyThatIsNotComplete(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	target := "sqlite:" + filepath.Join(t.TempDir(), "target.db")
	source, err := ledger.Open(t.Context(), w.settings["LEDGER_URL"])
	if err != nil {
		t.Fatal(err)
	}
	half, err := ledger.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = ledger.Copy(ctx, source, stopping{half, "refund/", stop}, ledger.CopyOptions{Source: "here", Workers: 1})
	if err == nil {
		t.Fatal("the copy was not ended")
	}
	_, _ = source.Close(), half.Close()
	w.settings["LEDGER_URL"] = target
	w.operate("verify").want(codeFinding, "this ledger is a copy that is not complete yet; run operate copy again")
}

// stopping stops whoever writes an item of a kind, before it is written.
type stopping struct {
	refund.Ledger
	kind refund.Key
	stop func()
}

func (l stopping) Commit(ctx context.Context, items ...refund.Item) error {
	for _, it := range items {
		if strings.HasPrefix(string(it.Key), string(l.kind)) {
			l.stop()
			return context.Canceled
		}
	}
	return l.Ledger.Commit(ctx, items...)
}
