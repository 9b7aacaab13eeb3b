//go:build heavy

package wxpayfunctions

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TypeScript's compiler, in strict mode and beside the mini-program's own typings,
// takes what testdata/types does right with wxrefund.d.ts and refuses each use in
// wrong.ts.
func TestTypeScriptChecksTheDeclaration(t *testing.T) {
	lacks := func(what string) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf("this test lacks %s", what)
		}
		t.Skipf("this test lacks %s", what)
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			lacks(program)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "types"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wxrefund.d.ts"), []byte(declaration(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		lacks("typescript from npm: " + string(out))
	}
	compile := exec.CommandContext(t.Context(), "node", filepath.Join("node_modules", "typescript", "bin", "tsc"), "--project", ".")
	compile.Dir = dir
	if out, err := compile.CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}
