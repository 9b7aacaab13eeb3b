package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/strictjson"
)

// A scenario is a story that is told to the sandbox step by step, each with what must
// come of it. It is read from a file, which is checked as a whole before anything runs.
type scenario struct {
	teaches string            // for people: one line
	flags   map[string]string // of the program, as the story needs them
	steps   []step
	passed  bool // every step went as expected
}

// A step does one thing: a request to a door, a call of a function, or time passes. A
// value in it is JSON as strictjson reads it, with references to what earlier steps
// have saved.
type step struct {
	number  int    // from 1
	title   string // for people: one line; empty: what it does says enough
	method  string // of a request; of a call POST
	path    string
	call    string // the function; empty: a request
	openid  string // who calls, as the platform would tell; empty: a server
	source  string
	body    any // nil: none
	expect  any
	expects bool // expect is there
	status  int  // of HTTP
	within  time.Duration
	save    string
}

// Bounds of a scenario.
const (
	maxScenario = 1 << 20           // bytes of the file
	maxNesting  = 32                // objects and lists around a value
	maxSteps    = 1000              //
	maxWithin   = 5 * time.Minute   // real time that a step may wait for what it expects
	clockPath   = "/_sandbox/clock" // what "advance" is short for
)

// usualFlags are those of a scenario that says nothing of them: it runs beside whatever
// else does, and nothing happens in it but what a step makes happen.
var usualFlags = map[string]string{
	"listen": "127.0.0.1:0", "wechat": "127.0.0.1:0", "wechat-tls": "127.0.0.1:0",
	"speed": "1", "hostile": "false", "timer": "false",
}

// scenarioFlags are those that a scenario may set: what the story is about, and not where
// the program listens, whom it posts to and what it keeps.
var scenarioFlags = []string{"channel", "hostile", "merchant", "operators", "pace", "seed", "speed", "subscribers", "timer"}

// loadScenario reads a scenario from a file, and sets the flags that it needs unless they
// were given.
func loadScenario(name string, flags *flag.FlagSet) (*scenario, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // of what was only read
	data, err := io.ReadAll(io.LimitReader(file, maxScenario+1))
	if err != nil {
		return nil, err
	}
	s, err := readScenario(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, values := range []map[string]string{s.flags, usualFlags} {
		if err := setUnlessGiven(flags, values); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// setUnlessGiven sets flags that have not been set.
func setUnlessGiven(flags *flag.FlagSet, values map[string]string) error {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if given[name] {
			continue
		}
		if err := flags.Set(name, values[name]); err != nil {
			return fmt.Errorf("flag %q: %w", name, err)
		}
	}
	return nil
}

// readScenario reads a scenario. The error is all that is wrong with it.
func readScenario(data []byte) (*scenario, error) {
	if len(data) > maxScenario {
		return nil, fmt.Errorf("more than %d bytes", maxScenario)
	}
	tree, err := strictjson.Parse(data, strictjson.Options{MaxDepth: maxNesting})
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "strictjson: "))
	}
	top, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	f := &fields{left: top}
	s := &scenario{teaches: f.text("teaches"), flags: map[string]string{}}
	for name, value := range f.object("flags") {
		if !slices.Contains(scenarioFlags, name) {
			f.refuse("flag %q cannot be set here; those that can are %s", name, strings.Join(scenarioFlags, ", "))
		}
		switch value.(type) {
		case string, bool, json.Number:
			s.flags[name] = fmt.Sprint(value)
		default:
			f.refuse("flag %q is neither a text nor a number, true or false", name)
		}
	}
	steps := f.list("steps")
	if len(steps) == 0 || len(steps) > maxSteps {
		f.refuse("%q has %d steps, want 1 to %d", "steps", len(steps), maxSteps)
	}
	problems := f.end()
	saved := map[string]bool{}
	for i, v := range steps {
		st, bad := readStep(i+1, v, saved)
		for _, b := range bad {
			problems = append(problems, fmt.Errorf("step %d: %w", i+1, b))
		}
		s.steps = append(s.steps, st)
	}
	return s, errors.Join(problems...)
}

