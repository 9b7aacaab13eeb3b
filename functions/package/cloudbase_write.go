package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// schemaAddress names the schema of the file, of CloudBase's own command.
const schemaAddress = "https://static.cloudbase.net/cli/cloudbaserc.schema.json"

// A cloudBaseConfig is cloudbaserc.json, version 2.1: what tcb, CloudBase's own
// command, deploys by.
type cloudBaseConfig struct {
	Schema       string              `json:"$schema"`
	Version      string              `json:"version"`
	EnvID        string              `json:"envId"`
	Region       string              `json:"region"`
	Database     *cloudBaseDatabase  `json:"database,omitempty"`
	FunctionRoot string              `json:"functionRoot"`
	Functions    []cloudBaseFunction `json:"functions"`
	Gateway      *cloudBaseGateway   `json:"gateway,omitempty"`
}

type cloudBaseDatabase struct {
	Type       string `json:"type"`
	Migrations string `json:"migrations"`
}

type cloudBaseFunction struct {
	Name              string             `json:"name"`
	Type              string             `json:"type"`
	Public            bool               `json:"public,omitempty"` // of HTTP: whoever has no identity may call it
	Dir               string             `json:"dir"`
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

type cloudBaseGateway struct {
	Routes []cloudBaseRoute `json:"routes"`
}

type cloudBaseRoute struct {
	Path       string `json:"path"`
	Target     string `json:"target"`
	EnableAuth bool   `json:"enableAuth"`
}

// notifyPath is where WeChat Pay's notifications arrive, below the environment's address.
const notifyPath = "/refund-notify"

// describe adds the functions and the way to them.
func (p *cloudPlan) describe(variables map[string]string, vpc *cloudBaseVPC) {
	for _, f := range functions {
		one := cloudBaseFunction{
			Name: f.name, Type: "Event", Dir: "./event/" + f.name, Runtime: "Go1", Handler: "main",
			Timeout: f.timeout, MemorySize: 256, VPC: vpc, EnvVariables: variables,
		}
		if f.name == "notify" && p.notifyServes() {
			one.Type, one.Dir, one.Public = "HTTP", "./http/"+f.name, true
		}
		if f.schedule != "" {
			one.Triggers = []cloudBaseTrigger{{"every-minute", "timer", f.schedule}}
		}
		p.config.Functions = append(p.config.Functions, one)
	}
	if p.notifyRouted() {
		p.config.Gateway = &cloudBaseGateway{[]cloudBaseRoute{{Path: notifyPath, Target: "function:notify"}}}
	}
}

// notifyRouted tells whether notifications come to an address.
func (p *cloudPlan) notifyRouted() bool { return slices.Contains(overHTTP, p.channel) }

// notifyServes tells whether notify is an HTTP function, the form that CloudBase documents
// for Go. An event function can be called by relays, too, and needs no opening.
func (p *cloudPlan) notifyServes() bool { return p.notifyRouted() && p.ledger.http != "" }

// cloudFolder is where tcb is run.
func cloudFolder(dir string) string { return filepath.Join(dir, "cloudbase") }

// withdraw takes away the configuration of an earlier run, by which nothing must be
// deployed any more.
func withdraw(dir string) error {
	err := os.Remove(filepath.Join(cloudFolder(dir), "cloudbaserc.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// write makes dir/cloudbase of the packages in dir. What tcb keeps there stays; what an
// earlier run left goes. cloudbaserc.json is readable to its owner alone: it holds the
// values.
func (p *cloudPlan) write(dir string) error {
	folder := cloudFolder(dir)
	for _, old := range []string{"event", "http", "migrations"} {
		if err := os.RemoveAll(filepath.Join(folder, old)); err != nil {
			return err
		}
	}
	for _, part := range p.ledger.parts() {
		from, to := filepath.Join(dir, part.target.name, part.function.name), filepath.Join(folder, part.folder, part.function.name)
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return err
		}
		zip, err := os.ReadFile(from + ".zip") //nolint:gosec // built a moment ago
		if err != nil {
			return err
		}
		if err := os.WriteFile(to+".zip", zip, 0o644); err != nil { //nolint:gosec // it is uploaded
			return err
		}
	}
	if p.config.Database != nil {
		migrations := filepath.Join(folder, p.config.Database.Migrations)
		if err := os.MkdirAll(migrations, 0o755); err != nil { //nolint:gosec // no secret
			return err
		}
		for _, m := range p.migrations {
			if err := os.WriteFile(filepath.Join(migrations, m.Name), []byte(m.SQL), 0o644); err != nil { //nolint:gosec // no secret
				return err
			}
		}
	}
	b, err := p.json()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "cloudbaserc.json"), b, 0o600)
}

// json is cloudbaserc.json.
func (p *cloudPlan) json() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(p.config)
	return b.Bytes(), err
}

