// Package documents_test holds every document in the repository to what the
// repository is: its commands are run somewhere, its links lead somewhere, its
// tables are those of the code, and both languages say the same.
//
// What needs processes has the tag heavy.
package documents_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const (
	root     = "../.."
	chinese  = "\n## 中文\n" // where README.md begins anew, in Chinese
	maxLines = 220         // of README.md
	maxWidth = 120         // characters in a line of prose
)

// A document is one file of Markdown.
type document struct {
	path  string // from the root, with slashes
	text  string
	lines []line
}

// A line is one line of a document.
type line struct {
	text string
	kind kind
	lang string // of fenced code
}

type kind int

const (
	prose kind = iota
	heading
	table
	code  // indented
	fence // fenced, the fences themselves included
)

// documents reads all of them.
func documents(t *testing.T) (all []document) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && slices.Contains([]string{".git", "dist", "node_modules", "testdata"}, name) {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".md" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		all = append(all, newDocument(filepath.ToSlash(rel), string(b)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read returns one of them.
func read(t *testing.T, name string) document {
	t.Helper()
	all := documents(t)
	i := slices.IndexFunc(all, func(d document) bool { return d.path == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return all[i]
}

var (
	isHeading = regexp.MustCompile(`^#{1,6} `)
	isItem    = regexp.MustCompile(`^\s*([-*]|\d+\.) `)
)

func newDocument(name, text string) document {
	d := document{path: name, text: text}
	fenced, lang := false, ""
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		var before line
		if n := len(d.lines); n > 0 {
			before = d.lines[n-1]
		}
		trimmed := strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			if !fenced {
				lang = strings.Trim(trimmed, "`")
			}
			d.lines = append(d.lines, line{l, fence, lang})
			fenced = !fenced
		case fenced:
			d.lines = append(d.lines, line{l, fence, lang})
		case isHeading.MatchString(l):
			d.lines = append(d.lines, line{l, heading, ""})
		case strings.HasPrefix(trimmed, "|"):
			d.lines = append(d.lines, line{l, table, ""})
		case strings.HasPrefix(l, "    ") && !isItem.MatchString(l) && (before.kind == code || before.text == ""):
			d.lines = append(d.lines, line{l, code, ""})
		default:
			d.lines = append(d.lines, line{l, prose, ""})
		}
	}
	return d
}

// halves splits README.md into its languages.
func halves(t *testing.T) (english, inChinese document) {
	t.Helper()
	first, second, ok := strings.Cut(read(t, "README.md").text, chinese)
	if !ok {
		t.Fatal("README.md has no Chinese half")
	}
	return newDocument("README.md", first), newDocument("README.md, 中文", second)
}

// Lines are short enough to be read, and README.md is short enough to be read to its end.
func TestDocumentsAreShort(t *testing.T) {
	address := regexp.MustCompile(`https?://\S+|\]\([^)]*\)`)
	for _, d := range documents(t) {
		for i, l := range d.lines {
			if n := utf8.RuneCountInString(address.ReplaceAllString(l.text, "")); l.kind <= heading && n > maxWidth {
				t.Errorf("%s:%d has %d characters, at most %d are read with ease", d.path, i+1, n, maxWidth)
			}
		}
		if n := len(d.lines); d.path == "README.md" && n > maxLines {
			t.Errorf("README.md has %d lines, at most %d", n, maxLines)
		}
	}
}

var (
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	text := strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
	return strings.ReplaceAll(dropped.ReplaceAllString(text, ""), " ", "-")
}

// Every link within the repository leads to a file that is there, and to a heading
// that is in it.
func TestLinksLeadSomewhere(t *testing.T) {
	all := documents(t)
	anchors := map[string][]string{}
	for _, d := range all {
		for _, l := range d.lines {
			if l.kind == heading {
				anchors[d.path] = append(anchors[d.path], anchor(l.text))
			}
		}
	}
	for _, d := range all {
		for i, l := range d.lines {
			if l.kind >= code {
				continue
			}
			for _, m := range linked.FindAllStringSubmatch(l.text, -1) {
				if regexp.MustCompile(`^[a-z]+:`).MatchString(m[1]) { // elsewhere
					continue
				}
				file, place, _ := strings.Cut(m[1], "#")
				target := path.Join(path.Dir(d.path), file)
				if file == "" {
					target = d.path
				}
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s:%d: there is no %s", d.path, i+1, target)
				} else if place != "" && !slices.Contains(anchors[target], place) {
					t.Errorf("%s:%d: %s has no heading #%s", d.path, i+1, target, place)
				}
			}
		}
	}
}

// Every path of ours that a document names is there.
func TestNamedPathsExist(t *testing.T) {
	ours := regexp.MustCompile(`^(?:\./)?(?:functions|shared|notify|wxpayfunctions|\.ci|\.github)/[\w./-]*$`)
	for _, d := range documents(t) {
		for i, l := range d.lines {
			for _, name := range spans(l.text) {
				if !ours.MatchString(name) || l.kind >= code {
					continue
				}
				// Beside the document, or from the root.
				_, beside := os.Stat(filepath.Join(root, path.Dir(d.path), name))
				if _, err := os.Stat(filepath.Join(root, name)); err != nil && beside != nil {
					t.Errorf("%s:%d: there is no %s", d.path, i+1, name)
				}
			}
		}
	}
}

// Both languages have the same headings, commands, code, tables and names of
// things, in the same order.
func TestBothLanguagesSayTheSame(t *testing.T) {
	type pair struct{ english, chinese document }
	english, inChinese := halves(t)
	pairs := []pair{{english, inChinese}}
	for _, d := range documents(t) {
		if name, ok := strings.CutSuffix(d.path, ".zh.md"); ok {
			pairs = append(pairs, pair{read(t, name+".md"), d})
		}
	}
	if len(pairs) < 2 {
		t.Errorf("%d documents are in both languages, want README.md and functions/README.md at least", len(pairs))
	}
	for _, p := range pairs {
		if n := len(p.english.commands()); p.english.path == "functions/README.md" && n < 8 {
			t.Errorf("%s has %d commands, want at least 8", p.english.path, n)
		}
		for what, of := range map[string]func(document) []string{
			"headings": headings, "commands": (document).commands, "code": codes, "tables": tables, "names": names,
		} {
			a, b := of(p.english), of(p.chinese)
			if len(a) == 0 && what != "tables" && what != "code" {
				t.Errorf("%s has no %s", p.english.path, what)
			}
			for i := range max(len(a), len(b)) {
				if one, other := element(a, i), element(b, i); one != other {
					t.Errorf("%s: %s differ: %q, and in Chinese %q", p.english.path, what, one, other)
					break
				}
			}
		}
	}
}

func element(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "none"
}

// headings are the levels, the title left out and the highest counted as 0.
func headings(d document) (levels []string) {
	least := 9
	var all []int
	for _, l := range d.lines {
		if n := len(l.text) - len(strings.TrimLeft(l.text, "#")); l.kind == heading && n > 1 {
			all, least = append(all, n), min(least, n)
		}
	}
	for _, n := range all {
		levels = append(levels, fmt.Sprint(n-least))
	}
	return levels
}

var (
	quoted  = regexp.MustCompile(`'[^'\n]*'`)
	comment = regexp.MustCompile(`(^|\s)(//|# ).*$`)
	span    = regexp.MustCompile("`([^`]+)`")
	number  = regexp.MustCompile(`\d+(?:[.,]\d+)*`)
)

// codes is all code between fences, without comments and without what is for people.
func codes(d document) (all []string) {
	for _, l := range d.lines {
		if l.kind != fence {
			continue
		}
		text := comment.ReplaceAllString(l.text, "")
		text = quoted.ReplaceAllStringFunc(text, func(s string) string {
			if strings.Contains(s, " ") || translated(s) {
				return "''"
			}
			return s
		})
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	return all
}

func translated(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// tables are their rows, by the names and the figures in them. The generated table
// of settings is held by whoever generates it; only its names count here.
func tables(d document) (rows []string) {
	generated := false
	for _, l := range d.lines {
		switch {
		case strings.HasPrefix(l.text, "<!-- settings:"):
			generated = strings.Contains(l.text, "begin")
		case l.kind == table && generated:
			rows = append(rows, span.FindString(l.text))
		case l.kind == table:
			found := append(spans(l.text), number.FindAllString(span.ReplaceAllString(l.text, ""), -1)...)
			slices.Sort(found) // languages have their own order of words
			rows = append(rows, strings.Join(found, " "))
		}
	}
	return rows
}

// names are the code spans of the prose, each once.
func names(d document) []string {
	var text strings.Builder
	for _, l := range d.lines {
		if l.kind == prose {
			text.WriteString(strings.TrimSpace(l.text) + " ")
		}
	}
	all := spans(text.String())
	slices.Sort(all)
	return slices.Compact(all)
}

// spans are code spans, but for those that hold words of one language.
func spans(text string) (all []string) {
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		if s := m[1]; !translated(s) && !strings.HasPrefix(s, "file:") && !strings.Contains(s, "new,old") && !strings.Contains(s, "new old") {
			all = append(all, s)
		}
	}
	return all
}
