//go:build heavy

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wxrefund/shared/needs"
)

// validatorMutations break the template in ways that CloudFormation would
// refuse, of which our own checks know nothing. They show that the validator is at work;
// what else it finds is its own affair.
var validatorMutations = []mutation{
	{"a resource of a type that does not exist", templateFile, "Type: AWS::SNS::Topic\n", "Type: AWS::SNS::Themes\n", "3006"},
	{"a property that does not exist", templateFile, "      BillingMode: PAY_PER_REQUEST\n", "      BillingMode: PAY_PER_REQUEST\n      Billing: x\n", "3002"},
	{"a reference to nothing", templateFile, "LogGroup: !Ref NotifyLog", "LogGroup: !Ref NotifyLogs", "1020"},
	{"an attribute that does not exist", templateFile, "!GetAtt NotifyAddress.FunctionUrl", "!GetAtt NotifyAddress.Url", "9004"},
}

// template.yaml has the structure that CloudFormation wants, says AWS's own
// validator, and that validator finds faults.
func TestTemplateHasTheStructureThatCloudFormationWants(t *testing.T) {
	f := readFiles(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name+".yaml")
		put(t, file, text)
		return file
	}
	sound := []string{write("template", f[templateFile])}
	for i, m := range validatorMutations {
		sound = append(sound, write(fmt.Sprint(i), m.seeded(t, f)[templateFile]))
	}
	reports := validate(t, sound)
	if len(reports) != len(sound) {
		t.Fatalf("got %d reports, want %d", len(reports), len(sound))
	}
	for _, found := range reports[0] {
		t.Errorf("template.yaml: %s", found)
	}
	for i, m := range validatorMutations {
		all := strings.Join(reports[i+1], "\n")
		if all == "" || !strings.Contains(all, m.caughtBy) {
			t.Errorf("%s: found %q, want rule %s", m.name, all, m.caughtBy)
		}
		first, _, _ := strings.Cut(all, ":")
		t.Logf("%-45s %-14s caught by %s", m.name, m.file, first)
	}
}

// validate runs AWS's validator on templates.
func validate(t *testing.T, templates []string) (reports [][]string) {
	t.Helper()
	needs.Program(t, "node")
	needs.Program(t, "npm")
	dir := filepath.Join(os.TempDir(), "validate")
	for _, name := range []string{"package.json", "package-lock.json", "validate.js"} {
		put(t, filepath.Join(dir, name), readFile(t, filepath.Join("functions", "package", "testdata", "validate", name)))
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		needs.Skip(t, "@aws/cloudformation-validate from npm: "+string(out))
	}
	node := exec.CommandContext(t.Context(), "node", append([]string{"validate.js"}, templates...)...)
	node.Dir = dir
	var stderr bytes.Buffer
	node.Stderr = &stderr
	out, err := node.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	for line := range bytes.Lines(out) {
		var r struct{ Found []string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		reports = append(reports, r.Found)
	}
	return reports
}
