package functions_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// packages are the zips as the documented command builds them, and its table.
type packages struct{ dir, table string }

// packaged builds them, once for all tests, and returns the folder.
var packaged = sync.OnceValues(func() (packages, error) {
	dir, err := os.MkdirTemp("", "packages")
	if err != nil {
		return packages{}, err
	}
	table, err := packageCommand("-out", dir)
	return packages{dir, table}, err
})

// packageCommand runs the documented command with more arguments.
func packageCommand(args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"run", "./package"}, args...)...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	return string(out), err
}

// archive returns the path of a zip.
func archive(t testing.TB, target, function string) string {
	t.Helper()
	p, err := packaged()
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

// targets are the packages of each function: what is in them and what is not.
var targets = []struct {
	name  string
	files []string // names in the zip
	holds []string // symbols of the binary's packages
	lacks []string
}{
	{"scf-mysql", []string{"main"}, []string{scfRuntime, mysqlDriver}, []string{lambdaRuntime, postgresDriver, dynamoDriver, sqliteDriver}},
	{"scf-postgres", []string{"main"}, []string{scfRuntime, postgresDriver}, []string{lambdaRuntime, mysqlDriver, dynamoDriver, sqliteDriver}},
	{"web-mysql", []string{"main", "scf_bootstrap"}, []string{mysqlDriver}, []string{scfRuntime, lambdaRuntime, postgresDriver, dynamoDriver, sqliteDriver}},
	{"lambda-dynamodb", []string{"bootstrap"}, []string{lambdaRuntime, dynamoDriver}, []string{scfRuntime, mysqlDriver, postgresDriver, sqliteDriver, "net/rpc."}},
	{"lambda-postgres", []string{"bootstrap"}, []string{lambdaRuntime, postgresDriver}, []string{scfRuntime, mysqlDriver, dynamoDriver, sqliteDriver, "net/rpc."}},
}

const (
	scfRuntime     = "github.com/tencentyun/scf-go-lib/cloudfunction."
	lambdaRuntime  = "github.com/aws/aws-lambda-go/lambda."
	mysqlDriver    = "github.com/go-sql-driver/mysql."
	postgresDriver = "github.com/jackc/pgx/v5/pgconn."
	dynamoDriver   = "github.com/aws/aws-sdk-go-v2/service/dynamodb."
	sqliteDriver   = "modernc.org/sqlite."
)

// deployed are the functions, as they are called where they are deployed.
var deployed = []string{"wxpayFunctions", "notify", "reconcile"}

// Each package holds the entry that its platform starts, executable, and of
// platforms and databases only its own.
func TestPackagesHoldOnlyTheirOwn(t *testing.T) {
	for _, target := range targets {
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
	if _, err := packageCommand("-only", "lambda-dynamodb", "-out", again); err != nil {
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
	table, err := packageCommand("-only", "lambda-dynamodb", "-out", t.TempDir(), "-limit", "4000000")
	if err == nil || !strings.Contains(err.Error(), "lambda-dynamodb of wxpayFunctions has") || strings.Contains(err.Error(), "of notify has") {
		t.Errorf("got %v, want the dispatcher's package refused alone", err)
	}
	if got := strings.Count(table, "\n"); got != 1+len(deployed) {
		t.Errorf("got a table of %d lines, want all:\n%s", got, table)
	}
	if _, err := packageCommand("-only", "scf-oracle"); err == nil || !strings.Contains(err.Error(), "scf-mysql") {
		t.Errorf("got %v, want the known packages named", err)
	}
}

// sizeRow is a row of README's table of packages.
var sizeRow = regexp.MustCompile("(?m)^\\| `([a-z]+-[a-z]+)` \\| `([a-z_]+)`[^|]*\\| ([0-9.]+) \\| ([0-9.]+) \\| ([0-9.]+) \\|$")

// README tells the packages' entries and sizes as they are.
func TestREADMEPackageSizes(t *testing.T) {
	rows := sizeRow.FindAllStringSubmatch(readFiles(t)[readmeFile], -1)
	if len(rows) != len(targets) {
		t.Fatalf("README has %d rows of packages, want %d", len(rows), len(targets))
	}
	for i, target := range targets {
		if rows[i][1] != target.name || !slices.Contains(target.files, rows[i][2]) {
			t.Errorf("README: row %d is of %s with the entry %s, want %s with one of %v", i+1, rows[i][1], rows[i][2], target.name, target.files)
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
				t.Errorf("README: %s of %s has %.2f MB, and is said to have %.2f", target.name, function, got, says)
			}
		}
	}
}
