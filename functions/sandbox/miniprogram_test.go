//go:build heavy

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wxrefund/shared/needs"
)

// Where the pages are, and what TypeScript's compiler needs for them.
const (
	miniProgramFolder = "miniprogram"
	compilerFolder    = "../../wxpayfunctions/testdata/types"
	declarationFile   = "../../wxpayfunctions/wxrefund.d.ts"
)

// nodeTests runs the tests in some files of testdata/miniprogram.
func nodeTests(t *testing.T, env []string, files ...string) {
	t.Helper()
	args := []string{"--test"}
	for _, file := range files {
		args = append(args, filepath.Join("testdata", "miniprogram", file))
	}
	command := exec.CommandContext(t.Context(), needs.Program(t, "node"), args...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("node: %v\n%s", err, out)
	}
}

// Money stays an integer, a double tap is one application, what is unknown is asked for again
// under its number, and the markup names what there is.
func TestTheMiniProgramKeepsItsNumbers(t *testing.T) {
	t.Parallel()
	nodeTests(t, nil, "logic.test.js", "markup.test.js")
}

// The pages apply, list and decide against the whole back end, as three people with phones.
func TestTheMiniProgramAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	p := start(t, "-hostile=false", "-pace", "0s", "-speed", "600")
	nodeTests(t, []string{"SANDBOX=" + p.ready.Listen}, "sandbox.test.js")
}

// TypeScript's compiler holds the pages against wxrefund.d.ts and the mini-program's own typings.
func TestTypeScriptChecksTheMiniProgram(t *testing.T) {
	t.Parallel()
	node, npm, dir := needs.Program(t, "node"), needs.Program(t, "npm"), t.TempDir()
	pages := filepath.Join(dir, "functions", "sandbox", miniProgramFolder)
	declaration, err := os.ReadFile(declarationFile)
	for to, from := range map[string]string{dir: compilerFolder, pages: miniProgramFolder} {
		err = errors.Join(err, os.CopyFS(to, os.DirFS(from)))
	}
	err = errors.Join(err, os.Mkdir(filepath.Join(dir, "wxpayfunctions"), 0o700),
		os.WriteFile(filepath.Join(dir, "wxpayfunctions", filepath.Base(declarationFile)), declaration, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		needs.Skip(t, "typescript from npm: "+string(out))
	}
	check := func() (string, error) {
		compile := exec.CommandContext(t.Context(), node, filepath.Join("node_modules", "typescript", "bin", "tsc"), "--project", filepath.Join(pages, "jsconfig.json"))
		compile.Dir = dir
		out, err := compile.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
	// What is misspelt is found: the types have come along.
	wrong := "/** @type {import('wxrefund').ApplyEvent} */\nconst event = { type: 'wxpay_refund_apply', out_trade_no: 'o', reson: '' }\nmodule.exports = event\n"
	if err := os.WriteFile(filepath.Join(pages, "wrong.js"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil || !strings.Contains(out, "wrong.js") {
		t.Errorf("tsc finds nothing wrong with a misspelt field: %v\n%s", err, out)
	}
}
