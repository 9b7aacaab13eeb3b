package clients_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operations are what can be tried, in the words of the checks, and how either document
// calls them.
var operations = []struct{ check, english, chinese string }{
	{"refund", "refund", "退款"},
	{"query", "query", "查询"},
	{"notification", "notification", "通知"},
	{"certificates", "certificates", "平台证书"},
}

// The tables of both documents have every client, in the version that is installed, with
// what is tried of it and for whom.
func TestREADMETables(t *testing.T) {
	versions := pinned(t)
	for path, word := range map[string]func(i int) string{
		"../README.md":    func(i int) string { return operations[i].english },
		"../README.zh.md": func(i int) string { return operations[i].chinese },
	} {
		var want, got []string
		for _, c := range matrix {
			checks := c.want("switching", "")
			var tried []string
			for i, o := range operations {
				for check := range checks {
					if strings.Contains(check, o.check) {
						tried = append(tried, word(i))
						break
					}
				}
			}
			merchants := "—"
			if len(c.kinds) > 0 {
				merchants = "`" + strings.Join(c.kinds, "`, `") + "`"
			}
			p := versions[c.pinned]
			want = append(want, strings.Join([]string{"`" + p.name + "`", p.version, c.system, strings.Join(tried, ", "), merchants}, " | "))
		}
		document, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		row := regexp.MustCompile("(?m)^\\| (`[^|]+` \\| \\d[^|]* \\| [^|]+ \\| [^|]+ \\| [^|]+) \\| [^|]+ \\|$")
		for _, m := range row.FindAllStringSubmatch(string(document), -1) {
			got = append(got, strings.ReplaceAll(m[1], "、", ", "))
		}
		slices.Sort(want)
		want = slices.Compact(want) // what is tried with two kinds of keys is one client
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-matrix +document):\n%s", path, d)
		}
	}
}

// A pin is what go.mod or package.json says of a client.
type pin struct{ name, version string }

// pinned are the clients of both files, by their names there.
func pinned(t *testing.T) map[string]pin {
	t.Helper()
	all := map[string]pin{}
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v(\S+)$`).FindAllStringSubmatch(string(mod), -1) {
		all[m[1]] = pin{strings.TrimPrefix(m[1], "github.com/"), m[2]}
	}
	file, err := os.ReadFile("testdata/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var npm struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(file, &npm); err != nil {
		t.Fatal(err)
	}
	for name, version := range npm.Dependencies {
		p := pin{name, version}
		if alias, ok := strings.CutPrefix(version, "npm:"); ok { // npm:name@version
			at := strings.LastIndex(alias, "@")
			p = pin{alias[:at], alias[at+1:]}
		}
		if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(p.version) {
			t.Errorf("%s is not pinned: %s", name, version)
		}
		if !slices.ContainsFunc(matrix, func(c client) bool { return c.pinned == name }) {
			t.Errorf("%s is installed and not tried", name)
		}
		all[name] = p
	}
	return all
}

// The lock file has every package's hash, and says nothing of where it was had.
func TestLockFile(t *testing.T) {
	file, err := os.ReadFile("testdata/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct {
			Integrity, Resolved string
			Dependencies        map[string]string
		}
	}
	if err := json.Unmarshal(file, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" || name != "" && !strings.HasPrefix(p.Integrity, "sha512-") {
			t.Errorf("%s: from %q with %q, want a hash alone", name, p.Resolved, p.Integrity)
		}
	}
	var direct []string
	for name, p := range pinned(t) {
		if version, ok := lock.Packages[""].Dependencies[name]; ok {
			if !strings.HasSuffix(version, p.version) {
				t.Errorf("%s is locked to %s, and package.json says %s", name, version, p.version)
			}
			direct = append(direct, name)
		}
	}
	if len(direct) != len(lock.Packages[""].Dependencies) || len(direct) == 0 {
		t.Errorf("locked are %v, package.json has %v", lock.Packages[""].Dependencies, direct)
	}
}
