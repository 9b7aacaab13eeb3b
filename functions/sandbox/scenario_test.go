package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// played is what a run of the program with a scenario gives.
type played struct {
	code           int
	stdout, stderr string
}

// lines are those of standard output, of which each ends.
func (p played) lines() []string {
	return strings.Split(strings.TrimSuffix(p.stdout, "\n"), "\n")
}

func play(ctx context.Context, file string, args ...string) played {
	var stdout, stderr buffer
	code := run(ctx, append([]string{"-scenario", file}, args...), noVariables, &stdout, &stderr)
	return played{code, stdout.String(), stderr.String()}
}

// written is the file of a scenario.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scenario.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// shipped are the scenarios that come with the program.
func shipped(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	return files
}

// A told is a scenario as its file has it.
type told struct {
	Teaches string           `json:"teaches"`
	Flags   map[string]any   `json:"flags,omitempty"`
	Steps   []map[string]any `json:"steps"`
}

func toldBy(t *testing.T, file string) (s told) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// without is a scenario without the step that adds its first fault; false: it has none.
func (s told) without(t *testing.T) (string, bool) {
	t.Helper()
	i := slices.IndexFunc(s.Steps, func(st map[string]any) bool { return st["control"] == "POST /_sandbox/faults" })
	if i < 0 {
		return "", false
	}
	s.Steps = slices.Delete(s.Steps, i, i+1)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), true
}

// Every scenario that ships teaches something in a line, passes with one line a step,
// and sees the fault that it is about: without it, it fails.
func TestShippedScenariosPassAndSeeTheirFaults(t *testing.T) {
	t.Parallel()
	turns := make(chan struct{}, 8) // they mostly wait, so that two at a time would take a minute
	begin := func(file string) (end func() played) {
		out := make(chan played, 1)
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			out <- play(t.Context(), file)
		}()
		return func() played { return <-out }
	}
	whole, faultless := map[string]func() played{}, map[string]func() played{}
	for _, file := range shipped(t) {
		whole[file] = begin(file)
		if rest, ok := toldBy(t, file).without(t); ok {
			faultless[file] = begin(written(t, rest))
		}
	}
	for _, file := range shipped(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s, got := toldBy(t, file), whole[file]()
			if got.code != 0 || len(got.lines()) != len(s.Steps) || s.Teaches == "" {
				t.Fatalf("exit code %d, %d lines, want 0 and %d:\n%s%s", got.code, len(got.lines()), len(s.Steps), got.stdout, got.stderr)
			}
			for i, line := range got.lines() {
				if !strings.HasPrefix(line, fmt.Sprintf("ok %d ", i+1)) {
					t.Errorf("line %d: %s", i+1, line)
				}
			}
			if end, ok := faultless[file]; ok {
				if got := end(); got.code != 1 {
					t.Errorf("without its fault: exit code %d, want 1:\n%s", got.code, got.stdout)
				}
			}
		})
	}
}

// Whatever fault there is, a scenario shows what to learn from it.
func TestShippedScenariosShowEveryFault(t *testing.T) {
	t.Parallel()
	var known struct {
		Known struct {
			Upstream, Notify, Timer, Bill map[string]string
		}
	}
	start(t).control("GET", "/_sandbox/faults", "", &known)
	shown := map[string]bool{}
	for _, file := range shipped(t) {
		for _, s := range toldBy(t, file).Steps {
			body, _ := s["body"].(map[string]any)
			for _, kind := range []string{"upstream", "notify", "timer", "bill"} {
				shown[fmt.Sprint(kind, " ", body[kind])] = true
			}
		}
	}
	for kind, faults := range map[string]map[string]string{"upstream": known.Known.Upstream, "notify": known.Known.Notify, "timer": known.Known.Timer, "bill": known.Known.Bill} {
		if len(faults) == 0 {
			t.Errorf("%d faults of kind %s are known", len(faults), kind)
		}
		for name, teaches := range faults {
			if !shown[kind+" "+name] {
				t.Errorf("no scenario shows %s %s: %s", kind, name, teaches)
			}
		}
	}
}

