// Package consoletest proves what is true of every page that is made of package console:
// of its files here, and in a real browser with the tag heavy.
package consoletest

import (
	"encoding/json"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Assets are the files of a page by name, from a folder named assets.
func Assets(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	names, err := fs.Glob(files, "assets/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no assets", err)
	}
	out := map[string]string{}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(name, "assets/")] = string(b)
	}
	return out
}

// LoadsNothingFromElsewhere proves that nothing of a page stands elsewhere, and that no code
// is made out of text. parts is where its scripts are.
func LoadsNothingFromElsewhere(t *testing.T, assets map[string]string, parts string) {
	t.Helper()
	never := map[string]*regexp.Regexp{
		"an address":         regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|\burl\(`),
		"an inline script":   regexp.MustCompile(`(?i)<script[^>]*>\s*[^<\s]|javascript:`),
		"an inline handler":  regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`),
		"an inline style":    regexp.MustCompile(`(?i)<style|<[^>]*\sstyle\s*=|setAttribute\('style'`),
		"text made to code":  regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`),
		"a file too long":    regexp.MustCompile(`(?s)(?:[^\n]*\n){401}`),
		"a float of money":   regexp.MustCompile(`parseFloat|toFixed`),
		"a mark of hurry":    regexp.MustCompile(`TODO|FIXME|console\.`),
		"a trailing blank":   regexp.MustCompile(`(?m)[ \t]+$`),
		"a tab in the place": regexp.MustCompile("\t"),
	}
	svg := strings.NewReplacer("http://www.w3.org/2000/svg", "") // a name, not an address
	for name, text := range assets {
		for what, pattern := range never {
			if strings.HasSuffix(name, ".css") && what == "an inline style" {
				continue
			}
			if found := pattern.FindString(svg.Replace(text)); found != "" {
				t.Errorf("%s holds %s: %q", name, what, found)
			}
		}
	}
	for _, tag := range regexp.MustCompile(`<script[^>]*>`).FindAllString(assets["index.html"], -1) {
		if !strings.Contains(tag, ` src="`+parts) {
			t.Errorf("inline script: %s", tag)
		}
	}
}

// Words reads a table of sentences.
func Words(t *testing.T, assets map[string]string, name string) map[string]string {
	t.Helper()
	table := map[string]string{}
	if err := json.Unmarshal([]byte(assets[name]), &table); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return table
}

// BothLanguagesSayTheSame proves that everything is said in both, that each sentence takes
// the same values, and that those of the English table are English but for the given ones.
func BothLanguagesSayTheSame(t *testing.T, en, zh map[string]string, chinese ...string) {
	t.Helper()
	if d := cmp.Diff(slices.Sorted(maps.Keys(en)), slices.Sorted(maps.Keys(zh))); d != "" {
		t.Errorf("the languages differ (-en +zh):\n%s", d)
	}
	value := regexp.MustCompile(`\{\w+\}`)
	han := regexp.MustCompile(`\p{Han}`)
	for name := range en {
		a, b := value.FindAllString(en[name], -1), value.FindAllString(zh[name], -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s takes %v in English and %v in Chinese", name, a, b)
		}
		if en[name] == "" || zh[name] == "" {
			t.Errorf("%s is empty", name)
		}
		if han.MatchString(en[name]) && !slices.Contains(chinese, name) {
			t.Errorf("%s is Chinese in the English table: %s", name, en[name])
		}
	}
}

// ambiguous are patterns of sentences that are wrong for one of a thing, and of those that
// leave open whether they speak of money or of time: 分 alone is both.
func ambiguous(language string) []*regexp.Regexp {
	if language == "zh" {
		return []*regexp.Regexp{
			regexp.MustCompile(`[\d}] ?分(?:[^钟]|$)`), // money or minutes?
			regexp.MustCompile(`[\d}] ?时(?:[^段]|$)`), // hours or o'clock?
		}
	}
	return []*regexp.Regexp{
		regexp.MustCompile(`\{n\} (?:[a-z]+ )?(?:times|refunds|orders|calls|notifications|repeats|filters|alarms|things)\b`), // 1 times
		regexp.MustCompile(`\{n\} .*\b(?:have|are|were)\b`),                                                                  // 1 are
	}
}

// ReadsInOneWay proves that no sentence with a number can be read in two ways, or is wrong
// for one of a thing.
func ReadsInOneWay(t *testing.T, en, zh map[string]string) {
	t.Helper()
	for language, words := range map[string]map[string]string{"en": en, "zh": zh} {
		for name, text := range words {
			for _, pattern := range ambiguous(language) {
				if found := pattern.FindString(text); found != "" {
					t.Errorf("%s: %s: %q", language, name, found)
				}
			}
		}
	}
	for language, bad := range map[string][]string{"en": {"applied {n} times", "{n} older refunds are not shown."}, "zh": {"+1 分", "{n} 分", "{n}时", "24 小时 4 分内"}} {
		for _, text := range bad {
			if !slices.ContainsFunc(ambiguous(language), func(p *regexp.Regexp) bool { return p.MatchString(text) }) {
				t.Errorf("%q is not recognized", text)
			}
		}
	}
}

// Said are the names of the sentences that files say: those of the families, which are said
// of things that have names, and those that stand in the files themselves. known tells of a
// text that is chosen before it is said whether it is a name.
func Said(t *testing.T, assets map[string]string, families map[string][]string, known map[string]string) map[string]bool {
	t.Helper()
	said := map[string]bool{}
	for prefix, names := range families {
		if len(names) == 0 {
			t.Errorf("no names for %s", prefix)
		}
		for _, name := range names {
			said[prefix+name] = true
		}
	}
	literal := regexp.MustCompile(`\bt\('([^']+)'|data-i18n(?:-label)?="([^"]+)"`)
	either := regexp.MustCompile(`'((?:[a-z]+)\.[A-Za-z.]+)'`)
	for name, text := range assets {
		if !strings.HasSuffix(name, ".js") && !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, m := range literal.FindAllStringSubmatch(text, -1) {
			said[m[1]+m[2]] = true
		}
		for _, m := range either.FindAllStringSubmatch(text, -1) {
			if _, ok := known[m[1]]; ok {
				said[m[1]] = true
			}
		}
	}
	return said
}

// EverySentenceIsUsed proves that what a page says is in its own table or in the common one,
// and that there is nothing in its own that it does not say or that is in both.
func EverySentenceIsUsed(t *testing.T, said map[string]bool, own, common map[string]string) {
	t.Helper()
	for name := range own {
		if _, both := common[name]; both {
			t.Errorf("%s is in both tables", name)
		}
	}
	ours := maps.Clone(said)
	maps.DeleteFunc(ours, func(name string, _ bool) bool { return common[name] != "" })
	if d := cmp.Diff(slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(own))); d != "" {
		t.Errorf("words (-said by the page +in its table):\n%s", d)
	}
}