var (
	requestForm = regexp.MustCompile(`^(GET|POST|DELETE) (/\S*)$`)
	saveForm    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// readStep reads one step. Into saved goes the name under which it saves.
func readStep(number int, v any, saved map[string]bool) (step, []error) {
	members, ok := v.(map[string]any)
	if !ok {
		return step{}, []error{errors.New("not an object")}
	}
	f := &fields{left: members}
	s := step{number: number, title: f.text("title"), save: f.text("save"), status: http.StatusOK}
	if deeds := s.readDeed(f); deeds != 1 {
		f.refuse(`it has %d of "control", "call" and "advance", want one`, deeds)
	} else {
		s.checkWithin(f)
	}
	for _, v := range []any{s.path, s.openid, s.body, s.expect} {
		for name := range references(v) {
			if !saved[name] {
				f.refuse("no earlier step saves %q", name)
			}
		}
	}
	if s.save != "" {
		if !saveForm.MatchString(s.save) || saved[s.save] {
			f.refuse("%q is %q, want a name of lower-case letters that no other step has", "save", s.save)
		}
		saved[s.save] = true
	}
	return s, f.end()
}

// readDeed reads what a step does and what must come of it. It returns how many things it
// does.
func (s *step) readDeed(f *fields) (deeds int) {
	if request := f.text("control"); request != "" {
		deeds++
		m := requestForm.FindStringSubmatch(request)
		if m == nil {
			f.refuse("%q is %q, want a method and a path, as POST /_sandbox/orders", "control", request)
			m = make([]string, 3)
		}
		s.method, s.path = m[1], m[2]
		s.body, _ = f.any("body")
		s.status = cmp.Or(f.httpStatus("status"), s.status)
	}
	if s.call = f.text("call"); s.call != "" {
		deeds++
		if !functionForm.MatchString(s.call) {
			f.refuse("%q is %q, which is no function's name", "call", s.call)
		}
		s.method, s.path = http.MethodPost, "/functions/"+s.call
		s.openid, s.source = f.text("as"), f.text("source")
		var ok bool
		if s.body, ok = f.any("data"); !ok {
			s.body = map[string]any{}
		}
	}
	if by := f.text("advance"); by != "" {
		deeds++
		s.method, s.path, s.body = http.MethodPost, clockPath, map[string]any{"advance": by}
		s.expect, s.expects = map[string]any{"complete": true}, true
		s.title = cmp.Or(s.title, by+" later")
		return deeds
	}
	s.expect, s.expects = f.any("expect")
	s.within = f.duration("within")
	return deeds
}

// checkWithin refuses to wait for what cannot come, or to do a thing again and again.
func (s *step) checkWithin(f *fields) {
	switch {
	case s.within > maxWithin || s.within < 0:
		f.refuse("%q is %s, at most %s can be waited", "within", s.within, maxWithin)
	case s.within > 0 && !s.expects:
		f.refuse("%q without %q waits for nothing", "within", "expect")
	case s.within > 0 && s.call == "" && s.method != http.MethodGet:
		f.refuse("%q would repeat the %s until it is as expected", "within", s.method)
	}
}

// fields are the members of an object that are still to be read, and what is wrong.
type fields struct {
	left map[string]any
	bad  []error
}

func (f *fields) refuse(format string, a ...any) { f.bad = append(f.bad, fmt.Errorf(format, a...)) }

// any takes a member out.
func (f *fields) any(name string) (any, bool) {
	v, ok := f.left[name]
	delete(f.left, name)
	return v, ok
}

// take is any for members of a kind. What is there must not be empty.
func take[T any](f *fields, name, kind string, empty func(T) bool) (out T) {
	v, ok := f.any(name)
	if !ok {
		return out
	}
	if out, ok = v.(T); !ok || empty(out) {
		f.refuse("%q is not %s", name, kind)
	}
	return out
}

func (f *fields) text(name string) string {
	return take(f, name, "a text, or is empty", func(s string) bool { return s == "" || strings.ContainsAny(s, "\r\n") })
}

func (f *fields) object(name string) map[string]any {
	return take(f, name, "an object", func(map[string]any) bool { return false })
}

func (f *fields) list(name string) []any {
	return take(f, name, "a list", func([]any) bool { return false })
}

func (f *fields) httpStatus(name string) int {
	n := take(f, name, "a status of HTTP", func(n json.Number) bool { v, err := n.Int64(); return err != nil || v < 100 || v > 599 })
	v, _ := n.Int64() // 0, if it is not there or was refused
	return int(v)
}

func (f *fields) duration(name string) time.Duration {
	text := f.text(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		f.refuse("%q is %q, want a duration like 10s", name, text)
	}
	return d
}

// end returns what is wrong, with the names that nobody has asked for.
func (f *fields) end() []error {
	for _, name := range slices.Sorted(maps.Keys(f.left)) {
		f.refuse("%q is not known here", name)
	}
	return f.bad
}
