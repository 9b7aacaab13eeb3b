package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"wxrefund/shared/config"
	"wxrefund/shared/sandbox"
)

// files are what deployments are read from, by name.
type files map[string]string

const (
	serverlessFile = "serverless.yml"
	templateFile   = "template.yaml"
	envFile        = ".env.example"
	cloudBaseFile  = "cloudbaserc.json" // as the command makes it from sampleEnv
	englishFile    = "functions/README.md"
	chineseFile    = "functions/README.zh.md"
)

func readFiles(t *testing.T) files {
	t.Helper()
	f := files{}
	for _, name := range []string{serverlessFile, templateFile, envFile, englishFile, chineseFile} {
		f[name] = readFile(t, name)
	}
	f[cloudBaseFile] = rendered(t, sampleEnv())
	return f
}

// readFile reads a file of the repository.
func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sampleEnv is a .env in which a merchant on apiv3 has filled in all there is. The keys
// are in files of the functions' machine.
func sampleEnv() map[string]string {
	env := map[string]string{
		"LEDGER_URL": "cloudbase:shop-1g2h3j4k5l", "CLOUDBASE_APIKEY": "api-key",
		"SCF_REGION": "ap-guangzhou", "SCF_VPC_ID": "vpc-1a2b3c4d", "SCF_SUBNET_ID": "subnet-1a2b3c4d",
		"WXPAY_PRIVATE_KEY": "file:/opt/key.pem", "WXPAY_PUBLIC_KEY": "file:/opt/pub.pem",
		"WXPAY_APIV3_KEY": strings.Repeat("k", 32), "WXPAY_API_KEY": strings.Repeat("2", 32),
		"NOTIFY_WEBHOOK_SECRET": base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"ALERT_SECRET":          "-",
	}
	for _, s := range config.Settings() {
		if s.In&config.SCF != 0 && env[s.Name] == "" {
			env[s.Name] = s.Example
		}
	}
	env["WECOM_CORPSECRET"] = "corp"
	return env
}

// A deployment is what one file says of each function, by its name.
type deployment map[string]described

// A described is one function as a file describes it.
type described struct {
	Runtime, Entry, Code, Schedule string
	Timeout, Memory                string // seconds, MB
	Kind                           string // of CloudBase's functions: its type, and "public" and a route if it has them
	environment                    map[string]string
}

// deployed are the functions, as they are called where they are deployed.
var deployed = []string{"wxpayFunctions", "notify", "reconcile"}

// wanted are our own facts. A timeout leaves time for the call to WeChat Pay
// (10 s), for the answer to WeChat Pay (4 s, and 2 s to open the ledger), and for
// a run of the reconciler (50 s).
var wanted = map[string]struct{ timeout, scfSchedule, awsSchedule string }{
	"wxpayFunctions": {"15", "", ""},
	"notify":         {"10", "", ""},
	"reconcile":      {"60", "0 * * * * * *", "rate(1 minute)"},
}

// readServerless reads serverless.yml.
func readServerless(text string) (deployment, error) {
	doc, err := plainYAML(text)
	if err != nil {
		return nil, err
	}
	inputs := at(doc, "inputs")
	if got := textAt(doc, "component"); got != "multi-scf" {
		return nil, fmt.Errorf("component is %q", got)
	}
	env := map[string]string{}
	for _, e := range listAt(inputs, "environments") {
		env[textAt(e, "key")] = textAt(e, "value")
	}
	d := deployment{}
	for key, f := range mapAt(inputs, "functions") {
		if name := textAt(f, "name"); name != key {
			return nil, fmt.Errorf("the function %s is called %q", key, name)
		}
		d[key] = described{
			Runtime: textAt(inputs, "runtime"), Entry: textAt(f, "handler"), environment: env,
			Code:    filepath.Join(textAt(inputs, "src", "src"), textAt(f, "src")),
			Timeout: textAt(f, "timeout"), Memory: textAt(inputs, "memorySize"),
		}
	}
	for _, t := range listAt(inputs, "triggers") {
		name := textAt(t, "function")
		f := d[name]
		if textAt(t, "type") != "timer" || textAt(t, "parameters", "enable") != "true" {
			return nil, errors.New("a trigger is no timer, or is switched off")
		}
		f.Schedule = textAt(t, "parameters", "cronExpression")
		d[name] = f
	}
	return d, nil
}

