//go:build heavy

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"wxrefund/functions/process"
)

func TestMain(m *testing.M) { process.Main(m) }

// A build is what the documented command has made: a folder, and what it printed.
type build struct{ dir, table string }

// built runs it, once for all tests.
var built = sync.OnceValues(func() (build, error) {
	dir, err := os.MkdirTemp("", "packages")
	if err != nil {
		return build{}, err
	}
	table, err := command("-out", dir)
	return build{dir, table}, err
})

// command runs the documented command with these arguments.
func command(args ...string) (string, error) {
	if err := process.LookAtSources(); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err := run(context.Background(), args, &out)
	return out.String(), err
}

// archive returns the path of a zip.
func archive(t testing.TB, target, function string) string {
	t.Helper()
	p, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(p.dir, target, function+".zip")
}

// unzip unpacks a package as a platform does and returns the folder.
func unzip(t testing.TB, name string) string {
	t.Helper()
	r, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir := t.TempDir()
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		// The platforms execute what the zip says may be executed.
		if err := os.WriteFile(filepath.Join(dir, f.Name), b, f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// packages are those of each function: what is in them and what is not.
var packages = []struct {
	name  string
	files []string // names in the zip
	holds []string // symbols of the binary's packages
	lacks []string
}{
	{"scf-cloudbase", []string{"main"}, []string{scfRuntime, cloudbaseDriver}, []string{lambdaRuntime, mysqlDriver, postgresDriver, dynamoDriver, sqliteDriver, "net/rpc."}},
	{"scf-mysql", []string{"main"}, []string{scfRuntime, mysqlDriver}, []string{lambdaRuntime, postgresDriver, dynamoDriver, sqliteDriver, "net/rpc."}},
	{"scf-postgres", []string{"main"}, []string{scfRuntime, postgresDriver}, []string{lambdaRuntime, mysqlDriver, dynamoDriver, sqliteDriver, "net/rpc."}},
	{"web-cloudbase", []string{"main", "scf_bootstrap"}, []string{cloudbaseDriver}, []string{scfRuntime, lambdaRuntime, mysqlDriver, postgresDriver, dynamoDriver, sqliteDriver}},
	{"web-mysql", []string{"main", "scf_bootstrap"}, []string{mysqlDriver}, []string{scfRuntime, lambdaRuntime, postgresDriver, dynamoDriver, sqliteDriver}},
	{"lambda-dynamodb", []string{"bootstrap"}, []string{lambdaRuntime, dynamoDriver}, []string{scfRuntime, mysqlDriver, postgresDriver, sqliteDriver, "net/rpc."}},
	{"lambda-postgres", []string{"bootstrap"}, []string{lambdaRuntime, postgresDriver}, []string{scfRuntime, mysqlDriver, dynamoDriver, sqliteDriver, "net/rpc."}},
}

const (
	cloudbaseDriver = "wxrefund/shared/ledger.openCloudBase"

	scfRuntime     = "github.com/tencentyun/scf-go-lib/cloudfunction/messages."
	lambdaRuntime  = "github.com/aws/aws-lambda-go/lambda."
	mysqlDriver    = "github.com/go-sql-driver/mysql."
	postgresDriver = "github.com/jackc/pgx/v5/pgconn."
	dynamoDriver   = "github.com/aws/aws-sdk-go-v2/service/dynamodb."
	sqliteDriver   = "modernc.org/sqlite."
)

// Each package holds the entry that its platform starts, executable, and of
// platforms and databases only its own.
func TestPackagesHoldOnlyTheirOwn(t *testing.T) {
	for _, target := range packages {
		for _, function := range deployed {
			r, err := zip.OpenReader(archive(t, target.name, function))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var names []string
			for _, f := range r.File {
				names = append(names, f.Name)
				if f.Mode() != 0o755 {
					t.Errorf("%s of %s: %s has mode %v, want 0755", target.name, function, f.Name, f.Mode())
				}
				if f.Name == "scf_bootstrap" {
					continue
				}
				in, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(in)
				if err != nil {
					t.Fatal(err)
				}
				for _, symbol := range target.holds {
					if !bytes.Contains(b, []byte(symbol)) {
						t.Errorf("%s of %s lacks %s", target.name, function, symbol)
					}
				}
				for _, symbol := range target.lacks {
					if bytes.Contains(b, []byte(symbol)) {
						t.Errorf("%s of %s holds %s", target.name, function, symbol)
					}
				}
			}
			if got := strings.Join(names, " "); got != strings.Join(target.files, " ") {
				t.Errorf("%s of %s holds %s, want %s", target.name, function, got, target.files)
			}
		}
	}
}

// The same source makes the same bytes.
func TestPackagesAreReproducible(t *testing.T) {
	again := t.TempDir()
	if _, err := command("-only", "lambda-dynamodb", "-out", again); err != nil {
		t.Fatal(err)
	}
	for _, function := range deployed {
		first, err := os.ReadFile(archive(t, "lambda-dynamodb", function))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(again, "lambda-dynamodb", function+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s: built again, the zip is another", function)
		}
	}
}

// A package over the limit fails the command, after the table is complete.
func TestPackagesOverTheLimit(t *testing.T) {
	dispatcher, err := os.Stat(archive(t, "lambda-dynamodb", "wxpayFunctions")) // the largest
	if err != nil {
		t.Fatal(err)
	}
	limit := strconv.FormatInt(dispatcher.Size()-1, 10)
	table, err := command("-only", "lambda-dynamodb", "-out", t.TempDir(), "-limit", limit)
	if err == nil || !strings.Contains(err.Error(), "lambda-dynamodb of wxpayFunctions has") || strings.Contains(err.Error(), "of notify has") {
		t.Errorf("got %v, want the dispatcher's package refused alone", err)
	}
	if got := strings.Count(table, "\n"); got != 1+len(deployed) {
		t.Errorf("got a table of %d lines, want all:\n%s", got, table)
	}
	if _, err := command("-only", "scf-oracle"); err == nil || !strings.Contains(err.Error(), "scf-mysql") {
		t.Errorf("got %v, want the known packages named", err)
	}
}

// sizeRow is a row of the table of packages.
var sizeRow = regexp.MustCompile("(?m)^\\| `([a-z]+-[a-z]+)` \\| `([a-z_]+)`[^|]*\\| ([0-9.]+) \\| ([0-9.]+) \\| ([0-9.]+) \\|$")

// The documents tell the packages' entries and sizes as they are.
func TestDocumentsTellTheSizesOfPackages(t *testing.T) {
	for _, file := range []string{englishFile, chineseFile} {
		t.Run(file, func(t *testing.T) { checkSizes(t, readFile(t, file)) })
	}
}

func checkSizes(t *testing.T, document string) {
	rows := sizeRow.FindAllStringSubmatch(document, -1)
	if len(rows) != len(packages) {
		t.Fatalf("got %d rows of packages, want %d", len(rows), len(packages))
	}
	for i, target := range packages {
		if rows[i][1] != target.name || !slices.Contains(target.files, rows[i][2]) {
			t.Errorf("row %d is of %s with the entry %s, want %s with one of %v", i+1, rows[i][1], rows[i][2], target.name, target.files)
		}
		for j, function := range deployed {
			info, err := os.Stat(archive(t, target.name, function))
			if err != nil {
				t.Fatal(err)
			}
			says, err := strconv.ParseFloat(rows[i][3+j], 64)
			if err != nil {
				t.Fatal(err)
			}
			if got := float64(info.Size()) / 1e6; math.Abs(got-says) > 0.1 {
				t.Errorf("%s of %s has %.2f MB, and is said to have %.2f", target.name, function, got, says)
			}
		}
	}
}

// D6: the packages hold no secret, nor a path of the machine that built them. (That the
// files hold none TestDeploymentFilesDescribeOurFunctions tells.)
func TestPackagesHoldNoSecret(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range packages {
		for _, function := range deployed {
			for _, p := range secretsIn(t, unzip(t, archive(t, target.name, function)), root) {
				t.Errorf("%s of %s: %s", target.name, function, p)
			}
		}
	}
	// And it would be found, in the midst of a binary too.
	dir := t.TempDir()
	binary, err := os.ReadFile(filepath.Join(unzip(t, archive(t, "lambda-dynamodb", "notify")), "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	half := len(binary) / 2
	for name, secret := range map[string]string{
		"bootstrap": string(binary[:half]) + "\x00AKIDz8krbsJ5yKBZQpn74WFkmLPx3\x00" + string(binary[half:]),
		"key.pem":   "-----BEGIN PRIVATE KEY-----\nMIIEvQ", "a.json": `{"id":"AKIDz8krbsJ5yKBZQpn74WFkmLPx3"}`, ".env": "MERCHANT", "path": root + "/x.go",
	} {
		file := filepath.Join(dir, name)
		put(t, file, secret)
		if got := secretsIn(t, dir, root); len(got) != 1 {
			t.Errorf("%s with %.20q: got %q, want it found", name, secret, got)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// beginnings are how the first of secretForms begin: to look for these first spares
// the forms most of a binary.
var beginnings = []string{"-----BEGIN ", "MII", "AKID", "AKIA", "ASIA", "whsec_"}

// secretIn finds a secret in a binary; nil: there is none.
func secretIn(b []byte) []byte {
	for _, beginning := range beginnings {
		for rest, at := b, 0; at >= 0; {
			if at = bytes.Index(rest, []byte(beginning)); at < 0 {
				break
			}
			window := rest[max(0, at-1):min(len(rest), at+100)]
			for _, form := range secretForms[:4] {
				if m := form.Find(window); m != nil {
					return m
				}
			}
			rest = rest[at+1:]
		}
	}
	return nil
}

// secretsIn looks through an unpacked package.
func secretsIn(t *testing.T, dir, root string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), ".env") {
			found = append(found, "holds "+d.Name())
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(b), root) {
			found = append(found, d.Name()+" holds the path of the machine that built it")
		}
		if m := secretIn(b); m != nil {
			found = append(found, fmt.Sprintf("%s holds %.30q", d.Name(), m))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
