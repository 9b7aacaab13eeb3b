package control

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// params read the query of a request: what is misspelt or there twice is refused, since
// whoever filters by it would believe what he is shown. Its methods read one name each;
// the first thing that is wrong is what [params.bad] returns.
type params struct {
	values url.Values
	known  map[string]bool
	err    error
}

// maxText bounds what is searched for, in bytes.
const maxText = 200

func readParams(r *http.Request) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values, known: map[string]bool{}}
	if err != nil {
		p.err = fmt.Errorf("the query cannot be read: %w", err)
	}
	return p
}

func (p *params) fail(name, must string) {
	if p.err == nil {
		p.err = fmt.Errorf("?%s must be %s", name, must)
	}
}

// text returns what a name says, nothing if it is not there.
func (p *params) text(name string) string {
	p.known[name] = true
	all := p.values[name]
	if len(all) > 1 {
		p.fail(name, "there once")
	}
	if len(all) == 0 {
		return ""
	}
	if len(all[0]) > maxText {
		p.fail(name, fmt.Sprintf("of at most %d bytes", maxText))
	}
	return all[0]
}

// number is one from least to most, otherwise what it is if it is not there.
func (p *params) number(name string, least, most, otherwise int64) int64 {
	text := p.text(name)
	if text == "" && !p.values.Has(name) {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		p.fail(name, fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return n
}

// flag is true or false; nil if it is not there.
func (p *params) flag(name string) *bool {
	text := p.text(name)
	if !p.values.Has(name) {
		return nil
	}
	if text != "true" && text != "false" {
		p.fail(name, "true or false")
	}
	on := text == "true"
	return &on
}

// among are some of the given words, with commas between them; none if it is not there.
func (p *params) among(name string, words ...string) []string {
	text := p.text(name)
	if text == "" {
		return nil
	}
	chosen := strings.Split(text, ",")
	for _, c := range chosen {
		if !slices.Contains(words, c) {
			p.fail(name, "some of "+strings.Join(words, ", "))
		}
	}
	return chosen
}

// currency is the code of one, in large letters however it is written; empty if it is not there.
func (p *params) currency(name string) string {
	code := strings.ToUpper(p.text(name))
	if code != "" && !schema.FormCurrency.MatchString(code) {
		p.fail(name, "the three letters of a currency, like CNY")
	}
	return code
}

// moment is a time, or a day of China's; zero if it is not there. The day is there for
// who means all of it: the time is its beginning, or with end its last moment.
func (p *params) moment(name string, end bool) time.Time {
	text := p.text(name)
	if text == "" {
		return time.Time{}
	}
	// A plus that was not escaped has become a space.
	if t, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+")); err == nil {
		return t
	}
	day, err := time.ParseInLocation(time.DateOnly, text, world.China)
	if err != nil {
		p.fail(name, "a day like 2026-11-26 or a time like 2026-11-26T10:34:56+08:00")
	}
	if end {
		return day.AddDate(0, 0, 1).Add(-1)
	}
	return day
}

// day is the midnight in China with which a day begins; that of otherwise if it is not there.
func (p *params) day(name string, otherwise time.Time) time.Time {
	text := p.text(name)
	if text == "" {
		text = otherwise.In(world.China).Format(time.DateOnly)
	}
	day, err := time.ParseInLocation(time.DateOnly, text, world.China)
	if err != nil {
		p.fail(name, "a day like 2026-11-26")
	}
	return day
}

// bad returns what is wrong with what has been read, and names that nobody has read.
func (p *params) bad() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if p.err == nil && !p.known[name] {
			p.err = fmt.Errorf("?%s is not known here; there is %s", name, p.names())
		}
	}
	return p.err
}

func (p *params) names() string {
	if len(p.known) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(p.known)), ", ")
}

// checkQuery refuses names in a query that an endpoint does not know, or that are there
// twice: whoever asks for ?limit=5 would take all for five.
func checkQuery(r *http.Request, names string) *refusal {
	if names == "*" {
		return nil
	}
	p := readParams(r)
	for _, name := range strings.FieldsFunc(names, func(c rune) bool { return c == '&' }) {
		p.text(name)
	}
	if err := p.bad(); err != nil {
		return &refusal{http.StatusBadRequest, err.Error()}
	}
	return nil
}

// A page is which part of a list is asked for.
type page struct{ offset, limit int }

const (
	usualLimit = 50
	maxLimit   = 200
	maxOffset  = 1 << 30
)

func (p *params) page() page {
	return page{int(p.number("offset", 0, maxOffset, 0)), int(p.number("limit", 1, maxLimit, usualLimit))}
}

// pick returns the part of a list that a page asks for, the last of all first, of what ok
// lets pass; total is how much that is.
func pick[T any](all []T, p page, ok func(T) bool) (found []T, total int) {
	for _, x := range slices.Backward(all) {
		if !ok(x) {
			continue
		}
		if total >= p.offset && len(found) < p.limit {
			found = append(found, x)
		}
		total++
	}
	return found, total
}