// steps are a scenario of these steps, in JSON.
func steps(all ...string) string { return `{"steps":[` + strings.Join(all, ",") + `]}` }

const (
	orderStep  = `{"control":"POST /_sandbox/orders","body":{"out_trade_no":"order-1","total":100}}`
	refundStep = `{"call":"wxpayFunctions","data":{"type":"wxpay_refund","out_trade_no":"order-1","out_refund_no":"R1","amount":{"refund":60,"total":100,"currency":"CNY"}}}`
)

// Each kind of step fails where something else comes than it expects: its line says
// where, what was wanted and what came, the steps behind it are not taken, and the exit
// code is 1.
func TestScenarioEndsAtTheFirstStepThatFails(t *testing.T) {
	t.Parallel()
	refunded := func(expect string) string {
		return strings.TrimSuffix(refundStep, "}") + `,"expect":` + expect + `}`
	}
	for name, c := range map[string]struct{ step, want string }{
		"a door that refuses":      {`{"control":"POST /_sandbox/orders","body":{"totl":100}}`, "want status 200, got 400"},
		"a door that is not there": {`{"control":"GET /_sandbox/oders"}`, "want status 200, got 404"},
		"a door that takes":        {`{"title":"t","control":"GET /_sandbox/refunds","status":409}`, "t (GET /_sandbox/refunds): want status 409, got 200"},
		"what a door says":         {`{"control":"GET /_sandbox/refunds","expect":{"refunds":[{}]}}`, "refunds: want 1 in the list, got 0; the reply: {"},
		"a text":                   {`{"control":"GET /_sandbox/env","expect":"x"}`, `the reply: want "x", got "`},
		"a function's reply":       {refunded(`{"code":0,"data":{"amount":{"refund":61}}}`), `call wxpayFunctions: data.amount.refund: want 61, got 60; the reply: {"code":0,`},
		"a member that is missing": {refunded(`{"data":{"refund_status":"SUCCESS"}}`), `data.refund_status: want "SUCCESS", got nothing`},
		"a member too many":        {refunded(`{"data":null}`), `data: want nothing, got {`},
		"a kind of value":          {refunded(`{"code":"0"}`), `code: want "0", got 0`},
		"who calls":                {strings.Replace(refunded(`{"code":0}`), `"data"`, `"as":"oSomebody","source":"wx_client","data"`, 1), "call wxpayFunctions as oSomebody: code: want 0, got 403"},
		"a function that is none":  {`{"call":"wxpayfunctions"}`, "want status 200, got 404"},
		"time":                     {`{"advance":"1 year"}`, "1 year later (POST /_sandbox/clock): want status 200, got 400"},
		"what never comes":         {`{"call":"reconcile","expect":{"checked":7},"within":"300ms"}`, "after 300ms: checked: want 7, got 0"},
		"what is not saved there": {`{"control":"GET /_sandbox/refunds","save":"all"},{"control":"POST /_sandbox/refunds/${all.refunds.0.out_refund_no}/settle"}`,
			`${all.refunds.0.out_refund_no}: there is no "0" in []`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := play(t.Context(), written(t, steps(orderStep, c.step, `{"control":"GET /_sandbox/state"}`)))
			lines := got.lines()
			last := lines[len(lines)-1]
			if got.code != 1 || !strings.HasPrefix(lines[0], "ok 1 ") || !strings.HasPrefix(last, fmt.Sprintf("not ok %d ", len(lines))) ||
				!strings.Contains(last, c.want) || strings.Contains(got.stdout, "/_sandbox/state") {
				t.Errorf("exit code %d, want 1 and %q on the last line:\n%s%s", got.code, c.want, got.stdout, got.stderr)
			}
		})
	}
}

