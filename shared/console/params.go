package console

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Params read the query of a request: what is misspelt or there twice is refused, since
// whoever filters by it would believe what he is shown. Its methods read one name each;
// the first thing that is wrong is what [Params.Bad] returns.
type Params struct {
	values url.Values
	known  map[string]bool
	err    error
}

// maxText bounds what is searched for, in bytes.
const maxText = 200

// maxToken bounds what this program has made itself, in bytes.
const maxToken = 2000

// ReadParams reads the query of a request.
func ReadParams(r *http.Request) *Params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &Params{values: values, known: map[string]bool{}}
	if err != nil {
		p.err = fmt.Errorf("the query cannot be read: %w", err)
	}
	return p
}

func (p *Params) fail(name, must string) {
	if p.err == nil {
		p.err = fmt.Errorf("?%s must be %s", name, must)
	}
}

// Text returns what a name says, nothing if it is not there.
func (p *Params) Text(name string) string { return p.bounded(name, maxText) }

// Token is a text of a program's own, a cursor, nothing if it is not there.
func (p *Params) Token(name string) string { return p.bounded(name, maxToken) }

func (p *Params) bounded(name string, most int) string {
	p.known[name] = true
	all := p.values[name]
	if len(all) > 1 {
		p.fail(name, "there once")
	}
	if len(all) == 0 {
		return ""
	}
	if len(all[0]) > most {
		p.fail(name, fmt.Sprintf("of at most %d bytes", most))
	}
	return all[0]
}

// Number is one from least to most, otherwise what it is if it is not there.
func (p *Params) Number(name string, least, most, otherwise int64) int64 {
	text := p.Text(name)
	if text == "" && !p.values.Has(name) {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		p.fail(name, fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return n
}

// Flag is true or false; nil if it is not there.
func (p *Params) Flag(name string) *bool {
	text := p.Text(name)
	if !p.values.Has(name) {
		return nil
	}
	if text != "true" && text != "false" {
		p.fail(name, "true or false")
	}
	on := text == "true"
	return &on
}

// Among are some of the given words, with commas between them; none if it is not there.
func (p *Params) Among(name string, words ...string) []string {
	text := p.Text(name)
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

// Currency is the code of one, in large letters however it is written; empty if it is not there.
func (p *Params) Currency(name string) string {
	code := strings.ToUpper(p.Text(name))
	if code != "" && !isCurrency(code) {
		p.fail(name, "the three letters of a currency, like CNY")
	}
	return code
}

// Moment is a time, or a day of China's; zero if it is not there. The day is there for
// who means all of it: the time is its beginning, or with end its last moment.
func (p *Params) Moment(name string, end bool) time.Time {
	text := p.Text(name)
	if text == "" {
		return time.Time{}
	}
	// A plus that was not escaped has become a space.
	if t, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+")); err == nil {
		return t
	}
	day, err := time.ParseInLocation(time.DateOnly, text, china())
	if err != nil {
		p.fail(name, "a day like 2026-11-26 or a time like 2026-11-26T10:34:56+08:00")
	}
	if end {
		return day.AddDate(0, 0, 1).Add(-1)
	}
	return day
}

// Day is the midnight in China with which a day begins; that of otherwise if it is not there.
func (p *Params) Day(name string, otherwise time.Time) time.Time {
	text := p.Text(name)
	if text == "" {
		text = otherwise.In(china()).Format(time.DateOnly)
	}
	day, err := time.ParseInLocation(time.DateOnly, text, china())
	if err != nil {
		p.fail(name, "a day like 2026-11-26")
	}
	return day
}

// Bad returns what is wrong with what has been read, and names that nobody has read.
func (p *Params) Bad() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if p.err == nil && !p.known[name] {
			p.err = fmt.Errorf("?%s is not known here; there is %s", name, p.names())
		}
	}
	return p.err
}

func (p *Params) names() string {
	if len(p.known) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(p.known)), ", ")
}

// checkQuery refuses names in a query that an endpoint does not know, or that are there
// twice: whoever asks for ?limit=5 would take all for five.
func checkQuery(r *http.Request, names string) *Refusal {
	if names == "*" {
		return nil
	}
	p := ReadParams(r)
	for _, name := range strings.FieldsFunc(names, func(c rune) bool { return c == '&' }) {
		p.Text(name)
	}
	if err := p.Bad(); err != nil {
		return &Refusal{http.StatusBadRequest, err.Error()}
	}
	return nil
}

// MaxLimit is the most items that are asked for at a time.
const MaxLimit = 200

// usualLimit is how many there are if nobody says.
const usualLimit = 50

// Limit is how many items of a list are asked for.
func (p *Params) Limit() int { return int(p.Number("limit", 1, MaxLimit, usualLimit)) }

// china is the zone in which WeChat Pay writes its times.
func china() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// True tells whether a name is there and true.
func (p *Params) True(name string) bool {
	on := p.Flag(name)
	return on != nil && *on
}
