package shared_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A threat is something that can go wrong with money or with what is told of it,
// or an invariant, which is to hold whatever goes wrong. Tests and comments name
// it by its id: A is the submission of a refund, B who may and what he sends, C
// notifications, D the ledger, secrets and operation, E what use has shown, and I
// an invariant. A number that is left out has no test: nothing holds it yet.
type threat struct {
	ID    string   `json:"id"`
	Text  string   `json:"text"`
	Tests []string `json:"tests"` // those that prove it handled: a package's folder and the test's name
}

var (
	threatID     = regexp.MustCompile(`[A-EI][1-9][0-9]*`)
	codedName    = regexp.MustCompile(`^Test(?:[A-EI][0-9]+)+[A-Z]`)
	codedComment = regexp.MustCompile(`^[A-EI][0-9]+\b[^:\n]*:|\(threats [^)]*\)`)
)

// Every threat in the list is held by tests that exist, and every test that names
// a threat is listed with it.
func TestThreats(t *testing.T) {
	listed := map[string]map[string]bool{} // ids, and the tests of each
	tests := testNames{}
	proofs := map[string]bool{}
	for _, r := range readTable[threat](t, "testdata/threats.json") {
		if threatID.FindString(r.ID) != r.ID || r.ID == "" {
			t.Errorf("%q is no id", r.ID)
		}
		if listed[r.ID] != nil {
			t.Errorf("%s stands twice", r.ID)
		}
		if n := utf8.RuneCountInString(r.Text); strings.TrimSpace(r.Text) != r.Text || !strings.HasSuffix(r.Text, ".") || n > 200 {
			t.Errorf("%s: %q is no sentence of at most 200 characters", r.ID, r.Text)
		}
		if len(r.Tests) == 0 {
			t.Errorf("%s has no test", r.ID)
		}
		listed[r.ID] = map[string]bool{}
		for _, by := range r.Tests {
			if listed[r.ID][by] {
				t.Errorf("%s names %s twice", r.ID, by)
			}
			listed[r.ID][by], proofs[by] = true, true
			if err := tests.find(by); err != nil {
				t.Errorf("%s: %v", r.ID, err)
			}
		}
	}

	named := 0
	for _, folder := range testFolders(t) {
		found, err := tests.of(folder)
		if err != nil {
			t.Fatal(err)
		}
		for name, comment := range found {
			codes := threatsNamed(name, comment)
			if len(codes) > 0 {
				named++
			}
			for _, code := range codes {
				switch by := folder + " " + name; {
				case listed[code] == nil:
					t.Errorf("%s names %s, which is not in the list", by, code)
				case !listed[code][by]:
					t.Errorf("%s names %s, which does not list it", by, code)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no test names a threat: they were not looked for where they are")
	}
	t.Logf("%d threats and invariants, %d tests, of which %d name theirs", len(listed), len(proofs), named)
}

// What names a threat is found, and nothing that only looks like it.
func TestThreatsNamed(t *testing.T) {
	for _, c := range []struct{ name, comment, want string }{
		{"TestA2A3DispatcherKilled", "", "A2 A3"},
		{"TestE9AnotherMerchantsLedgerIsRefused", "E9: a ledger is one merchant's.", "E9"},
		{"TestX", "E1, E2: a number is taken.", "E1 E2"},
		{"TestX", "B5, B6 and A9: one thing changed.", "A9 B5 B6"},
		{"TestX", "C9 and the rest: one thing changed.", "C9"},
		{"TestX", "A notification that comes twice (threats C10,\nC11) has one effect.", "C10 C11"},
		{"TestC13ForeignRefund", "C14: it is asked about.", "C13 C14"},
		{"TestAPIv3Errors", "As C22 has it: nothing.", ""},
		{"TestX", "The header:\nA4: x", ""},
		{"TestD4c", "", ""},
		{"TestX", "AB12: base64", ""},
	} {
		if got := strings.Join(threatsNamed(c.name, c.comment), " "); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.name, c.comment, got, c.want)
		}
	}
}

// threatsNamed lists the ids with which a test's name begins, and those that the
// comment above it begins with or has in brackets.
func threatsNamed(name, comment string) []string {
	codes := threatID.FindAllString(codedName.FindString(name), -1)
	for _, place := range codedComment.FindAllString(comment, -1) {
		codes = append(codes, threatID.FindAllString(place, -1)...)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// testFolders lists the folders of the repository, as the list of threats has them.
func testFolders(t *testing.T) (folders []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		folder, err := filepath.Rel("..", path)
		folders = append(folders, filepath.ToSlash(folder))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}