// A run of the timer that is broken off with the scenario adds nothing to its failure.
func TestAFailureOfAScenarioIsItsLastWord(t *testing.T) {
	t.Parallel()
	got := play(t.Context(), written(t, `{"flags":{"timer":true,"speed":600},"steps":[
		{"control":"POST /_sandbox/orders","body":{"total":100},"save":"order"},
		{"call":"wxpayFunctions","data":{"type":"wxpay_refund","out_trade_no":"${order.out_trade_no}","out_refund_no":"R1","amount":{"refund":60,"total":100,"currency":"CNY"}}},
		{"control":"POST /_sandbox/faults","body":{"upstream":"slow"}},
		{"control":"POST /_sandbox/faults","body":{"notify":"lose"}},
		{"control":"GET /_sandbox/refunds","expect":{"refunds":[]},"within":"500ms"}]}`))
	if got.code != 1 || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "this sandbox is not for production") {
		t.Errorf("exit code %d, standard error %q; want 1 and the warning alone", got.code, got.stderr)
	}
}

// A file that is not a scenario is refused before anything runs: exit code 2, nothing on
// standard output, and what is wrong by step and name.
func TestScenarioFilesAreReadStrictly(t *testing.T) {
	t.Parallel()
	of := func(step string) string { return steps(orderStep, step) }
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":              {`steps: []`, "not one JSON value"},
		"two values":           {steps(orderStep) + `{}`, "something is behind the JSON value"},
		"a name twice":         {of(`{"call":"notify","call":"reconcile"}`), `"steps[].call" is there twice`},
		"too deep":             {of(`{"call":"notify","data":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`), "nested too deeply"},
		"too large":            {`{"steps":[` + strings.Repeat(" ", maxScenario) + orderStep + `]}`, "more than 1048576 bytes"},
		"a list":               {`[]`, "not a JSON object"},
		"no steps":             {`{"steps":[]}`, `"steps" has 0 steps`},
		"too many steps":       {steps(slices.Repeat([]string{orderStep}, maxSteps+1)...), `"steps" has 1001 steps`},
		"steps that are none":  {`{"steps":{}}`, `"steps" is not a list`},
		"an unknown name":      {`{"step":[],"steps":[` + orderStep + `]}`, `"step" is not known here`},
		"a misspelt name":      {of(`{"control":"GET /","expected":{}}`), `step 2: "expected" is not known here`},
		"another case":         {of(`{"control":"GET /","Expect":{}}`), `step 2: "Expect" is not known here`},
		"all that is wrong":    {`{"steps":[{"call":"notify","body":{}},` + orderStep + `,{"x":1}]}`, "step 1: \"body\" is not known here\nstep 3: "},
		"a step that is none":  {of(`"order"`), "step 2: not an object"},
		"nothing to do":        {of(`{"expect":{}}`), `step 2: it has 0 of "control", "call" and "advance", want one`},
		"two things to do":     {of(`{"advance":"1m","call":"reconcile"}`), `step 2: it has 2 of`},
		"no method":            {of(`{"control":"/_sandbox/orders"}`), `step 2: "control" is "/_sandbox/orders", want a method and a path`},
		"another host":         {of(`{"control":"GET http://example.com/"}`), "want a method and a path"},
		"a function's path":    {of(`{"call":"../_sandbox/orders"}`), "no function's name"},
		"a status":             {of(`{"control":"GET /","status":2000}`), `"status" is not a status of HTTP`},
		"a status of a call":   {of(`{"call":"notify","status":200}`), `"status" is not known here`},
		"to wait for nothing":  {of(`{"control":"GET /","within":"1s"}`), `"within" without "expect"`},
		"to wait too long":     {of(`{"control":"GET /","within":"6m","expect":{}}`), `"within" is 6m0s`},
		"no duration":          {of(`{"control":"GET /","within":"10","expect":{}}`), `"within" is "10"`},
		"to repeat a change":   {of(`{"control":"DELETE /_sandbox/faults","within":"1s","expect":{}}`), "would repeat the DELETE"},
		"time and more":        {of(`{"advance":"1m","expect":{}}`), `"expect" is not known here`},
		"what nobody saves":    {of(`{"call":"notify","data":{"a":["${o.id}"]}}`), `step 2: no earlier step saves "o"`},
		"what is saved later":  {of(`{"control":"GET /${o.id}","save":"o"}`), `no earlier step saves "o"`},
		"saved twice":          {of(`{"control":"GET /","save":"o"},{"control":"GET /","save":"o"}`), `step 3: "save" is "o"`},
		"an empty title":       {of(`{"title":"","call":"notify"}`), `"title" is not a text, or is empty`},
		"a title of two lines": {of(`{"title":"a\nb","call":"notify"}`), `"title" is not a text, or is empty`},
		"an unknown flag":      {`{"flags":{"spede":1},"steps":[` + orderStep + `]}`, `flag "spede" cannot be set here`},
		"a flag for elsewhere": {`{"flags":{"listen":"0.0.0.0:80"},"steps":[` + orderStep + `]}`, `flag "listen" cannot be set here`},
		"a flag's value":       {`{"flags":{"speed":"fast"},"steps":[` + orderStep + `]}`, `flag "speed":`},
		"a flag that is none":  {`{"flags":{"operators":["a"]},"steps":[` + orderStep + `]}`, `flag "operators" is neither`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := written(t, c.text)
			if got := play(t.Context(), file); got.code != 2 || got.stdout != "" || !strings.Contains(got.stderr, c.want) || !strings.Contains(got.stderr, file) {
				t.Errorf("exit code %d, standard output %q, standard error %q; want 2, none, %q", got.code, got.stdout, got.stderr, c.want)
			}
		})
	}
	if got := play(t.Context(), "scenarios/none.json"); got.code != 2 || !strings.Contains(got.stderr, "scenarios/none.json") {
		t.Errorf("a file that is not there: exit code %d, %s", got.code, got.stderr)
	}
}

