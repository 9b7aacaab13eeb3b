package main

import (
	"cmp"
	"context"
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
	"wxrefund/shared/ledger"
)

// A cloudLedger is a ledger that functions at CloudBase may have, by its URL's scheme,
// and the targets whose packages hold its driver.
type cloudLedger struct {
	scheme string
	event  string // of functions that are invoked with an event
	http   string // of functions that serve HTTP; empty: none does
}

// cloudLedgers has the ledger of who has nothing but an environment first. Beside a
// database in a VPC all functions stay event functions: a deployed function's type can
// not be changed, and its HTTP functions would need a key that its event functions are
// lent.
var cloudLedgers = []cloudLedger{
	{"cloudbase", "scf-cloudbase", "web-cloudbase"},
	{"mysql", "scf-mysql", ""},
	{"postgres", "scf-postgres", ""},
}

// own tells whether the ledger is in the environment itself: no VPC, and a schema that
// CloudBase's own command can apply.
func (l cloudLedger) own() bool { return l.scheme == "cloudbase" }

// A part is a package: of a function, for a target. folder is where dist/cloudbase has
// it, "" if it has not.
type part struct {
	folder   string
	target   target
	function function
}

// parts are the packages that dist/cloudbase has: every function in both forms, but for
// the one of a timer, since timers start event functions alone.
func (l cloudLedger) parts() (all []part) {
	for _, form := range []struct{ folder, target string }{{"event", l.event}, {"http", l.http}} {
		i := slices.IndexFunc(targets, func(t target) bool { return t.name == form.target })
		for _, f := range functions {
			if i >= 0 && (form.folder == "event" || f.schedule == "") {
				all = append(all, part{form.folder, targets[i], f})
			}
		}
	}
	return all
}

// overHTTP are the channels whose notifications WeChat Pay sends to an address. On the
// others CloudBase's relay invokes a function, or there are none.
var overHTTP = []string{"apiv3", "global"}

// advised are settings that a channel runs without, and a merchant should have set.
var advised = map[string][]string{
	"apiv3":    {"WXPAY_NOTIFY_URL", "WXPAY_PUBLIC_KEY_ID", "WXPAY_PUBLIC_KEY"},
	"global":   {"WXPAY_NOTIFY_URL"},
	"cloudpay": {"CLOUDPAY_CALLBACK_FUNCTION"},
}

// A need is a setting that a deployment wants, and whether it runs without.
type need struct {
	config.Setting
	required bool
}

// needed are those of a channel with a ledger, in the order of the list of settings.
func needed(channel string, l cloudLedger) (all []need) {
	for _, s := range config.Settings() {
		_, required := s.Reads(channel)
		switch {
		case s.Name == "TCB_ENV": // in the environment itself the ledger's URL says it
			required = !l.own()
		case s.Name == "CLOUDBASE_APIKEY":
			required = l.own()
		case s.Name == "LEDGER_URL" && l.own():
			s.English = "the ledger: `cloudbase:` and the id of the environment, in whose PostgreSQL it is"
			s.Chinese = "账本：`cloudbase:` 加云开发环境 ID，存放在该环境的 PostgreSQL 中"
			s.Example = "cloudbase:shop-1g2h3j4k5l"
		}
		if required || slices.Contains(advised[channel], s.Name) {
			all = append(all, need{s, required})
		}
	}
	return all
}

// A cloudPlan is what becomes of a .env: dist/cloudbase before anything is built.
type cloudPlan struct {
	file    string // the .env
	absent  bool   // and there is none
	channel string
	ledger  cloudLedger
	config  cloudBaseConfig

	migrations []ledger.Migration
	derived    bool     // LEDGER_URL is not set, and made of TCB_ENV
	missing    []need   // required ones first
	brought    []string // settings whose values were read from files
	left       []string // settings that have a value, and that no function needs
}

