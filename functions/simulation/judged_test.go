package simulation_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const judged = "judged: "

// judgements are the rules that the oracle holds histories against, each with the file in
// which it is judged: whatever a call of judge names. Nobody keeps a list of them.
func judgements(t *testing.T) map[string]string {
	t.Helper()
	rules := map[string]string{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 || called(call) != "judge" {
				return true
			}
			if name, ok := call.Args[0].(*ast.BasicLit); ok {
				rule, err := strconv.Unquote(name.Value)
				if err != nil {
					t.Fatal(err)
				}
				rules[rule] = file
			}
			return true
		})
	}
	return rules
}

func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// what histories have in them that not all have.
const (
	onlyWithBills = "bills"
	onlyWithShops = "buyers and operators"
	always        = "troubles alone"
)

// where says in what histories a rule is to be judged.
func where(rule, file string) string {
	switch {
	case strings.HasPrefix(rule, "I12 ") || file == "bills_test.go":
		return onlyWithBills
	case slices.Contains([]string{"applications_test.go", "deeds_test.go", "docket_test.go"}, file):
		return onlyWithShops
	}
	return always
}

// looked prints how often each rule was judged in histories with something, and fails if one
// that is to be never was, if each channel has had as many histories as are enough for all.
func looked(t *testing.T, channels []figures, with string, enough int64) {
	t.Helper()
	rules, count := judgements(t), 0
	var table strings.Builder
	all, least := figures{}, enough
	for _, f := range channels {
		all.add(f)
		least = min(least, f["histories"])
	}
	for _, name := range all.prefixed(judged) {
		rule := strings.TrimPrefix(name, judged)
		if _, known := rules[rule]; !known {
			t.Errorf("%q is judged, and no call of judge names it", rule)
		}
		fmt.Fprintf(&table, "%10d %s\n", all[name], rule)
	}
	for rule, file := range rules {
		if where(rule, file) != with {
			continue
		}
		if count++; all[judged+rule] == 0 {
			fmt.Fprintf(&table, "%10d %s\n", 0, rule)
			if least >= enough && len(channels) == 1+len(others()) {
				t.Errorf("%q is never judged in %d histories with %s", rule, all["histories"], with)
			}
		}
	}
	t.Logf("%d histories; how often each rule was judged (%d are for histories with %s):\n%s", all["histories"], count, with, &table)
}