// readTemplate reads template.yaml as it is deployed with some parameters.
func readTemplate(text string, parameters map[string]string) (deployment, error) {
	doc, err := plainYAML(text)
	if err != nil {
		return nil, err
	}
	s, err := newStack(doc, parameters)
	if err != nil {
		return nil, err
	}
	d := deployment{}
	for id, r := range mapAt(doc, "Resources") {
		if textAt(r, "Type") != "AWS::Serverless::Function" {
			continue
		}
		name, err := s.value(at(r, "Properties", "FunctionName"))
		if err != nil {
			return nil, err
		}
		short, ok := strings.CutPrefix(fmt.Sprint(name), pseudo["AWS::StackName"]+"-")
		if !ok {
			return nil, fmt.Errorf("%s is called %v, not after the stack", id, name)
		}
		env, err := s.environment(id)
		if err != nil {
			return nil, err
		}
		f := described{
			Runtime: textAt(doc, "Globals", "Function", "Runtime"), Entry: textAt(doc, "Globals", "Function", "Handler"), environment: env,
			Code:    strings.TrimSuffix(textAt(r, "Properties", "CodeUri"), ".zip"),
			Timeout: textAt(r, "Properties", "Timeout"), Memory: textAt(doc, "Globals", "Function", "MemorySize"),
		}
		for _, e := range mapAt(r, "Properties", "Events") {
			f.Schedule += textAt(e, "Properties", "Schedule")
		}
		d[short] = f
	}
	return d, nil
}

// readCloudBase reads cloudbaserc.json.
func readCloudBase(text string) (deployment, error) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	d := deployment{}
	for _, f := range listAt(doc, "functions") {
		env := map[string]string{}
		for name, value := range mapAt(f, "envVariables") {
			env[name] = fmt.Sprint(value)
		}
		described := described{
			Runtime: textAt(f, "runtime"), Entry: textAt(f, "handler"), environment: env,
			Code:    filepath.Join("dist", "cloudbase", textAt(f, "dir")), // from where it stands
			Timeout: textAt(f, "timeout"), Memory: textAt(f, "memorySize"), Kind: textAt(f, "type"),
		}
		if at(f, "public") == true {
			described.Kind += " public"
		}
		for _, r := range listAt(at(doc, "gateway"), "routes") {
			if textAt(r, "target") == "function:"+textAt(f, "name") {
				described.Kind += fmt.Sprintf(" %s, authentication %v", textAt(r, "path"), at(r, "enableAuth"))
			}
		}
		for _, t := range listAt(f, "triggers") {
			if textAt(t, "type") == "timer" {
				described.Schedule += textAt(t, "config")
			}
		}
		d[textAt(f, "name")] = described
	}
	return d, nil
}

// A problem is what is wrong with a deployment, and which check found it.
type problem struct{ check, what string }

// A check finds what is wrong.
type check struct {
	name string
	find func(f files) []string
}

// checks are all that can be told from the files alone.
var checks = []check{
	{"functions", checkFunctions},
	{"variables", checkVariables},
	{"references", checkReferences},
	{"literals", checkLiterals},
	{"configuration", checkConfiguration},
	{"rule", checkSecurityRule},
	{"table", checkTable},
	{"roles", checkRoles},
	{"door", checkDoor},
	{"logs", checkLogs},
	{"alarms", checkAlarms},
}

