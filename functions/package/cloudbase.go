package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wxrefund/shared/config"
	"wxrefund/shared/dotenv"
)

// A cloudBaseConfig is cloudbaserc.json, version 2.1: what tcb, CloudBase's own
// command, deploys by.
type cloudBaseConfig struct {
	Schema       string              `json:"$schema"`
	Version      string              `json:"version"`
	EnvID        string              `json:"envId"`
	Region       string              `json:"region"`
	FunctionRoot string              `json:"functionRoot"`
	Functions    []cloudBaseFunction `json:"functions"`
}

type cloudBaseFunction struct {
	Name              string             `json:"name"`
	Type              string             `json:"type"`
	Runtime           string             `json:"runtime"`
	Handler           string             `json:"handler"`
	Timeout           int                `json:"timeout"`
	MemorySize        int                `json:"memorySize"`
	InstallDependency bool               `json:"installDependency"`
	VPC               *cloudBaseVPC      `json:"vpc,omitempty"`
	Triggers          []cloudBaseTrigger `json:"triggers,omitempty"`
	EnvVariables      map[string]string  `json:"envVariables"`
}

type cloudBaseVPC struct {
	VPCID    string `json:"vpcId"`
	SubnetID string `json:"subnetId"`
}

type cloudBaseTrigger struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Config string `json:"config"`
}

// maxVariables is what SCF takes of all variables of a function together, in bytes.
const maxVariables = 4 << 10

// writeCloudBase makes dir/cloudbase/cloudbaserc.json from the settings in envFile, if
// the packages for SCF are among the chosen ones, and returns a line that says what it
// did. It is beside the packages, which dir ignores in git, and readable to its owner
// alone: it holds the values. What an earlier run left goes first.
func writeCloudBase(ctx context.Context, dir, envFile string, chosen []target) (said string, err error) {
	file := filepath.Join(dir, "cloudbase", "cloudbaserc.json")
	if envFile == "" || !slices.ContainsFunc(chosen, func(t target) bool { return strings.HasPrefix(t.name, "scf-") }) {
		return "", nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	env, err := dotenv.Read(envFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("%s is not written, for there is no %s: to deploy to CloudBase, copy .env.example to it and fill it in", file, envFile), nil
	}
	if err != nil {
		return "", err
	}
	c, brought, left, err := cloudBase(ctx, env, filepath.Dir(envFile), chosen)
	if err != nil {
		return "", fmt.Errorf("%s is wrong:\n%w", envFile, err)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(c); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // it is the file that is nobody else's
		return "", err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return "", err
	}
	said = fmt.Sprintf("%s deploys %s: cd %s && tcb fn deploy --all --force", file, filepath.Base(c.FunctionRoot), filepath.Dir(file))
	if len(brought) > 0 {
		said += fmt.Sprintf("\nread from files and copied in (scf, which copies nothing, would deploy their paths): %s", strings.Join(brought, ", "))
	}
	if len(left) > 0 {
		said += fmt.Sprintf("\nleft out, since no function on SCF reads them with this WXPAY_CHANNEL: %s", strings.Join(left, ", "))
	}
	return said, nil
}

// cloudBase makes the configuration from the variables of the .env in a folder. It
// returns the names of settings whose values it has read from files, and of those that
// are filled in and that the functions have no use for. Its error is all that is wrong,
// a line each.
func cloudBase(ctx context.Context, env map[string]string, folder string, chosen []target) (c cloudBaseConfig, brought, left []string, err error) {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	variables, left := deployedVariables(env)
	brought, failed := bringFiles(variables, folder)
	for _, name := range failed {
		problem("%s names a file that cannot be read", name)
	}
	all := maps.Clone(env)
	maps.Copy(all, variables)
	all["_LAMBDA_SERVER_PORT"] = "9001" // as on SCF, where SQLite is refused
	if err := config.Check(ctx, all); err != nil {
		problems = append(problems, strings.Split(err.Error(), "\n")...)
	}
	c = cloudBaseConfig{
		Schema: "https://static.cloudbase.net/cli/cloudbaserc.schema.json", Version: "2.1", EnvID: env["TCB_ENV"], Region: strings.TrimSpace(env["SCF_REGION"]),
	}
	if c.EnvID == "" && !slices.Contains(problems, "TCB_ENV is missing") {
		problem("TCB_ENV is missing: it is the environment to deploy to")
	}
	if c.Region == "" {
		c.Region = "ap-shanghai"
	}
	if !slices.Contains([]string{"ap-shanghai", "ap-guangzhou"}, c.Region) {
		problem("SCF_REGION must be ap-shanghai or ap-guangzhou, which are CloudBase's; for SCF in another region build with -env '', and deploy with serverless.yml")
	}
	if v := variables["WXPAY_NOTIFY_URL"]; v != "" && !reachable(v) {
		problem("WXPAY_NOTIFY_URL must be an https address in public, which WeChat Pay reaches; http and an address of this machine or a private network are for the sandbox")
	}
	var vpc *cloudBaseVPC
	switch v := (cloudBaseVPC{env["SCF_VPC_ID"], env["SCF_SUBNET_ID"]}); {
	case v.VPCID != "" && v.SubnetID != "":
		vpc = &v
	case v != cloudBaseVPC{}:
		problem("SCF_VPC_ID and SCF_SUBNET_ID need each other")
	}
	scheme, _, _ := strings.Cut(variables["LEDGER_URL"], ":")
	if root, offer := ledgerPackage(scheme, chosen); root != "" {
		c.FunctionRoot = "../" + root
	} else {
		// What config offers instead has no package for SCF.
		problems = slices.DeleteFunc(problems, func(p string) bool { return strings.HasPrefix(p, "LEDGER_URL must begin with") })
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, "LEDGER_URL") }) {
			problem("LEDGER_URL must be that of a package for SCF which is built: %s", offer)
		}
	}
	size, lengths := 0, map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		lengths[name] = len(name) + len(variables[name])
		size += lengths[name]
		if strings.Contains(variables[name], "{{") && !strings.HasPrefix(variables[name], "{{") { // which config has told
			problem("%s holds {{, which tcb takes for the beginning of a placeholder", name)
		}
	}
	if size > maxVariables {
		largest := slices.SortedFunc(maps.Keys(lengths), func(a, b string) int { return cmp.Or(cmp.Compare(lengths[b], lengths[a]), cmp.Compare(a, b)) })
		for i, name := range largest {
			largest[i] = fmt.Sprintf("%s (%d)", name, lengths[name])
		}
		problem("the variables of a function have %d bytes, and SCF takes %d; the largest are %s. A relative file:PATH is copied in, only an absolute one, as of a layer below /opt, is read where the function runs",
			size, maxVariables, strings.Join(largest[:min(3, len(largest))], ", "))
	}
	if len(problems) > 0 {
		return c, nil, nil, errors.New("  " + strings.Join(problems, "\n  "))
	}
	for _, f := range functions {
		one := cloudBaseFunction{
			Name: f.name, Type: "Event", Runtime: "Go1", Handler: "main", Timeout: f.timeout, MemorySize: 256, VPC: vpc, EnvVariables: variables,
		}
		if f.schedule != "" {
			one.Triggers = []cloudBaseTrigger{{"every-minute", "timer", f.schedule}}
		}
		c.Functions = append(c.Functions, one)
	}
	return c, brought, left, nil
}

