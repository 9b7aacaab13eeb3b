package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