func (f files) problems() (all []problem) {
	for _, c := range checks {
		for _, what := range c.find(f) {
			all = append(all, problem{c.name, what})
		}
	}
	return all
}

// found is what one check finds.
func (f files) found(check string) []string {
	for _, c := range checks {
		if c.name == check {
			return c.find(f)
		}
	}
	return nil
}

// serverless.yml, template.yaml, cloudbaserc.json and the documents describe the same
// functions, as our packages and our code want them, and hold no secret.
func TestDeploymentFilesDescribeOurFunctions(t *testing.T) {
	for _, p := range readFiles(t).problems() {
		t.Errorf("%s: %s", p.check, p.what)
	}
}

// deployments reads all three; what cannot be read is a problem.
func (f files) deployments() (all map[string]deployment, problems []string) {
	all = map[string]deployment{}
	for name, read := range map[string]func() (deployment, error){
		serverlessFile: func() (deployment, error) { return readServerless(f[serverlessFile]) },
		templateFile:   func() (deployment, error) { return readTemplate(f[templateFile], nil) },
		cloudBaseFile:  func() (deployment, error) { return readCloudBase(f[cloudBaseFile]) },
	} {
		d, err := read()
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		all[name] = d
	}
	return all, problems
}

// checkFunctions holds runtime, entry, code, timeout, memory and schedule of each
// function against our facts.
func checkFunctions(f files) []string {
	all, problems := f.deployments()
	for file, d := range all {
		for _, name := range deployed {
			w := wanted[name]
			want := described{
				Runtime: "Go1", Entry: "main", Code: "dist/scf-mysql/" + name, Schedule: w.scfSchedule, Timeout: w.timeout, Memory: "256",
			}
			if file == templateFile {
				want.Runtime, want.Entry, want.Code, want.Schedule = "provided.al2023", "bootstrap", "dist/lambda-dynamodb/"+name, w.awsSchedule
			}
			if file == cloudBaseFile {
				want.Code, want.Kind = "dist/cloudbase/event/"+name, "Event"
			}
			if file == cloudBaseFile && name == "notify" {
				want.Code, want.Kind = "dist/cloudbase/http/"+name, "HTTP public /refund-notify, authentication false"
			}
			got := d[name]
			got.environment = nil
			if !equal(got, want) {
				problems = append(problems, fmt.Sprintf("%s: %s is %+v, want %+v", file, name, got, want))
			}
		}
		if len(d) != len(deployed) {
			problems = append(problems, fmt.Sprintf("%s: has the functions %v, want %v", file, slices.Sorted(maps.Keys(d)), deployed))
		}
	}
	return problems
}

func equal(a, b described) bool {
	return a.Runtime == b.Runtime && a.Entry == b.Entry && a.Code == b.Code && a.Schedule == b.Schedule && a.Timeout == b.Timeout && a.Memory == b.Memory && a.Kind == b.Kind
}

// checkVariables wants every setting set where it is for, and nothing set that no code
// reads: in cloudbaserc.json those of the one channel.
func checkVariables(f files) []string {
	all, problems := f.deployments()
	// A template's variables are all that it can set.
	if doc, err := plainYAML(f[templateFile]); err == nil && all[templateFile] != nil {
		env := maps.Clone(mapAt(doc, "Globals", "Function", "Environment", "Variables"))
		maps.Copy(env, mapAt(doc, "Resources", "Dispatcher", "Properties", "Environment", "Variables"))
		d := all[templateFile]["wxpayFunctions"]
		d.environment = map[string]string{}
		for name := range env {
			d.environment[name] = ""
		}
		all[templateFile] = deployment{"wxpayFunctions": d}
	}
	for file, d := range all {
		place := config.SCF
		if file == templateFile {
			place = config.Lambda
		}
		for name, described := range d {
			known := map[string]bool{}
			for _, s := range config.Settings() {
				known[s.Name] = true
				want := s.In&place != 0
				if reads, _ := s.Reads("apiv3"); file == cloudBaseFile && !reads {
					want = false
				}
				if _, isSet := described.environment[s.Name]; isSet != want {
					problems = append(problems, fmt.Sprintf("%s: %s: %s is set: %v, want %v", file, name, s.Name, isSet, want))
				}
			}
			for variable := range described.environment {
				if !known[variable] {
					problems = append(problems, fmt.Sprintf("%s: %s: %s is set and no code reads it", file, name, variable))
				}
			}
		}
	}
	return problems
}

