package shared_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A requirement is one thing that one of the five documents asks for: an input,
// an output, an error code, a rule, a rule of notices, or what an example shows.
type requirement struct {
	ID   string `json:"id"` // document, kind and name, with a dot between them
	Says string `json:"says"`
	By   string `json:"by,omitempty"`  // the test that asserts it: a package's folder and the test's name
	Why  string `json:"why,omitempty"` // why there is none
}

// A document is one that this project implements. Its id begins those of its
// requirements; everywhere else it is cited by title.
type document struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Address string `json:"address"` // where a stored copy of the page was found; nobody has opened it from here
	Note    string `json:"note"`    // which text was read, and what is odd about it
}

// requirementKinds are the kinds, and how many of each the documents have.
var requirementKinds = []struct {
	name string
	want [5]int
}{
	{"in", [5]int{10, 7, 14, 20, 11}},
	{"out", [5]int{25, 33, 26, 40, 14}},
	{"err", [5]int{16, 9, 16, 0, 0}},
	{"rule", [5]int{28, 28, 30, 21, 26}},
	{"notify", [5]int{0, 0, 0, 13, 0}},
	{"ex", [5]int{4, 5, 13, 5, 4}},
}

// Every requirement of the five documents is asserted by a test that exists, or
// it is said why not.
func TestRequirements(t *testing.T) {
	table := readTable[requirement](t, "testdata/requirements.json")
	documents := readTable[document](t, "testdata/documents.json")
	if len(documents) != 5 {
		t.Fatalf("%d documents are listed, want 5", len(documents))
	}
	for i, d := range documents {
		if d.ID != fmt.Sprintf("%03d", i) || d.Title == "" || d.Note == "" || !strings.HasPrefix(d.Address, "https://") {
			t.Errorf("document %03d is listed as %+v, without its id, title, address or note", i, d)
		}
	}
	seen, counts := map[string]bool{}, map[string]int{}
	var covered, notApplicable [5]int
	tests := testNames{}
	for _, r := range table {
		document, kind, ok := splitID(r.ID)
		if !ok {
			t.Errorf("%q is no id", r.ID)
			continue
		}
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		counts[fmt.Sprintf("%03d.%s", document, kind)]++
		if strings.TrimSpace(r.Says) == "" {
			t.Errorf("%s says nothing", r.ID)
		}
		switch {
		case (r.By == "") == (r.Why == ""):
			t.Errorf("%s needs either a test or a reason, and not both", r.ID)
		case r.By != "":
			covered[document]++
			if err := tests.find(r.By); err != nil {
				t.Errorf("%s: %v", r.ID, err)
			}
		default:
			notApplicable[document]++
		}
	}

	for document := range 5 {
		want := 0
		for _, k := range requirementKinds {
			key := fmt.Sprintf("%03d.%s", document, k.name)
			if counts[key] != k.want[document] {
				t.Errorf("%s: %d requirements, want %d", key, counts[key], k.want[document])
			}
			want += k.want[document]
		}
		t.Logf("%s: %d requirements, %d covered, %d not applicable", documents[document].Title, want, covered[document], notApplicable[document])
	}
}

// readTable reads a list whose rows have no other fields than T.
func readTable[T any](t *testing.T, path string) (table []T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&table); err != nil {
		t.Fatal(err)
	}
	return table
}

// splitID reads the number of the document and the kind, and insists on a name.
func splitID(id string) (document int, kind string, ok bool) {
	parts := strings.SplitN(id, ".", 3)
	if len(parts) != 3 || parts[2] == "" {
		return 0, "", false
	}
	for _, k := range requirementKinds {
		for document := range k.want {
			if parts[0] == fmt.Sprintf("%03d", document) && parts[1] == k.name {
				return document, k.name, true
			}
		}
	}
	return 0, "", false
}

// testNames holds the tests of the packages that have been looked at, by folder
// and name, each with the comment above it.
type testNames map[string]map[string]string

// find reports what is wrong with the folder or the test that by names. What
// stands behind a slash is a part of a test, which only running it can tell.
func (n testNames) find(by string) error {
	folder, name, ok := strings.Cut(by, " ")
	if !ok {
		return fmt.Errorf("%q is not a folder and a test", by)
	}
	tests, err := n.of(folder)
	if err != nil {
		return err
	}
	if len(tests) == 0 {
		return fmt.Errorf("%s holds no tests", folder)
	}
	name, _, _ = strings.Cut(name, "/")
	if _, ok := tests[name]; !ok {
		return fmt.Errorf("%s has no test %s", folder, name)
	}
	return nil
}

// of looks at a folder, once.
func (n testNames) of(folder string) (map[string]string, error) {
	if _, known := n[folder]; !known {
		tests, err := testsIn(filepath.Join("..", filepath.FromSlash(folder)))
		if err != nil {
			return nil, err
		}
		n[folder] = tests
	}
	return n[folder], nil
}

// testsIn lists the test functions of one folder, each with the comment above it.
func testsIn(folder string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return nil, err
	}
	tests := map[string]string{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
				tests[f.Name.Name] = f.Doc.Text()
			}
		}
	}
	return tests, nil
}