// All flags that a scenario may set are flags.
func TestScenarioFlagsAreFlags(t *testing.T) {
	var usage buffer
	_, _ = parse([]string{"-h"}, &usage)
	for _, name := range scenarioFlags {
		if !strings.Contains(usage.String(), "  -"+name) {
			t.Errorf("there is no flag -%s", name)
		}
	}
}

// A scenario's own flags count, and those of the command line before them.
func TestScenarioFlagsYieldToTheCommandLine(t *testing.T) {
	t.Parallel()
	another := strings.NewReplacer("R1", "R2", ":60", ":40").Replace(strings.TrimSuffix(refundStep, "}")) + `,"expect":{"code":0}}`
	file := written(t, strings.Replace(steps(orderStep, refundStep, another), "{", `{"flags":{"pace":"0s"},`, 1))
	if got := play(t.Context(), file); got.code != 0 {
		t.Errorf("with its own flag: exit code %d\n%s", got.code, got.stdout)
	}
	if got := play(t.Context(), file, "-pace", "1m"); got.code != 1 || !strings.Contains(got.stdout, "not ok 3 call wxpayFunctions: code: want 0, got 429") {
		t.Errorf("with -pace 1m: exit code %d\n%s", got.code, got.stdout)
	}
}

// Where time passes by itself, a step waits for what it expects; and what one step saves
// another one uses, as what it is.
func TestScenarioStepsWaitAndUseWhatWasSaved(t *testing.T) {
	t.Parallel()
	got := play(t.Context(), written(t, steps(
		`{"control":"POST /_sandbox/orders","body":{"total":100},"save":"o"}`,
		`{"call":"wxpayFunctions","data":{"type":"wxpay_refund","out_trade_no":"${o.out_trade_no}","out_refund_no":"R-${o.total}","amount":{"refund":60,"total":"${o.total}","currency":"CNY"}},"save":"r"}`,
		`{"call":"wxpayFunctions","data":{"type":"wxpay_refund_query","out_refund_no":"R-100"},"within":"30s",
		  "expect":{"data":{"status":"SUCCESS","refund_id":"${r.data.refund_id}"}}}`,
		`{"control":"GET /_sandbox/refunds","expect":{"refunds":[{"amount":"${r.data.amount}"}]}}`,
	)), "-speed", "300")
	if got.code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", got.code, got.stdout)
	}
}

