package documents_test

import (
	"errors"
	"os/exec"
	"testing"
)

// shell runs a document's commands in a folder, and returns what they print.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-ec", script)
	command.Dir = dir
	out, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("%s: %v\n%s", script, err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
