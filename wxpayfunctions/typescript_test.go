//go:build heavy

package wxpayfunctions

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"wxrefund/shared/needs"
)

func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// TypeScript's compiler, in strict mode and beside the mini-program's own typings,
// takes what testdata/types does right with wxrefund.d.ts and refuses each use in
// wrong.ts.
func TestTypeScriptChecksTheDeclaration(t *testing.T) {
	node, npm := needs.Program(t, "node"), needs.Program(t, "npm")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "types"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wxrefund.d.ts"), []byte(declaration(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		needs.Skip(t, "typescript from npm: "+string(out))
	}
	compile := exec.CommandContext(t.Context(), node, filepath.Join("node_modules", "typescript", "bin", "tsc"), "--project", ".")
	compile.Dir = dir
	if out, err := compile.CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}
