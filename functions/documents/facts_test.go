package documents_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/wxpayfunctions"
)

// goFiles calls visit with each file of Go code outside tests.
func goFiles(t *testing.T, visit func(folder, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "dist", "testdata"}, d.Name()) {
			return fs.SkipDir
		}
		if filepath.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(p))
		visit(filepath.ToSlash(rel), string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An upstream answers every question with the same error.
type upstream struct {
	refund.Channel // what is not answered here is not asked for
	err            error
}

func (u upstream) Refund(context.Context, refund.Request) (refund.Refund, error) {
	return refund.Refund{}, u.err
}

func (u upstream) Query(context.Context, refund.Lookup) (refund.Page, error) {
	return refund.Page{}, u.err
}

func (upstream) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (u upstream) Spec() refund.Spec {
	return refund.Spec{Name: "test", OutRefundNo: refund.Length{Min: 1, Max: 64}}
}

// A reply is what a mini-program is answered.
type reply struct {
	Code    int
	ErrCode string `json:"err_code"`
	Retry   string
}

// answered is what a mini-program is answered when a question ends with an error.
func answered(t *testing.T, err error) (r reply) {
	t.Helper()
	store, openErr := ledger.Open(t.Context(), "sqlite::memory:")
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer store.Close()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h := wxpayfunctions.New(&refund.Service{Channel: upstream{err: err}, Ledger: store, Log: log}, log)
	event := []byte(`{"type":"wxpay_refund_query","out_refund_no":"R1"}`)
	if err := json.Unmarshal(h.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, event), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// codeRow is a row of the table of codes: its code, its err_code, and what retry may be.
var codeRow = regexp.MustCompile("^\\| (\\d+) \\| (?:`(\\w+)`)? ?\\| ([^|]+) \\|")

// The table of codes, in both languages, has each code of the dispatcher, its
// err_code where the upstream has said none, and every retry that the code of the
// repository gives it.
func TestCodeTableIsTheDispatchers(t *testing.T) {
	english, inChinese := halves(t)
	for _, d := range []document{english, inChinese} {
		rows := map[int]reply{}
		for _, l := range d.lines {
			if m := codeRow.FindStringSubmatch(l.text); m != nil {
				var code int
				if err := json.Unmarshal([]byte(m[1]), &code); err != nil {
					t.Fatal(err)
				}
				rows[code] = reply{code, m[2], m[3]}
			}
		}
		codes := []refund.Code{
			refund.CodeInvalid, refund.CodeDenied, refund.CodeNotFound, refund.CodeConflict,
			refund.CodeLimited, refund.CodeRejected, refund.CodeUnavailable, refund.CodeInternal, refund.CodeProposed,
		}
		if len(rows) != len(codes)+1 {
			t.Errorf("%s has %d rows of codes, want 0 and %d errors", d.path, len(rows), len(codes))
		}
		for _, code := range codes {
			got := answered(t, &refund.Error{Code: code, Next: refund.Never})
			if row := rows[got.Code]; row.ErrCode != got.ErrCode {
				t.Errorf("%s: %d has the err_code %q, want %q", d.path, got.Code, row.ErrCode, got.ErrCode)
			}
		}
		for p := range pairs(t) {
			got := answered(t, &refund.Error{Code: p.code, Next: p.next})
			if row := rows[got.Code]; got.Retry != "" && !strings.Contains(row.Retry, "`"+got.Retry+"`") {
				t.Errorf("%s: %d lacks the retry %s", d.path, got.Code, got.Retry)
			}
		}
	}
}

// A verdict is what an error says: whose fault, and what to do.
type verdict struct {
	code refund.Code
	next refund.Next
}

// pairs are the verdicts that stand in the code of the repository.
func pairs(t *testing.T) map[verdict]bool {
	t.Helper()
	known := map[string]refund.Code{
		"Invalid": refund.CodeInvalid, "Denied": refund.CodeDenied, "NotFound": refund.CodeNotFound, "Conflict": refund.CodeConflict,
		"Limited": refund.CodeLimited, "Rejected": refund.CodeRejected, "Unavailable": refund.CodeUnavailable, "Internal": refund.CodeInternal, "Proposed": refund.CodeProposed,
	}
	nexts := map[string]refund.Next{
		"Never": refund.Never, "SameNumber": refund.SameNumber, "Later": refund.Later,
		"NewNumber": refund.NewNumber, "AfterFix": refund.AfterFix, "LaterOrFix": refund.LaterOrFix,
	}
	literal := regexp.MustCompile(`\bCode(\w+),\s+(?:Next:\s+)?(?:refund\.)?(Never|SameNumber|LaterOrFix|Later|NewNumber|AfterFix)\b`)
	all, codes := map[verdict]bool{}, map[refund.Code]bool{}
	goFiles(t, func(_, text string) {
		for _, m := range literal.FindAllStringSubmatch(text, -1) {
			all[verdict{known[m[1]], nexts[m[2]]}], codes[known[m[1]]] = true, true
		}
	})
	if len(codes) != len(known) {
		t.Errorf("the code of the repository shows %d codes in its errors, want %d: %v", len(codes), len(known), codes)
	}
	return all
}

// The tables of alarms, in both languages, have the codes that the code logs.
func TestAlarmTableIsTheCodes(t *testing.T) {
	logged := map[string]bool{}
	goFiles(t, func(folder, text string) {
		if folder != "shared/refund" && folder != "notify" {
			return
		}
		for _, m := range regexp.MustCompile(`(?m)^\s+alarm[A-Z]\w+\s+= "(\w+)"|"alarm", "alarm", "(\w+)"`).FindAllStringSubmatch(text, -1) {
			logged[m[1]+m[2]] = true
		}
	})
	want := slices.Sorted(maps.Keys(logged))
	for _, name := range []string{"functions/README.md", "functions/README.zh.md"} {
		var got []string
		inTable := false
		for _, l := range read(t, name).lines {
			inTable = l.kind == table && (inTable || strings.HasPrefix(l.text, "| `alarm` |") && strings.Count(l.text, "|") == 4)
			if first := strings.Split(l.text, "|"); inTable && !strings.HasPrefix(l.text, "| `alarm` |") {
				got = append(got, spans(first[1])...)
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: the alarms (-code +table):\n%s", name, d)
		}
	}
}

// README.md says, in both languages, where every package of ours is.
func TestEveryPackageIsOnTheMap(t *testing.T) {
	folders := map[string]bool{}
	goFiles(t, func(folder, _ string) { folders[folder] = true })
	english, inChinese := halves(t)
	for _, d := range []document{english, inChinese} {
		for folder := range folders {
			named := false
			for name := folder; name != "." && name != "shared" && !named; name = filepath.ToSlash(filepath.Dir(name)) {
				named = strings.Contains(d.text, "`"+name+"`") || strings.Contains(d.text, "`"+name+"/`")
			}
			if !named {
				t.Errorf("%s does not say where %s is", d.path, folder)
			}
		}
	}
}

// The tables of dependencies are the modules that go.mod asks for.
func TestDependencyTablesAreGoMod(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		want = append(want, strings.TrimPrefix(m[1], "github.com/"))
	}
	inSection := false
	for _, l := range read(t, "functions/README.md").lines {
		if l.kind == heading {
			inSection = l.text == "## Dependencies"
		}
		if m := regexp.MustCompile("^\\| (`[^|]*`) \\| [^|]+ \\| .+ \\|$").FindStringSubmatch(l.text); inSection && m != nil {
			for name := range strings.SplitSeq(m[1], ", ") {
				got = append(got, strings.Trim(name, "`"))
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the tables (-go.mod +functions/README.md):\n%s", d)
	}
}

// What the documents say of .env is so: its example is there, and a key becomes
// one line that says the same.
func TestKeyOnOneLine(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, ".env.example")); err != nil {
		t.Error(err)
	}
	const pem = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "apiclient_key.pem"), []byte(pem), 0o600); err != nil {
		t.Fatal(err)
	}
	ranOnce := false
	for _, d := range documents(t) {
		for _, command := range d.commands() {
			if !strings.HasPrefix(command, "awk ") {
				continue
			}
			ranOnce = true
			if got, want := shell(t, dir, command), strings.ReplaceAll(pem, "\n", `\n`); got != want {
				t.Errorf("%s: %s: got %q, want %q", d.path, command, got, want)
			}
		}
	}
	if !ranOnce {
		t.Error("no document says how a key becomes one line")
	}
}
