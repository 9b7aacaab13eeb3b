//go:build heavy

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"wxrefund/shared/needs"
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