var (
	envReference = regexp.MustCompile(`\$\{env:([A-Z0-9_]+)\}`)
	envLine      = regexp.MustCompile(`(?m)^([A-Z0-9_]+)=(.*)$`)
)

// checkReferences wants every value for SCF to be that of .env's variable of the same
// name, and .env.example to name exactly those.
func checkReferences(f files) []string {
	all, problems := f.deployments()
	for name, d := range all[serverlessFile] {
		for variable, value := range d.environment {
			if value != "${env:"+variable+"}" {
				problems = append(problems, fmt.Sprintf("%s: %s: %s is %q, want a reference to it", serverlessFile, name, variable, value))
			}
		}
	}
	sample := sampleEnv()
	for name, d := range all[cloudBaseFile] {
		for variable, value := range d.environment {
			if value != sample[variable] {
				problems = append(problems, fmt.Sprintf("%s: %s: %s is not what .env says", cloudBaseFile, name, variable))
			}
		}
	}
	referred := map[string]bool{}
	for _, m := range envReference.FindAllStringSubmatch(f[serverlessFile], -1) {
		if m[1] != "NAME" {
			referred[m[1]] = true
		}
	}
	for _, m := range envLine.FindAllStringSubmatch(f[envFile], -1) {
		if !referred[m[1]] {
			problems = append(problems, fmt.Sprintf("%s names %s, which nothing reads", envFile, m[1]))
		}
		delete(referred, m[1])
	}
	for name := range referred {
		problems = append(problems, fmt.Sprintf("%s lacks %s", envFile, name))
	}
	return problems
}

// secrets are the variables whose values nobody may read.
func secrets() (names []string) {
	for _, s := range config.Settings() {
		if s.Secret {
			names = append(names, s.Name)
		}
	}
	return names
}

// secretForms are what secrets look like, wherever they stand.
var secretForms = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`),
	regexp.MustCompile(`\bMII[A-Za-z0-9+/]{40,}`),            // a key or certificate without its head
	regexp.MustCompile(`\b(AKID|AKIA|ASIA)[A-Za-z0-9]{12,}`), // of Tencent Cloud, of AWS
	regexp.MustCompile(`\bwhsec_[A-Za-z0-9+/=]{16,}`),
	regexp.MustCompile(`(mysql|postgres)://[^:/\s]+:[^$@\s]+@[0-9a-z.-]+\.(com|cn|internal)`),
}

// checkLiterals finds secrets that are written where they do not belong.
func checkLiterals(f files) []string {
	var problems []string
	for name, text := range f {
		for _, form := range secretForms {
			if form.MatchString(text) {
				problems = append(problems, fmt.Sprintf("%s holds what looks like a secret: %s", name, form))
			}
		}
	}
	for _, m := range envLine.FindAllStringSubmatch(f[envFile], -1) {
		if slices.Contains(secrets(), m[1]) && m[2] != "" {
			problems = append(problems, fmt.Sprintf("%s gives %s a value", envFile, m[1]))
		}
	}
	for _, channel := range config.Channels() {
		d, err := readTemplate(f[templateFile], map[string]string{"Channel": channel, "PublicKeyId": "P", "WebhookUrl": "https://x.example"})
		if err != nil {
			return append(problems, err.Error())
		}
		for name, described := range d {
			for _, variable := range secrets() {
				value, isSet := described.environment[variable]
				if isSet && !secretReference.MatchString(value) && !strings.HasPrefix(value, "dynamodb://Ledger?") {
					problems = append(problems, fmt.Sprintf("%s: %s: %s is %q, want a reference to Secrets Manager", templateFile, name, variable, value))
				}
			}
		}
	}
	return problems
}

