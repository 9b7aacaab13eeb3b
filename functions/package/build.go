package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A function is one deployable.
type function struct {
	name     string // as it is deployed: mini-programs call the dispatcher by it
	folder   string // below functions/
	timeout  int    // seconds: for the call to WeChat Pay; for its notification's answer; for a run of the reconciler
	schedule string // of its timer, as SCF writes it: second, minute, hour, day, month, weekday, year
}

var functions = []function{
	{"wxpayFunctions", "wxpayfunctions", 15, ""},
	{"notify", "notify", 10, ""},
	{"reconcile", "reconcile", 60, "0 * * * * * *"},
}

// A target is a platform and a ledger.
type target struct {
	name  string
	tags  string
	entry string // what the platform starts: the binary, or the script that starts it
	// script is the text of entry; the binary is called main then. Empty: entry is
	// the binary.
	script string
}

// webScript starts the binary where a web function is expected to listen. CloudBase wants
// bash, LF and the executable bit (docs.cloudbase.net, 启动文件说明).
const webScript = "#!/bin/bash\nexport PORT=9000\nexec ./main\n"

var targets = []target{
	{name: "scf-cloudbase", tags: "slim,scf,cloudbase", entry: "main"},
	{name: "scf-mysql", tags: "slim,scf,mysql", entry: "main"},
	{name: "scf-postgres", tags: "slim,scf,postgres", entry: "main"},
	{name: "web-cloudbase", tags: "slim,cloudbase", entry: "scf_bootstrap", script: webScript},
	{name: "web-mysql", tags: "slim,mysql", entry: "scf_bootstrap", script: webScript},
	{name: "lambda-dynamodb", tags: "slim,lambda,lambda.norpc,dynamodb", entry: "bootstrap"},
	{name: "lambda-postgres", tags: "slim,lambda,lambda.norpc,postgres", entry: "bootstrap"},
}

// choose returns all packages and images, or those of the target or image of a name.
func choose(name string) (parts []part, chosen []image, err error) {
	var names []string
	for _, t := range targets {
		names = append(names, t.name)
		for _, f := range functions {
			if name == "" || name == t.name {
				parts = append(parts, part{"", t, f})
			}
		}
	}
	for _, i := range images {
		names = append(names, i.name)
		if name == "" || name == i.name {
			chosen = append(chosen, i)
		}
	}
	if len(parts)+len(chosen) == 0 {
		return nil, nil, fmt.Errorf("-only is %q, want one of %s", name, strings.Join(names, ", "))
	}
	return parts, chosen, nil
}

// sizes are those of one package, in bytes.
type sizes struct{ zipped, unzipped int64 }

// build makes dir/TARGET/FUNCTION, a folder, and dir/TARGET/FUNCTION.zip, the
// same zipped: deploying tools take the one or the other.
func (t target) build(ctx context.Context, f function, dir string) (sizes, error) {
	folder := filepath.Join(dir, t.name, f.name)
	// What an earlier version left there must not be deployed with this one.
	if err := os.RemoveAll(folder); err != nil {
		return sizes{}, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // what is uploaded is read by the platform's user
		return sizes{}, err
	}
	binary := t.entry
	if t.script != "" {
		binary = "main"
		if err := os.WriteFile(filepath.Join(folder, t.entry), []byte(t.script), 0o755); err != nil { //nolint:gosec // it is executed
			return sizes{}, err
		}
	}
	if err := t.compile(ctx, "amd64", f.folder, filepath.Join(folder, binary)); err != nil {
		return sizes{}, err
	}
	if err := checkStatic(filepath.Join(folder, binary)); err != nil {
		return sizes{}, err
	}
	return pack(folder, folder+".zip")
}

// everyBuild is a tag of net/http's that leaves HTTP/2 out, 0.2 MB of each zip. A platform
// freezes a function between two calls, and HTTP/2 would go on asking over a connection
// that is long dead; what speaks to many at once has connections enough.
const everyBuild = ",nethttpomithttp2"

// compile builds a static binary whose bytes depend on the source and on Go's
// version alone: no path, no build id, no state of the repository.
func (t target) compile(ctx context.Context, architecture, folder, binary string) error {
	absolute, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", //nolint:gosec // the arguments are from the tables above
		"-tags", t.tags+everyBuild, "-o", absolute, "wxrefund/functions/"+folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	return nil
}

// checkStatic refuses a binary that needs anything of the machine it runs on.
func checkStatic(binary string) error {
	f, err := elf.Open(binary)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // of what was only read
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	if len(libraries) > 0 {
		return fmt.Errorf("the binary is not static: it needs %s", strings.Join(libraries, ", "))
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the binary is not static: it needs a loader")
		}
	}
	return nil
}
