//go:build !slim

package ledger

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// conformance is every test that runs over a table of backends, but for those of the
// connections to a server.
func conformance() map[string]func(*testing.T) {
	tests := map[string]func(*testing.T){
		"TestItemsAreCreatedReadAndUpdated":                  TestItemsAreCreatedReadAndUpdated,
		"TestGetAnswersInTheOrderOfTheKeys":                  TestGetAnswersInTheOrderOfTheKeys,
		"TestGetTakesAnyNumberOfKeys":                        TestGetTakesAnyNumberOfKeys,
		"TestCommitOverAWrongVersionIsStaleAndWritesNothing": TestCommitOverAWrongVersionIsStaleAndWritesNothing,
		"TestMistakenCommitsAreRefused":                      TestMistakenCommitsAreRefused,
		"TestCommitDoesNotChangeTheCallersItems":             TestCommitDoesNotChangeTheCallersItems,
		"TestBodiesAreKeptByteForByte":                       TestBodiesAreKeptByteForByte,
		"TestDueIsKeptToTheMillisecond":                      TestDueIsKeptToTheMillisecond,
		"TestListIsCompleteAndInOrder":                       TestListIsCompleteAndInOrder,
		"TestListRefusesBadLimitsAndCursors":                 TestListRefusesBadLimitsAndCursors,
		"TestCursorStaysWhileItemsChange":                    TestCursorStaysWhileItemsChange,
		"TestOneOfManyClaimantsWins":                         TestOneOfManyClaimantsWins,
		"TestConcurrentIncrementsLoseNothing":                TestConcurrentIncrementsLoseNothing,
		"TestHistoriesAreLinearizable":                       TestHistoriesAreLinearizable,
		"TestReadsSeeFinishedCommits":                        TestReadsSeeFinishedCommits,
		"TestOrderIsNeverOverdrawn":                          TestOrderIsNeverOverdrawn,
		"TestEndedContextWritesNothing":                      TestEndedContextWritesNothing,
		"TestContextEndingAnywhereLeavesAllOrNothing":        TestContextEndingAnywhereLeavesAllOrNothing,
		"TestReopeningKeepsEverything":                       TestReopeningKeepsEverything,
		"TestFreshLedgerMayBeOpenedByManyAtOnce":             TestFreshLedgerMayBeOpenedByManyAtOnce,
		"TestClassIsKeptAndChangedWithItsItem":               TestClassIsKeptAndChangedWithItsItem,
		"TestClassesAreListedNewestFirst":                    TestClassesAreListedNewestFirst,
		"TestEverythingIsListedOnceAndCounted":               TestEverythingIsListedOnceAndCounted,
		"TestCursorsOfClassesAndKeysStayWhileItemsChange":    TestCursorsOfClassesAndKeysStayWhileItemsChange,
		"TestIndexesRefuseWhatIsNotTheirs":                   TestIndexesRefuseWhatIsNotTheirs,
		"TestRandomHistoriesMatchAMap":                       TestRandomHistoriesMatchAMap,
		"TestOlderSchemaIsUpgradedWhileTheOldProgramWrites":  TestOlderSchemaIsUpgradedWhileTheOldProgramWrites,
		"TestNextSchemaIsUsableFromAColdStart":               TestNextSchemaIsUsableFromAColdStart,
		"TestNewerSchemaIsRefusedAndLeftAlone":               TestNewerSchemaIsRefusedAndLeftAlone,
		"TestLaterSchemaStepsAreAppliedOnce":                 TestLaterSchemaStepsAreAppliedOnce,
	}
	maps.Copy(tests, heavyConformance())
	return tests
}

// The ledger at CloudBase does what every ledger must do.
func TestCloudBase(t *testing.T) {
	for name, test := range conformance() {
		t.Run(name, test)
	}
}

// No test of the table is left out of TestCloudBase, and none that is built otherwise.
func TestCloudBaseRunsTheWholeConformance(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !builtIn(t, file) {
			continue
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") && callsOver(f) {
				want = append(want, f.Name.Name)
			}
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(conformance()))); diff != "" || len(want) < 20 {
		t.Errorf("%d tests (-want +got):\n%s", len(want), diff)
	}
}

// builtIn reports whether a file belongs to the test binary that runs.
func builtIn(t *testing.T, file *ast.File) bool {
	t.Helper()
	for _, comments := range file.Comments {
		for _, c := range comments.List {
			if strings.HasPrefix(c.Text, "//go:build heavy") && heavyConformance() == nil {
				return false
			}
		}
	}
	return true
}

// callsOver reports whether a function goes over the backends, itself or by a helper.
func callsOver(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			name, _ := call.Fun.(*ast.Ident)
			found = found || name != nil && slices.Contains([]string{"over", "overAll", "overShared", "overSQL", "upgradedFrom"}, name.Name)
		}
		return true
	})
	return found
}
