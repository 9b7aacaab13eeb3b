// Package shared_test holds what is true of the repository as a whole: who
// imports whom, how long files are, and that README tells the truth.
package shared_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "wxrefund/"

// allowed is the whole import graph: which of our packages each may import.
// Nothing here means the standard library, and what modules allows.
var allowed = map[string][]string{
	"functions/container":      {"functions/own", "notify", "shared/config", "shared/host", "shared/metrics", "shared/refund", "wxpayfunctions"},
	"functions/notify":         {"functions/own", "notify", "shared/host", "shared/metrics"},
	"functions/operate":        {"shared/channel", "shared/check", "shared/config", "shared/console", "shared/console/operator", "shared/dotenv", "shared/explain", "shared/host", "shared/ledger", "shared/refund", "shared/spelling", "wxpayfunctions"},
	"functions/own":            {"shared/config", "shared/refund"}, // the merchant's code takes a refund.Event
	"functions/package":        {"shared/config", "shared/dotenv", "shared/ledger"},
	"functions/process":        {"shared/cloudbase", "shared/ledger", "shared/needs", "shared/refund", "shared/sandbox", "shared/sandbox/pgsql", "shared/secret"}, // for tests
	"functions/reconcile":      {"functions/own", "shared/host", "shared/metrics"},
	"functions/sandbox":        {"functions/own", "notify", "shared/config", "shared/host", "shared/refund", "shared/sandbox", "shared/sandbox/pgsql", "shared/strictjson", "wxpayfunctions"},
	"functions/wxpayfunctions": {"shared/config", "shared/host", "shared/metrics", "shared/refund", "wxpayfunctions"},
	"notify":                   {"shared/refund", "shared/strictjson", "shared/wxpay"},
	"shared/alert":             {"shared/deliver", "shared/refund", "shared/secret"},
	"shared/channel":           {"shared/cloudbase", "shared/lock", "shared/refund", "shared/secret", "shared/strictjson", "shared/wxpay"},
	"shared/check":             {"shared/channel", "shared/cloudbase", "shared/config", "shared/ledger", "shared/refund", "shared/wxpay"},
	"shared/cloudbase":         {"shared/secret", "shared/wxpay"},
	"shared/config":            {"shared/alert", "shared/channel", "shared/cloudbase", "shared/deliver", "shared/host", "shared/ledger", "shared/refund", "shared/secret", "shared/spelling", "shared/wxpay"},
	"shared/console":           nil,
	"shared/console/operator":  {"shared/console", "shared/refund", "shared/strictjson"},
	"shared/deliver":           {"shared/cloudbase", "shared/refund", "shared/secret"},
	"shared/dotenv":            nil,
	"shared/explain":           nil,
	"shared/host":              {"shared/cloudbase", "shared/lock", "shared/refund", "shared/secret"},
	"shared/ledger":            {"shared/cloudbase", "shared/lock", "shared/refund", "shared/secret", "shared/wxpay"},
	"shared/lock":              nil,
	"shared/metrics":           {"shared/lock", "shared/refund"},
	"shared/needs":             nil, // for tests
	"shared/refund":            {"shared/lock"},
	"shared/sandbox":           {"shared/sandbox/apiv3", "shared/sandbox/bill", "shared/sandbox/cloudbase", "shared/sandbox/console", "shared/sandbox/control", "shared/sandbox/door", "shared/sandbox/v2", "shared/sandbox/wecom", "shared/sandbox/world", "shared/wxpay"},
	"shared/sandbox/apiv3":     {"shared/sandbox/bill", "shared/sandbox/door", "shared/sandbox/schema", "shared/sandbox/world", "shared/wxpay"},
	"shared/sandbox/bill":      {"shared/sandbox/door", "shared/sandbox/world"},
	"shared/sandbox/cloudbase": {"shared/cloudbase", "shared/sandbox/apiv3", "shared/sandbox/door", "shared/sandbox/schema", "shared/sandbox/v2", "shared/sandbox/world", "shared/wxpay"}, // its module speaks APIv3, its CloudPay v2
	"shared/sandbox/console":   {"shared/console"},
	"shared/sandbox/control":   {"shared/console", "shared/sandbox/bill", "shared/sandbox/schema", "shared/sandbox/world"},
	"shared/sandbox/door":      {"shared/sandbox/schema", "shared/sandbox/world"},
	"shared/sandbox/pgsql":     {"shared/strictjson"},
	"shared/sandbox/schema":    {"shared/strictjson"},
	"shared/sandbox/v2":        {"shared/sandbox/bill", "shared/sandbox/door", "shared/sandbox/schema", "shared/sandbox/world", "shared/wxpay"},
	"shared/sandbox/wecom":     {"shared/sandbox/bill", "shared/sandbox/door", "shared/sandbox/schema", "shared/sandbox/world"},
	"shared/sandbox/world":     {"shared/lock", "shared/sandbox/schema", "shared/secret", "shared/wxpay"},
	"shared/secret":            nil,
	"shared/spelling":          nil,
	"shared/strictjson":        nil,
	"shared/wxpay":             {"shared/lock", "shared/secret", "shared/strictjson"},
	"wxpayfunctions":           {"shared/refund", "shared/strictjson"},

	// For tests.
	"functions/simulation/exhaust": {"notify", "shared/channel", "shared/refund", "shared/wxpay", "wxpayfunctions"},
	"functions/simulation/model":   {"shared/refund"},
	"shared/console/consoletest":   {"shared/needs"},
	"shared/sandbox/doortest":      {"shared/sandbox/door", "shared/sandbox/world"},
	"shared/sandbox/sandboxtest":   {"shared/cloudbase", "shared/sandbox", "shared/secret", "shared/wxpay"},
}

// modules lists the packages that may import anything outside the standard library, and what.
var modules = map[string][]string{
	"functions/operate":          {"golang.org/x/text/encoding/simplifiedchinese"},
	"functions/package":          {"github.com/google/go-containerregistry", "golang.org/x/crypto/x509roots/fallback/bundle"},
	"functions/process":          {"github.com/jackc/pgx/v5"},
	"shared/console/consoletest": {"github.com/google/go-cmp"},
	"shared/deliver":             {"github.com/standard-webhooks/standard-webhooks/libraries"},
	"shared/host":                {"github.com/aws/aws-lambda-go", "github.com/tencentyun/scf-go-lib"},
	"shared/ledger":              {"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5", "modernc.org/sqlite"},
	"shared/sandbox/pgsql":       {"github.com/jackc/pgx/v5"},
	"wxpayfunctions":             {"github.com/go-playground/validator/v10"},
}

func TestImportGraph(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
			GoFiles    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if len(p.GoFiles) == 0 || strings.Contains(name, "/testdata/") { // tests only
			continue
		}
		may, ok := allowed[name]
		if !ok {
			t.Errorf("%s is not in the graph", name)
		}
		seen[name] = true
		for _, imp := range p.Imports {
			ours, isOurs := strings.CutPrefix(imp, module)
			switch {
			case isOurs && !slices.Contains(may, ours):
				t.Errorf("%s must not import %s", name, ours)
			case !isOurs && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				if !slices.ContainsFunc(modules[name], func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }) {
					t.Errorf("%s must not import %s", name, imp)
				}
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("%s is in the graph and does not exist", name)
		}
	}
}

// No file outside tests has more than 400 lines.
func TestFilesAreShort(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if n := bytes.Count(b, []byte("\n")); n > 400 {
			t.Errorf("%s has %d lines", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