// planCloudBase reads a .env. That there is none, or that something is missing in it, is
// no error; what is malformed is.
func planCloudBase(ctx context.Context, envFile string) (*cloudPlan, error) {
	env, err := dotenv.Read(envFile)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return nil, err
	}
	p, err := newCloudPlan(ctx, env, filepath.Dir(envFile))
	if err != nil {
		return nil, fmt.Errorf("%s is wrong:\n%w", envFile, err)
	}
	p.file, p.absent = envFile, absent
	return p, nil
}

// newCloudPlan makes the plan from the variables of the .env in a folder. Its error is
// all that is wrong, a line each.
func newCloudPlan(ctx context.Context, env map[string]string, folder string) (*cloudPlan, error) {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	p := &cloudPlan{channel: cmp.Or(strings.TrimSpace(env["WXPAY_CHANNEL"]), "apiv3"), ledger: cloudLedgers[0]}
	variables, left := deployedVariables(env, p.channel)
	p.left = left
	if id := variables["TCB_ENV"]; id != "" && variables["LEDGER_URL"] == "" {
		variables["LEDGER_URL"], p.derived = "cloudbase:"+id, true
	}
	scheme, rest, _ := strings.Cut(variables["LEDGER_URL"], ":")
	offered := true
	if variables["LEDGER_URL"] != "" {
		i := slices.IndexFunc(cloudLedgers, func(l cloudLedger) bool { return l.scheme == scheme })
		if offered = i >= 0; offered {
			p.ledger = cloudLedgers[i]
		}
	}
	var failed []string
	p.brought, failed = bringFiles(variables, folder)
	for _, name := range failed {
		problem("%s names a file that cannot be read", name)
	}
	malformed, lacking := checkSettings(ctx, env, variables)
	problems = append(problems, malformed...)
	switch isLedger := func(problem string) bool {
		return strings.HasPrefix(problem, "LEDGER_URL ") || strings.HasPrefix(problem, "LEDGER_URL:")
	}; {
	case p.derived:
		problems = slices.DeleteFunc(problems, isLedger) // TCB_ENV is named instead
	case !offered:
		// What config offers instead has no package for CloudBase.
		problems = slices.DeleteFunc(problems, func(p string) bool { return strings.HasPrefix(p, "LEDGER_URL must begin with") })
		if !slices.ContainsFunc(problems, isLedger) {
			problem("LEDGER_URL must begin with cloudbase:, mysql: or postgres:, which functions at CloudBase have packages for")
		}
	}
	p.missing = missing(needed(p.channel, p.ledger), variables, lacking)
	p.config = cloudBaseConfig{
		Schema: schemaAddress, Version: "2.1", EnvID: variables["TCB_ENV"],
		Region: cmp.Or(strings.TrimSpace(env["SCF_REGION"]), "ap-shanghai"), FunctionRoot: "./event",
	}
	if p.config.EnvID == "" && p.ledger.own() {
		p.config.EnvID, _, _ = strings.Cut(rest, "?")
	}
	if p.config.EnvID == "" {
		p.config.EnvID = "{{env.TCB_ENV}}" // tcb asks which, unless its environment or .env says
	}
	if !slices.Contains([]string{"ap-shanghai", "ap-guangzhou"}, p.config.Region) {
		problem("SCF_REGION must be ap-shanghai or ap-guangzhou, which are CloudBase's; for SCF in another region build with -env '', and deploy with serverless.yml")
	}
	if _, query, _ := strings.Cut(rest, "?"); p.ledger.own() {
		if v, err := url.ParseQuery(query); err == nil && v.Has("endpoint") && !reachable(v.Get("endpoint")) {
			problem("LEDGER_URL has an endpoint that is not https in public; one of this machine is for the sandbox")
		}
	}
	if v := variables["WXPAY_NOTIFY_URL"]; v != "" && !reachable(v) {
		problem("WXPAY_NOTIFY_URL must be an https address in public, which WeChat Pay reaches; http and an address of this machine or a private network are for the sandbox")
	}
	vpc, err := p.vpc(env)
	if err != nil {
		problem("%v", err)
	}
	problems = append(problems, placeholders(variables)...)
	if err := checkSize(variables); err != nil {
		problem("%v", err)
	}
	if p.ledger.own() {
		p.config.Database = &cloudBaseDatabase{"postgresql", "./migrations"}
		if p.migrations, err = ledger.Migrations(); err != nil {
			return nil, err
		}
	}
	if len(problems) > 0 {
		return nil, errors.New("  " + strings.Join(problems, "\n  "))
	}
	p.describe(variables, vpc)
	return p, nil
}

