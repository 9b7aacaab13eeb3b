package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wxrefund/shared/config"
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
	text, err := os.ReadFile(envFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("%s is not written, for there is no %s: to deploy to CloudBase, copy .env.example to it and fill it in", file, envFile), nil
	}
	if err != nil {
		return "", err
	}
	env, err := dotenv(string(text))
	if err != nil {
		return "", fmt.Errorf("%s cannot be read:\n%w", envFile, err)
	}
	c, left, err := cloudBase(ctx, env, filepath.Dir(envFile), chosen)
	if err != nil {
		return "", fmt.Errorf("%s does not fit:\n%w", envFile, err)
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
	if len(left) > 0 {
		said += fmt.Sprintf("\nleft out, since no function on SCF reads them with this WXPAY_CHANNEL: %s", strings.Join(left, ", "))
	}
	return said, nil
}

// cloudBase makes the configuration from the variables of the .env in a folder. It
// returns the names of settings that are filled in and that the functions have no use
// for. Its error is all that is wrong, a line each.
func cloudBase(ctx context.Context, env map[string]string, folder string, chosen []target) (c cloudBaseConfig, left []string, err error) {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	variables, left := deployedVariables(env)
	for _, name := range bringFiles(variables, folder) {
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
		problem("SCF_REGION must be ap-shanghai or ap-guangzhou, which are CloudBase's")
	}
	var vpc *cloudBaseVPC
	switch v := (cloudBaseVPC{env["SCF_VPC_ID"], env["SCF_SUBNET_ID"]}); {
	case v.VPCID != "" && v.SubnetID != "":
		vpc = &v
	case v != cloudBaseVPC{}:
		problem("SCF_VPC_ID and SCF_SUBNET_ID need each other")
	}
	scheme, _, _ := strings.Cut(env["LEDGER_URL"], ":")
	if name := "scf-" + scheme; slices.ContainsFunc(chosen, func(t target) bool { return t.name == name }) {
		c.FunctionRoot = "../" + name
	} else if len(problems) == 0 {
		problem("LEDGER_URL must be that of a package for SCF which is built: mysql: or postgres:")
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		size += len(name) + len(variables[name])
		if strings.Contains(variables[name], "{{") && !strings.HasPrefix(variables[name], "{{") { // which config has told
			problem("%s holds {{, which tcb takes for the beginning of a placeholder", name)
		}
	}
	if size > maxVariables {
		problem("the variables of a function have %d bytes, and SCF takes %d: bring a key in a file, as file:PATH", size, maxVariables)
	}
	if len(problems) > 0 {
		return c, nil, errors.New("  " + strings.Join(problems, "\n  "))
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
	return c, left, nil
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
// is there, and read there. It returns the names of those that cannot be read.
func bringFiles(variables map[string]string, folder string) (failed []string) {
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
	}
	return failed
}