var secretReference = regexp.MustCompile(`^\{\{resolve:secretsmanager:wxrefund:SecretString:([a-z0-9_]+)\}\}$`)

// secretKeys names the parts of the secret that template.yaml refers to.
var secretKeys = map[string]string{
	"private_key": "WXPAY_PRIVATE_KEY", "apiv3_key": "WXPAY_APIV3_KEY", "public_key": "WXPAY_PUBLIC_KEY", "api_key": "WXPAY_API_KEY",
	"client_cert": "WXPAY_CLIENT_CERT", "client_key": "WXPAY_CLIENT_KEY", "corpsecret": "WECOM_CORPSECRET",
	"secret_id": "TENCENTCLOUD_SECRETID", "secret_key": "TENCENTCLOUD_SECRETKEY", "webhook_secret": "NOTIFY_WEBHOOK_SECRET",
	"alert_url": "ALERT_URL", "alert_secret": "ALERT_SECRET",
}

// parameters are those of template.yaml, and what they set.
var parameters = map[string]string{
	"Channel": "WXPAY_CHANNEL", "AppId": "WXPAY_APPID", "MchId": "WXPAY_MCHID", "SubAppId": "WXPAY_SUB_APPID", "SubMchId": "WXPAY_SUB_MCHID",
	"SerialNo": "WXPAY_SERIAL_NO", "PublicKeyId": "WXPAY_PUBLIC_KEY_ID", "SignType": "WXPAY_SIGN_TYPE", "CloudBaseEnv": "TCB_ENV",
	"CloudPayCallback": "CLOUDPAY_CALLBACK_FUNCTION", "CorpId": "WECOM_CORPID",
	"NotifyFunctions": "NOTIFY_FUNCTIONS", "WebhookUrl": "NOTIFY_WEBHOOK_URL", "WaitFunds": "REFUND_WAIT_FUNDS", "Bill": "RECONCILE_BILL",
}

// subscribed are the settings of a merchant who is told of settled refunds.
var subscribed = map[string]string{
	"NOTIFY_FUNCTIONS": "scf:orderCallback", "NOTIFY_WEBHOOK_URL": "https://hook.example",
	"NOTIFY_WEBHOOK_SECRET": base64.StdEncoding.EncodeToString(make([]byte, 32)),
	"ALERT_URL":             "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k https://oapi.dingtalk.com/robot/send?access_token=t",
	"ALERT_SECRET":          "- SECa", "REFUND_WAIT_FUNDS": "true",
	"TCB_ENV": "env-1", "TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key",
}

// wechat is a sandbox that is asked for a merchant's settings alone.
var wechat = sync.OnceValues(func() (*sandbox.Sandbox, error) {
	s, err := sandbox.New(sandbox.Config{})
	if err == nil {
		s.SetURLs(sandbox.URLs{WeChat: "http://wechat.example", WeChatTLS: "https://wechat.example", Notify: "https://merchant.example/notify"})
	}
	return s, err
})

