package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/dotenv"
)

// .env.example and the tables of settings in the documents are what the command prints.
func TestDocumentsAndEnvExampleShowTheListOfSettings(t *testing.T) {
	for file, form := range map[string]string{envFile: "env", englishFile: "markdown-en", chineseFile: "markdown-zh"} {
		var want strings.Builder
		if err := printSettings(&want, form); err != nil {
			t.Fatal(err)
		}
		got := readFile(t, file)
		if form != "env" {
			const begin, end = "<!-- settings:begin -->\n", "<!-- settings:end -->\n"
			_, after, begins := strings.Cut(got, begin)
			table, _, ends := strings.Cut(after, end)
			if !begins || !ends {
				t.Errorf("%s has no table between %q and %q", file, begin, end)
				continue
			}
			got = table
		}
		if d := cmp.Diff(want.String(), got); d != "" {
			t.Errorf("%s: print it with go run ./functions/package -settings %s (-printed +file):\n%s", file, form, d)
		}
	}
	if err := printSettings(new(strings.Builder), "markdown"); err == nil || !strings.Contains(err.Error(), "markdown-zh") {
		t.Errorf("an unknown form: got %v, want the known ones named", err)
	}
}

// The lines that the documents call enough for apiv3 are, and not one of them is too many.
func TestShortestSettingsOfTheDocumentsAreEnough(t *testing.T) {
	folder, merchant := t.TempDir(), merchantEnv(t, "apiv3")
	for file, name := range map[string]string{"apiclient_key.pem": "WXPAY_PRIVATE_KEY", "pub_key.pem": "WXPAY_PUBLIC_KEY"} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(merchant[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, document := range []string{englishFile, chineseFile} {
		blocks := regexp.MustCompile("(?s)```ini\n(.*?)```").FindAllStringSubmatch(readFile(t, document), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no list of settings", document)
		}
		for _, block := range blocks {
			env, err := dotenv.Parse(block[1])
			if err != nil {
				t.Fatal(err)
			}
			whole, err := newCloudPlan(t.Context(), env, folder)
			if err != nil || slices.ContainsFunc(whole.missing, func(n need) bool { return n.required }) || len(whole.left) > 0 {
				t.Fatalf("%s: got %v, or something is missing or unread", document, err)
			}
			for name := range env {
				less := maps.Clone(env)
				delete(less, name)
				if p, err := newCloudPlan(t.Context(), less, folder); err == nil && len(p.missing) == len(whole.missing) {
					t.Errorf("%s: it does without %s", document, name)
				}
			}
		}
	}
}
