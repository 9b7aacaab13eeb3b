package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/strictjson"
)

const (
	maxReply    = 64 << 20              // bytes of a reply
	requestTime = 2 * time.Minute       // a clock that is moved takes 90 s at most
	pollPause   = 50 * time.Millisecond // between two looks at what is expected to come
	maxShown    = 2000                  // characters of a reply on the line of the step that fails
)

// errScenario ends the program after a scenario; whether it passed stands there.
var errScenario = errors.New("the scenario has ended")

// run takes the steps in turn against our side at base, and writes a line for each, to
// the first that fails. The error is errScenario, or that the lines cannot be written.
func (s *scenario) run(ctx context.Context, base string, out io.Writer) error {
	client := &http.Client{Timeout: requestTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	saved := map[string]any{}
	for _, st := range s.steps {
		no := st.take(ctx, client, base, saved)
		line := fmt.Sprintf("ok %d %s\n", st.number, st)
		if no != nil {
			line = fmt.Sprintf("not ok %d %s: %v\n", st.number, st, no)
		}
		if _, err := io.WriteString(out, line); err != nil {
			return err
		}
		if no != nil {
			return errScenario
		}
	}
	s.passed = true
	return errScenario
}

// exitCode is 0 if all went as expected. One that was broken off has not.
func (s *scenario) exitCode() int {
	if s.passed {
		return 0
	}
	return 1
}

// String is what the step is, in words.
func (s step) String() string {
	does := s.method + " " + s.path
	if s.call != "" {
		does = "call " + s.call
		if s.openid != "" {
			does += " as " + s.openid
		}
	}
	if s.title != "" {
		return s.title + " (" + does + ")"
	}
	return does
}

// take does what the step says, until it is as expected or the time for that is over. A
// reply that is as expected is saved.
func (s step) take(ctx context.Context, client *http.Client, base string, saved map[string]any) error {
	s, err := s.filled(saved)
	if err != nil {
		return err
	}
	for end := time.Now().Add(s.within); ; {
		reply, err := s.once(ctx, client, base)
		if err == nil {
			if s.save != "" {
				saved[s.save] = reply
			}
			return nil
		}
		if time.Now().After(end) {
			if s.within > 0 {
				err = fmt.Errorf("after %s: %w", s.within, err)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}

// filled is the step with what was saved in the place of references to it.
func (s step) filled(saved map[string]any) (step, error) {
	var bad error
	path, err := fillText(s.path, saved, url.PathEscape)
	bad = errors.Join(bad, err)
	openid, err := fillText(s.openid, saved, nil)
	bad = errors.Join(bad, err)
	body, err := fill(s.body, saved)
	bad = errors.Join(bad, err)
	expect, err := fill(s.expect, saved)
	s.path, s.openid, s.body, s.expect = path, openid, body, expect
	return s, errors.Join(bad, err)
}

// once sends the request and returns the reply, of a function its result. The error is
// how that differs from what is expected.
func (s step) once(ctx context.Context, client *http.Client, base string) (any, error) {
	var body io.Reader = http.NoBody
	if s.body != nil {
		b, err := json.Marshal(s.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, s.method, base+s.path, body)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "X-WX-OPENID": s.openid, "X-WX-SOURCE": s.source} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, err
	}
	reply, err := strictjson.Parse(data, strictjson.Options{KeepLast: true, Mend: true})
	if err != nil {
		reply = string(data) // some doors answer with text
	}
	if res.StatusCode != s.status {
		return nil, fmt.Errorf("want status %d, got %d: %s", s.status, res.StatusCode, shown(reply))
	}
	if wrapper, ok := reply.(map[string]any); ok && s.call != "" {
		reply = wrapper["result"]
	}
	if s.expects {
		if differs := match("", s.expect, reply); differs != "" {
			return nil, fmt.Errorf("%s; the reply: %s", differs, shown(reply))
		}
	}
	return reply, nil
}

// match tells in words how got differs from what is wanted, which may leave out members
// of objects, and of lists must have every element. A wanted null is a member that is
// null or not there. Empty: it does not differ.
func match(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		members, ok := got.(map[string]any)
		if !ok {
			return differs(path, want, got)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if no := match(strings.TrimPrefix(path+"."+name, "."), want[name], members[name]); no != "" {
				return no
			}
		}
		return ""
	case []any:
		elements, ok := got.([]any)
		if !ok {
			return differs(path, want, got)
		}
		if len(elements) != len(want) {
			return fmt.Sprintf("%s: want %d in the list, got %d", cmp.Or(path, "the reply"), len(want), len(elements))
		}
		for i := range want {
			if no := match(fmt.Sprintf("%s[%d]", path, i), want[i], elements[i]); no != "" {
				return no
			}
		}
		return ""
	case json.Number:
		if number, ok := got.(json.Number); ok && same(want, number) {
			return ""
		}
		return differs(path, want, got)
	}
	if want == got { // texts, booleans, null
		return ""
	}
	return differs(path, want, got)
}

// same compares integers by value and others as they are written: no digit is lost.
func same(a, b json.Number) bool {
	x, noX := a.Int64()
	y, noY := b.Int64()
	return a == b || noX == nil && noY == nil && x == y
}

func differs(path string, want, got any) string {
	return fmt.Sprintf("%s: want %s, got %s", cmp.Or(path, "the reply"), shown(want), shown(got))
}

// shown writes a value on one line, not too long; what is not there as nothing.
func shown(v any) string {
	if v == nil {
		return "nothing"
	}
	var line strings.Builder
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	text := []rune(strings.TrimSpace(line.String()))
	if len(text) > maxShown {
		text = append(text[:maxShown], '…')
	}
	return string(text)
}

// A reference is ${name.member.0}: what a step has saved, and the way into it.
var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// references yields the names of what is referred to in a value.
func references(v any) map[string]bool {
	names := map[string]bool{}
	_, _ = replace(v, func(text string) (any, error) {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			name, _, _ := strings.Cut(m[1], ".")
			names[name] = true
		}
		return text, nil
	})
	return names
}

// fill puts what was saved in the place of references. A text that is nothing but one
// becomes what it refers to, be it a text or not.
func fill(v any, saved map[string]any) (any, error) {
	return replace(v, func(text string) (any, error) {
		if m := reference.FindString(text); m != "" && m == text {
			return resolve(text[2:len(text)-1], saved)
		}
		return fillText(text, saved, nil)
	})
}

// fillText does it within a text; escape, if there is one, is for what is put in.
func fillText(text string, saved map[string]any, escape func(string) string) (string, error) {
	var bad error
	filled := reference.ReplaceAllStringFunc(text, func(m string) string {
		v, err := resolve(m[2:len(m)-1], saved)
		bad = errors.Join(bad, err)
		in, ok := v.(string)
		if !ok {
			in = shown(v)
		}
		if escape != nil {
			in = escape(in)
		}
		return in
	})
	return filled, bad
}

// resolve follows the way into what was saved.
func resolve(way string, saved map[string]any) (any, error) {
	names := strings.Split(way, ".")
	v := saved[names[0]]
	for _, name := range names[1:] {
		var in any
		switch at := v.(type) {
		case map[string]any:
			in = at[name]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(at) {
				in = at[i]
			}
		}
		if in == nil {
			return nil, fmt.Errorf("${%s}: there is no %q in %s", way, name, shown(v))
		}
		v = in
	}
	return v, nil
}

// replace returns the value with every text in it replaced.
func replace(v any, by func(string) (any, error)) (any, error) {
	var bad error
	part := func(v any) any {
		v, err := replace(v, by)
		bad = errors.Join(bad, err)
		return v
	}
	switch v := v.(type) {
	case string:
		return by(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = part(member)
		}
		return out, bad
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = part(element)
		}
		return out, bad
	}
	return v, nil
}