// Whoever breaks a scenario off has not seen it pass.
func TestScenarioThatIsBrokenOffHasNotPassed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := written(t, steps(`{"call":"reconcile","expect":{"checked":0}}`, `{"call":"reconcile","expect":{"checked":7},"within":"1m"}`))
	out := &breaksOff{at: "ok 1 ", cancel: cancel}
	if code := run(ctx, []string{"-scenario", file}, noVariables, out, io.Discard); code != 1 || !strings.HasPrefix(out.String(), "ok 1 ") {
		t.Errorf("exit code %d, want 1 after the first step:\n%s", code, out)
	}
}

// breaksOff ends a program that writes a text, so that no clock decides when.
type breaksOff struct {
	buffer
	at     string
	cancel context.CancelFunc
}

func (b *breaksOff) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), b.at) {
		b.cancel()
	}
	return b.buffer.Write(p)
}

// A reply is as expected if it has all that is: objects may have more, lists not, and no
// digit of a number is lost.
func TestMatch(t *testing.T) {
	for _, c := range []struct{ want, got, differs string }{
		{`{}`, `{"a":1}`, ""},
		{`{"a":{"b":[1,{"c":"x"}]}}`, `{"a":{"b":[1,{"c":"x","d":2}],"e":3}}`, ""},
		{`{"a":null}`, `{}`, ""},
		{`{"a":null}`, `{"a":null}`, ""},
		{`9007199254740993`, `9007199254740993`, ""},
		{`9007199254740993`, `9007199254740992`, "the reply: want 9007199254740993, got 9007199254740992"},
		{`-0`, `0`, ""},
		{`0.5`, `0.5`, ""},
		{`0.5`, `0.50`, "the reply: want 0.5, got 0.50"},
		{`1`, `"1"`, `the reply: want 1, got "1"`},
		{`"1"`, `1`, `the reply: want "1", got 1`},
		{`true`, `false`, "the reply: want true, got false"},
		{`{"a":{"b":[1,{"c":"x"}]}}`, `{"a":{"b":[1,{"c":"y"}]}}`, `a.b[1].c: want "x", got "y"`},
		{`{"a":[]}`, `{"a":[1]}`, "a: want 0 in the list, got 1"},
		{`{"a":[1]}`, `{"a":[]}`, "a: want 1 in the list, got 0"},
		{`{"a":[1]}`, `{"a":{"0":1}}`, `a: want [1], got {"0":1}`},
		{`{"a":{}}`, `{"a":[]}`, "a: want {}, got []"},
		{`{"a":{}}`, `{}`, "a: want {}, got nothing"},
		{`{"a":false}`, `{}`, "a: want false, got nothing"},
		{`{"b":1,"a":1}`, `{}`, "a: want 1, got nothing"},
	} {
		if got := match("", tree(t, c.want), tree(t, c.got)); got != c.differs {
			t.Errorf("match(%s, %s) = %q, want %q", c.want, c.got, got, c.differs)
		}
	}
}

func tree(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Whatever is in a file, reading it ends in a scenario whose steps can be taken, or in
// an error.
func FuzzReadScenario(f *testing.F) {
	files, err := filepath.Glob("scenarios/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(steps(`{"control":"GET /a","save":"a"},{"call":"${a.b}","as":"${a.0}","data":["${a}"]}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readScenario(data)
		if err != nil {
			return
		}
		if len(s.steps) == 0 || len(s.steps) > maxSteps {
			t.Fatalf("%d steps", len(s.steps))
		}
		for i, st := range s.steps {
			if st.number != i+1 || st.method == "" || !strings.HasPrefix(st.path, "/") || st.within > 0 && st.call == "" && st.method != "GET" {
				t.Errorf("step %d: %+v", i+1, st)
			}
			_, _ = st.filled(map[string]any{})
		}
	})
}