// say tells what dir/cloudbase has, what is missing and what comes next. It shows no value
// but the environment's id.
func (p *cloudPlan) say(out io.Writer, dir string) error {
	folder := cloudFolder(dir)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("\n%s deploys to %s, on the channel %s with the ledger %s:", folder, p.config.EnvID, p.channel, p.ledger.scheme)
	deployed := map[string]bool{}
	for _, f := range p.config.Functions {
		path := strings.TrimPrefix(f.Dir, "./")
		deployed[path] = true
		line("  %-15s %-21s %s", f.Name, path, p.why(f))
	}
	for _, part := range p.ledger.parts() {
		if path := part.folder + "/" + part.function.name; !deployed[path] {
			line("  %-15s %-21s %s", "(not deployed)", path, otherForms[path])
		}
	}
	if p.derived {
		line("LEDGER_URL is not set: the functions get cloudbase: and TCB_ENV.")
	}
	if len(p.brought) > 0 {
		line("Read from files and copied in (scf, which copies nothing, would deploy their paths): %s", strings.Join(p.brought, ", "))
	}
	if len(p.left) > 0 {
		line("Left out, since no function needs them here: %s", strings.Join(p.left, ", "))
	}
	p.sayMissing(line)
	p.sayNext(line, folder)
	_, err := io.WriteString(out, b.String())
	return err
}

// why says what form a function has, and the reason.
func (p *cloudPlan) why(f cloudBaseFunction) string {
	switch {
	case len(f.Triggers) > 0:
		return "event function: a timer starts no other"
	case f.Name != "notify":
		return "event function: wx.cloud.callFunction reaches no other"
	case p.notifyServes():
		return "HTTP function, open to everybody at " + notifyPath + ": WeChat Pay calls it"
	case p.notifyRouted():
		return "event function, open to everybody at " + notifyPath + ": WeChat Pay calls it"
	}
	return "event function: CloudBase's relay invokes no other"
}

// otherForms say what the packages are for that are not deployed.
var otherForms = map[string]string{
	"event/notify":        "event function, for CloudBase's relay, which invokes no other",
	"http/notify":         "HTTP function, for WeChat Pay's notifications to an address",
	"http/wxpayFunctions": "HTTP function, for servers with REFUND_SERVER_TOKEN and for wx.cloud.callHTTPFunction",
}

// sayMissing lists what .env lacks, and what each is.
func (p *cloudPlan) sayMissing(line func(format string, args ...any)) {
	if len(p.missing) == 0 {
		return
	}
	switch {
	case p.absent:
		line("There is no %s. It has to have:", p.file)
	case p.missing[0].required:
		line("Missing in %s, and left out; the functions refuse to work before the required ones are there:", p.file)
	default:
		line("Missing in %s, and left out:", p.file)
	}
	for _, n := range p.missing {
		kind := "advised "
		if n.required {
			kind = "required"
		}
		line("  %s %s: %s", kind, n.Name, strings.ReplaceAll(n.English, "`", ""))
	}
}

// sayNext says how it is deployed. What becomes of the commands follows from the source of
// @cloudbase/cli 2.12.10 and the documents of 3 (docs.cloudbase.net/cli-v1).
func (p *cloudPlan) sayNext(line func(format string, args ...any), folder string) {
	line("Next, with @cloudbase/cli 2:")
	line("  cd %s && tcb fn deploy --all --force", folder)
	if p.notifyRouted() {
		line("  cd %s && tcb fn deploy notify --force --path %s", folder, notifyPath)
	}
	if p.notifyServes() {
		line(`Let everybody call notify, by "notify": {"invoke": true} in the console's security rule.`)
	}
	if p.ledger.own() {
		line("The functions make the ledger's tables themselves, at their first call.")
	}
	line("Or with 3.8 or newer, which does all of this:")
	line("  cd %s && tcb deploy", folder)
	if p.notifyServes() {
		line("Where notify is deployed as an event function, before either: tcb fn delete notify. Its type cannot be changed.")
	}
	switch {
	case slices.ContainsFunc(p.missing, func(n need) bool { return n.Name == "WXPAY_NOTIFY_URL" }):
		line("notify has an address then, https://….tcloudbase.com%s: put it into %s as WXPAY_NOTIFY_URL, and do all of this again.", notifyPath, p.file)
	case p.channel == "cloudbase":
		line("In the console, have CloudBase's relay invoke notify: scf:notify is what receives refund notifications.")
	}
	line("Then, from here:")
	line("  go run ./functions/operate -env %s check", p.file)
}
