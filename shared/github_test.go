package shared_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// A workflow is what is read of one here.
type workflow struct {
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `yaml:"permissions"`
		Steps       []struct {
			Uses string         `yaml:"uses"`
			Run  string         `yaml:"run"`
			With map[string]any `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// pinned is an action at a commit; the version that it is stands in a comment.
var pinned = regexp.MustCompile(`(?m)^\s+- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// Workflows read the repository and nothing else, with actions that nobody can
// exchange under them and with the history that a test needs; each change runs the
// fast tests, and each night what .ci/run does. One job alone writes, an issue: it
// has neither the repository's files nor an action, and runs nothing of theirs.
func TestWorkflows(t *testing.T) {
	mayWrite := map[string]map[string]string{"histories.yml/tell": {"issues": "write"}}
	runs := map[string]string{"check.yml": "go test ./...", "all.yml": ".ci/run"}
	for _, path := range yamlFiles(t, "workflows") {
		text, w := readYAML[workflow](t, path)
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions %v, want to read the contents", path, w.Permissions)
		}
		for name, job := range w.Jobs {
			of := filepath.Base(path) + "/" + name
			if d := cmp.Diff(mayWrite[of], job.Permissions); d != "" {
				t.Errorf("%s: %s has permissions of its own (-want +got):\n%s", path, name, d)
			}
			if _, writes := mayWrite[of]; writes && (len(job.Steps) != 1 || job.Steps[0].Uses != "" || strings.Contains(job.Steps[0].Run, "${{")) {
				t.Errorf("%s: %s does more than to write", path, name)
			}
			delete(mayWrite, of)
			for _, s := range job.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") && (s.With["fetch-depth"] != 0 || s.With["persist-credentials"] != false) {
					t.Errorf("%s: %s checks out %v, want all of the history, and no credentials kept", path, name, s.With)
				}
				if want := runs[filepath.Base(path)]; want != "" && s.Run == want {
					delete(runs, filepath.Base(path))
				}
			}
		}
		if got, want := strings.Count(text, "uses:"), len(pinned.FindAllString(text, -1)); got != want {
			t.Errorf("%s: %d of %d actions are pinned to a commit", path, want, got)
		}
	}
	for file, run := range runs {
		t.Errorf("%s does not run %s", file, run)
	}
	for job := range mayWrite {
		t.Errorf("%s may write, and is not there", job)
	}
}

// Issue forms have what GitHub wants of one, and ask in both languages.
func TestIssueForms(t *testing.T) {
	for _, path := range yamlFiles(t, "ISSUE_TEMPLATE") {
		if filepath.Base(path) == "config.yml" {
			continue
		}
		text, form := readYAML[struct {
			Name        string   `yaml:"name"`
			Description string   `yaml:"description"`
			Labels      []string `yaml:"labels"`
			Body        []struct {
				Type       string         `yaml:"type"`
				ID         string         `yaml:"id"`
				Attributes map[string]any `yaml:"attributes"`
			} `yaml:"body"`
		}](t, path)
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 || !regexp.MustCompile(`\p{Han}`).MatchString(text) {
			t.Errorf("%s lacks a name, a description, questions or Chinese", path)
		}
		seen := map[string]bool{}
		for i, b := range form.Body {
			need := map[string]string{"markdown": "value", "textarea": "label", "input": "label", "dropdown": "options"}[b.Type]
			if need == "" || b.Attributes[need] == nil {
				t.Errorf("%s: question %d, a %q without its %s", path, i+1, b.Type, need)
			}
			if b.Type != "markdown" && (b.ID == "" || seen[b.ID]) {
				t.Errorf("%s: question %d has no id of its own", path, i+1)
			}
			seen[b.ID] = true
		}
	}
}

func yamlFiles(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob("../.github/" + folder + "/*.yml")
	if err != nil || len(paths) < 2 {
		t.Fatalf(".github/%s holds %d files", folder, len(paths))
	}
	return paths
}

func readYAML[T any](t *testing.T, path string) (text string, v T) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(b), v
}
