package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// clsAlarm is what the test reads of an alarm policy of CLS.
type clsAlarm struct {
	Name, Condition string
	AlarmTargets    []struct {
		Query                   string
		StartTimeOffset, Number int
		LogsetId, TopicId       string //nolint:revive // as the API has it
	}
	MonitorTime struct{ Time int }
}

func clsFile(t *testing.T) ([]byte, []clsAlarm) {
	t.Helper()
	text, err := os.ReadFile("../cls-alarms.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []clsAlarm
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return text, all
}

// The file is requests of the API as it is documented, and the schema refuses others.
func TestCLSAlarmsAreRequestsOfTheAPI(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile("testdata/cls-createalarm.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := clsFile(t)
	check := func(text string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return err
		}
		for _, request := range value.([]any) {
			if err := s.Validate(request); err != nil {
				return err
			}
		}
		return nil
	}
	if err := check(string(text)); err != nil {
		t.Error(err)
	}
	for before, after := range map[string]string{
		`"TriggerCount": 1`: `"TriggerCount": 0`, `"AlarmPeriod": 60`: `"AlarmPeriod": 1441`, `"StartTimeOffset": -5`: `"StartTimeOffset": 5`,
		`"Type": "Period"`: `"Type": "Cron"`, `"AlarmLevel": 2`: `"AlarmLevel": 3`, `"Query"`: `"Quest"`, `"Condition": "$1.lines`: `"Condition": "lines`,
		`"Status": true`: `"Status": "true"`, `"Name": "wxrefund: a`: `"Name": "wxrefund| a`,
	} {
		if changed := strings.Replace(string(text), before, after, 1); changed == string(text) || check(changed) == nil {
			t.Errorf("%s is taken for %s", after, before)
		}
	}
}

// clsTerm is one condition of a search.
var clsTerm = regexp.MustCompile(`^(NOT )?([a-z_]+):"([^"]+)"$`)

// clsFinds evaluates the search of a query on a line. CLS cuts texts into words, so that
// a value is found inside of a longer one.
func clsFinds(t *testing.T, query, line string) bool {
	t.Helper()
	search, analysis, ok := strings.Cut(query, " | ")
	if !ok || analysis != "select count(*) as lines" {
		t.Fatalf("%q is more than this test can evaluate", query)
	}
	var record map[string]any
	if json.Unmarshal([]byte(line), &record) != nil {
		return false
	}
	for _, part := range strings.Split(search, " AND ") {
		m := clsTerm.FindStringSubmatch(part)
		if m == nil {
			t.Fatalf("%q is more than this test can evaluate", part)
		}
		value, _ := record[m[2]].(string)
		if found := strings.Contains(" "+value+" ", " "+m[3]+" "); found == (m[1] != "") {
			return false
		}
	}
	return true
}

// The alarms of CLS watch for what those of CloudWatch watch for.
func TestCLSAlarmsFindTheSameLinesAsThoseOfAWS(t *testing.T) {
	lines := loggedLines(t)
	lines["an alarm that is over"] = []string{`{"level":"INFO","msg":"alarm closed","alarm":"claim_in_doubt"}`}
	_, alarms := clsFile(t)
	want := map[string]struct {
		finds     []string
		condition string
		minutes   int
	}{
		"wxrefund: signatures are refused": {[]string{"forged", "without head", "stale", "unknown key"}, "$1.lines >= 10", 5},
		"wxrefund: a refund is stuck":      {[]string{"a stuck refund"}, "$1.lines >= 1", 60},
		"wxrefund: a person should look":   {[]string{"a stuck refund"}, "$1.lines >= 1", 5},
		"wxrefund: nothing is reconciled":  {[]string{"an idle run", "a stuck refund"}, "$1.lines < 1", 15},
	}
	if len(alarms) != len(want) {
		t.Errorf("got %d alarms, want %d", len(alarms), len(want))
	}
	for _, a := range alarms {
		w, known := want[a.Name]
		target := a.AlarmTargets[0]
		if !known || a.Condition != w.condition || -target.StartTimeOffset != w.minutes || a.MonitorTime.Time > w.minutes || target.Number != 1 {
			t.Errorf("%s: got %+v, want %+v", a.Name, a, w)
		}
		if target.LogsetId != "${SCF_CLS_LOGSET_ID}" || target.TopicId != "${SCF_CLS_TOPIC_ID}" {
			t.Errorf("%s: watches %s, %s, want what serverless.yml logs to", a.Name, target.LogsetId, target.TopicId)
		}
		for what, logged := range lines {
			n := 0
			for _, line := range logged {
				if clsFinds(t, target.Query, line) {
					n++
				}
			}
			counted := bytes.Contains([]byte("\n"+strings.Join(w.finds, "\n")+"\n"), []byte("\n"+what+"\n"))
			if (n == 1) != counted || n > 1 {
				t.Errorf("%s finds %d lines of %s, want it found: %v\n%s", a.Name, n, what, counted, strings.Join(logged, "\n"))
			}
		}
	}
}
