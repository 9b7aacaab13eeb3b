//go:build !scf && !lambda

package metrics_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"wxrefund/notify"
	"wxrefund/shared/refund"
)

// exercised is a meter all of whose families are there.
func exercised(t *testing.T) *measured {
	t.Helper()
	m := measure()
	m.Replies()
	m.Notifications(notify.Outcomes(), notify.Reasons())
	m.book.days = map[refund.Key]string{"bill/" + refund.Key(refund.DayOf(time.Now()).Add(-1)): `{"report":{"state":"agrees"}}`}
	_, _ = m.Channel.Refund(t.Context(), refund.Request{})
	_, _ = m.Channel.Query(t.Context(), refund.Lookup{})
	m.up.err = &refund.Error{Code: refund.CodeUnavailable}
	_, _ = m.Channel.Query(t.Context(), refund.Lookup{})
	_, _ = m.Ledger.Get(t.Context(), "a")
	_ = m.Ledger.Commit(t.Context())
	m.Reconciled(t.Context(), refund.Summary{}, nil)
	m.Reconciled(t.Context(), refund.Summary{}, errors.New("no"))
	return m
}

var (
	ourMetric = regexp.MustCompile(`wxrefund_[a-z_]+`)
	matcher   = regexp.MustCompile(`([a-z]+)=~?"([^"]+)"`)
)

// base is the family of a name, as a histogram's series have longer ones.
func base(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if family, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(family, "_duration_seconds") {
			return family
		}
	}
	return name
}

func TestRulesAskForWhatIsServed(t *testing.T) {
	text, err := os.ReadFile("../../functions/prometheus-rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Annotations      struct{ Summary string }
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	m := exercised(t)
	served := m.scrape(t)
	all := string(m.Exposition()(t.Context()))
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if seen[r.Alert] || r.Alert == "" || r.Annotations.Summary == "" || strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") {
				t.Errorf("%+v is no whole rule, or there twice", r)
			}
			seen[r.Alert] = true
			names := ourMetric.FindAllString(r.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s asks for none of our metrics", r.Alert)
			}
			for _, name := range names {
				if served[base(name)] == nil {
					t.Errorf("%s asks for %s, which is not served", r.Alert, name)
				}
			}
			for _, m := range matcher.FindAllStringSubmatch(r.Expr, -1) {
				for _, value := range strings.Split(m[2], "|") {
					if !strings.Contains(all, m[1]+`="`+value+`"`) {
						t.Errorf("%s asks for %s=%q, which no series has", r.Alert, m[1], value)
					}
				}
			}
		}
	}
	if len(seen) < 6 {
		t.Errorf("%d rules", len(seen))
	}
}

// The documents name each metric of ours with its type, and no other.
func TestDocumentsListTheMetrics(t *testing.T) {
	served := exercised(t).scrape(t)
	row := regexp.MustCompile("(?m)^\\| `(wxrefund_[a-z_]+)` \\| (gauge|counter|histogram) \\|")
	for _, name := range []string{"README.md", "README.zh.md"} {
		text, err := os.ReadFile("../../functions/" + name)
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{}
		for _, r := range row.FindAllStringSubmatch(string(text), -1) {
			listed[r[1]] = true
			if f := served[r[1]]; f == nil || strings.ToLower(f.GetType().String()) != r[2] {
				t.Errorf("%s: %s is listed as a %s", name, r[1], r[2])
			}
		}
		for family := range served {
			if strings.HasPrefix(family, "wxrefund_") && !listed[family] {
				t.Errorf("%s does not list %s", name, family)
			}
		}
		for _, reason := range notify.Reasons() {
			if !strings.Contains(string(text), reason) {
				t.Errorf("%s does not say %q", name, reason)
			}
		}
	}
}