// checkSettings has the code itself look at what it would read where the functions run.
// It returns what is malformed, a sentence each, and the names of what is missing.
func checkSettings(ctx context.Context, env, variables map[string]string) (malformed, lacking []string) {
	all := maps.Clone(env)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, variables)
	all["_LAMBDA_SERVER_PORT"] = "9001" // as on SCF, where SQLite is refused
	err := config.Check(ctx, all)
	if err == nil {
		return nil, nil
	}
	for _, sentence := range strings.Split(err.Error(), "\n") {
		if name, _, ok := strings.Cut(sentence, " is missing"); ok && !strings.Contains(name, " ") {
			lacking = append(lacking, name)
		} else {
			malformed = append(malformed, sentence)
		}
	}
	return malformed, lacking
}

// missing are the needs that have no value, and what the code lacks beside them, required
// ones first.
func missing(all []need, variables map[string]string, lacking []string) (none []need) {
	known := map[string]bool{}
	for _, n := range all {
		if known[n.Name] = true; variables[n.Name] == "" {
			n.required = n.required || slices.Contains(lacking, n.Name)
			none = append(none, n)
		}
	}
	for _, s := range config.Settings() {
		// Where the ledger is the environment's own, its URL says what TCB_ENV would.
		if !known[s.Name] && s.Name != "TCB_ENV" && slices.Contains(lacking, s.Name) {
			none = append(none, need{s, true})
		}
	}
	slices.SortStableFunc(none, func(a, b need) int {
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a.required], map[bool]int{true: 0, false: 1}[b.required])
	})
	return none
}

// vpc is where the ledger's database is, if it is in one.
func (p *cloudPlan) vpc(env map[string]string) (*cloudBaseVPC, error) {
	v := cloudBaseVPC{strings.TrimSpace(env["SCF_VPC_ID"]), strings.TrimSpace(env["SCF_SUBNET_ID"])}
	switch {
	case v == cloudBaseVPC{}:
		return nil, nil
	case p.ledger.own():
		p.left = append(p.left, "SCF_VPC_ID", "SCF_SUBNET_ID")
		return nil, nil
	case v.VPCID == "" || v.SubnetID == "":
		return nil, errors.New("SCF_VPC_ID and SCF_SUBNET_ID need each other")
	}
	return &v, nil
}

// placeholders finds values that tcb would put something else in the place of.
func placeholders(variables map[string]string) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if strings.Contains(variables[name], "{{") && !strings.HasPrefix(variables[name], "{{") { // which config has told
			problems = append(problems, name+" holds {{, which tcb takes for the beginning of a placeholder")
		}
	}
	return problems
}

// maxVariables is what SCF takes of all variables of a function together, in bytes.
const maxVariables = 4 << 10

// checkSize tells which variables are the largest, if they are too large together.
func checkSize(variables map[string]string) error {
	size, lengths := 0, map[string]int{}
	for name, value := range variables {
		lengths[name] = len(name) + len(value)
		size += lengths[name]
	}
	if size <= maxVariables {
		return nil
	}
	largest := slices.SortedFunc(maps.Keys(lengths), func(a, b string) int { return cmp.Or(cmp.Compare(lengths[b], lengths[a]), cmp.Compare(a, b)) })
	for i, name := range largest {
		largest[i] = fmt.Sprintf("%s (%d)", name, lengths[name])
	}
	return fmt.Errorf("the variables of a function have %d bytes, and SCF takes %d; the largest are %s. A relative file:PATH is copied in, only an absolute one, as of a layer below /opt, is read where the function runs",
		size, maxVariables, strings.Join(largest[:min(3, len(largest))], ", "))
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
func deployedVariables(env map[string]string, channel string) (variables map[string]string, left []string) {
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
