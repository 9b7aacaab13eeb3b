package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
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
		if len(blocks) != 1 {
			t.Fatalf("%s has %d lists of settings, want one", document, len(blocks))
		}
		env, err := dotenv.Parse(blocks[0][1])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, left, err := cloudBase(t.Context(), env, folder, targets); err != nil || len(left) > 0 {
			t.Errorf("%s: got %v, and %q unread", document, err, left)
		}
		for name := range env {
			less := maps.Clone(env)
			delete(less, name)
			if _, _, _, err := cloudBase(t.Context(), less, folder, targets); err == nil {
				t.Errorf("%s: it does without %s", document, name)
			}
		}
	}
}