// ledgerPackage returns the chosen package for SCF with a ledger of a scheme; "": there
// is none. It offers the schemes of those that are chosen, and tells which to choose.
func ledgerPackage(scheme string, chosen []target) (name, offer string) {
	var schemes []string
	for _, t := range chosen {
		if s, ok := strings.CutPrefix(t.name, "scf-"); ok && s == scheme {
			return t.name, ""
		} else if ok {
			schemes = append(schemes, s+":")
		}
	}
	offer = strings.Join(schemes, " or ")
	if all, _, err := choose("scf-" + scheme); err == nil {
		offer += fmt.Sprintf("; for %s: build %s too, without -only", scheme, all[0].name)
	}
	return "", offer
}

// reachable tells whether WeChat Pay may reach an address: by https, and not where
// nobody but this machine or its network does.
func reachable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || ip.IsGlobalUnicast() && !ip.IsPrivate()
}

// deployedVariables are those that a function on SCF reads on the channel, and those of
// the merchant's own code; left are other settings that have a value.
func deployedVariables(env map[string]string) (variables map[string]string, left []string) {
	channel := env["WXPAY_CHANNEL"]
	if channel == "" {
		channel = "apiv3"
	}
	variables = map[string]string{}
	for _, s := range config.Settings() {
		reads, _ := s.Reads(channel)
		switch value := strings.TrimSpace(env[s.Name]); {
		case value == "":
		case reads && s.In&config.SCF != 0:
			variables[s.Name] = value
		default:
			left = append(left, s.Name)
		}
	}
	for name, value := range env {
		if strings.HasPrefix(name, ownPrefix) && value != "" {
			variables[name] = value
		}
	}
	return variables, left
}

// ownPrefix begins the names of variables that the merchant's own code reads.
const ownPrefix = "OWN_"

// bringFiles puts the contents of a file in the place of file:PATH, if the path is
// relative, to a folder: no such file is where the functions run. One that is absolute
// is there, and read there. It returns the names of those that it has read, and of those
// that cannot be read.
func bringFiles(variables map[string]string, folder string) (brought, failed []string) {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		path, ok := strings.CutPrefix(variables[name], "file:")
		if !ok || filepath.IsAbs(path) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			failed = append(failed, name)
			continue
		}
		variables[name] = strings.TrimSpace(string(b))
		brought = append(brought, name)
	}
	return brought, failed
}