// checkConfiguration has the code itself load what the files set, for every
// channel and function, with a merchant's values in the references' places.
func checkConfiguration(f files) []string {
	s, err := wechat()
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	doc, _ := plainYAML(f[templateFile])
	if got, want := fmt.Sprint(listAt(doc, "Parameters", "Channel", "AllowedValues")), fmt.Sprint(config.Channels()); got != want {
		problems = append(problems, fmt.Sprintf("%s offers the channels %s, want %s", templateFile, got, want))
	}
	for _, channel := range config.Channels() {
		merchant, err := s.Settings(channel)
		if err != nil {
			return append(problems, err.Error())
		}
		maps.Copy(merchant, subscribed)
		merchant["LEDGER_URL"], merchant["LOG_LEVEL"] = "mysql://wxrefund:x@10.0.0.1:3306/wxrefund", "info"
		given := map[string]string{}
		for parameter, variable := range parameters {
			given[parameter] = merchant[variable]
		}
		given["Robots"] = "true"
		all, unread := f.deployments()
		problems = append(problems, unread...)
		delete(all, cloudBaseFile) // TestCloudBaseFolderOfEachChannelAndLedger makes and loads one for each
		if all[templateFile], err = readTemplate(f[templateFile], given); err != nil {
			problems = append(problems, err.Error())
		}
		delete(given, "NotifyFunctions")
		delete(given, "WebhookUrl")
		delete(given, "Robots")
		if all["template.yaml, telling nobody"], err = readTemplate(f[templateFile], given); err != nil {
			problems = append(problems, err.Error())
		}
		for file, d := range all {
			for name, described := range d {
				env, err := filled(described.environment, merchant)
				if err == nil {
					err = loads(env)
				}
				if err != nil {
					problems = append(problems, fmt.Sprintf("%s: %s on %s: %v", file, name, channel, err))
				}
				size := 0
				for variable, value := range env {
					size += len(variable) + len(value)
				}
				// Three keys of a merchant of Global's do not fit beside the names of
				// all variables: cloudbaserc.json, which leaves out what is empty, has room.
				if size > maxVariables && (file != serverlessFile || channel != "global") {
					problems = append(problems, fmt.Sprintf("%s: %s on %s: the variables have %d bytes, want at most %d", file, name, channel, size, maxVariables))
				}
			}
		}
	}
	return problems
}

// filled puts a merchant's values where the variables refer to some.
func filled(env, merchant map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for name, value := range env {
		from := ""
		if m := secretReference.FindStringSubmatch(value); m != nil {
			if from = secretKeys[m[1]]; from == "" {
				return nil, fmt.Errorf("%s refers to %s, which is no part of the secret", name, m[1])
			}
		} else if m := envReference.FindStringSubmatch(value); m != nil {
			from = m[1]
		} else {
			out[name] = value
			continue
		}
		out[name] = merchant[from]
	}
	return out, nil
}

// loads reports what the code says of an environment.
func loads(env map[string]string) error {
	sys, err := config.Load(context.Background(), func(name string) string { return env[name] }, nil)
	if err != nil {
		return err
	}
	return sys.Close()
}

// jsonBlock is a block of JSON in a document.
var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

// checkSecurityRule wants the rule of the documents to close to clients whatever is not
// theirs. A rule without "*" is refused by CloudBase. There may be one more, for where notify
// is an HTTP function: those are closed to WeChat Pay, too, unless a rule opens them.
func checkSecurityRule(f files) []string {
	var problems []string
	for _, file := range []string{englishFile, chineseFile} {
		found := map[any]int{}
		for _, block := range jsonBlock.FindAllStringSubmatch(f[file], -1) {
			var rule map[string]any
			if json.Unmarshal([]byte(block[1]), &rule) != nil || rule["notify"] == nil {
				continue
			}
			found[at(rule, "notify", "invoke")]++
			for name, want := range map[string]any{"*": "auth != null", "reconcile": false} {
				if got := at(rule, name, "invoke"); got != want {
					problems = append(problems, fmt.Sprintf("%s: the security rule of %s is %v, want %v", file, name, got, want))
				}
			}
			if at(rule, "wxpayFunctions") != nil {
				problems = append(problems, file+": the security rule of wxpayFunctions is its own, and mini-programs cannot call it")
			}
		}
		if found[false] != 1 || found[true] > 1 || len(found) > 2 {
			problems = append(problems, fmt.Sprintf("%s has the rules %v of notify, want one that closes it, and at most one that opens it", file, found))
		}
	}
	return problems
}
