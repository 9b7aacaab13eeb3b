package functions_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/config"
	"wxrefund/shared/sandbox"
)

// files are what deployments are read from, by name.
type files map[string]string

const (
	serverlessFile = "serverless.yml"
	templateFile   = "template.yaml"
	envFile        = ".env.example"
	readmeFile     = "README.md"
)

func readFiles(t *testing.T) files {
	t.Helper()
	f := files{}
	for _, name := range []string{serverlessFile, templateFile, envFile, readmeFile} {
		b, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		f[name] = string(b)
	}
	return f
}

// A deployment is what one file says of each function, by its name.
type deployment map[string]described

// A described is one function as a file describes it.
type described struct {
	Runtime, Entry, Code, Schedule string
	Timeout, Memory                string // seconds, MB
	environment                    map[string]string
}

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

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

// readmeJSON returns the JSON blocks of README that have a key.
func readmeJSON(readme, key string) (all []map[string]any) {
	for _, block := range jsonBlock.FindAllStringSubmatch(readme, -1) {
		var v map[string]any
		if json.Unmarshal([]byte(block[1]), &v) == nil && v[key] != nil {
			all = append(all, v)
		}
	}
	return all
}

// readCloudBase reads the cloudbaserc.json of README.
func readCloudBase(readme string) (deployment, error) {
	blocks := readmeJSON(readme, "functionRoot")
	if len(blocks) != 1 {
		return nil, fmt.Errorf("README has %d cloudbaserc.json, want 1", len(blocks))
	}
	doc := blocks[0]
	d := deployment{}
	for _, f := range listAt(doc, "functions") {
		env := map[string]string{}
		for name, value := range mapAt(f, "envVariables") {
			env[name] = fmt.Sprint(value)
		}
		described := described{
			Runtime: textAt(f, "runtime"), Entry: textAt(f, "handler"), environment: env,
			Code:    filepath.Join(textAt(doc, "functionRoot"), textAt(f, "name")),
			Timeout: textAt(f, "timeout"), Memory: textAt(f, "memorySize"),
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

// Both files and README describe the same functions, as our packages and our
// code want them.
func TestDeployments(t *testing.T) {
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
		readmeFile:     func() (deployment, error) { return readCloudBase(f[readmeFile]) },
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
	return a.Runtime == b.Runtime && a.Entry == b.Entry && a.Code == b.Code && a.Schedule == b.Schedule && a.Timeout == b.Timeout && a.Memory == b.Memory
}

// unset are the variables that a deployment leaves alone, and why.
var unset = map[string]map[string]string{
	serverlessFile: {
		"REFUND_SERVER_TOKEN":       "plain HTTP only",
		"WXPAY_BASE_URL":            "the sandbox",
		"WXPAY_CA_CERT":             "the sandbox",
		"TCB_API_URL":               "the sandbox",
		"LEDGER_ALLOW_SQLITE":       "the package holds no SQLite",
		"TRUST_WX_HEADERS":          "plain HTTP only",
		"TENCENTCLOUD_SECRETID":     "lent to each request",
		"TENCENTCLOUD_SECRETKEY":    "lent to each request",
		"TENCENTCLOUD_SESSIONTOKEN": "lent to each request",
	},
	templateFile: {
		"REFUND_SERVER_TOKEN":       "plain HTTP only",
		"WXPAY_BASE_URL":            "the sandbox",
		"WXPAY_CA_CERT":             "the sandbox",
		"TCB_API_URL":               "the sandbox",
		"LEDGER_ALLOW_SQLITE":       "the package holds no SQLite",
		"TRUST_WX_HEADERS":          "plain HTTP only",
		"TENCENTCLOUD_SESSIONTOKEN": "of what is lent; these keys are the merchant's own",
		"REFUND_TRUST_FUNCTIONS":    "no function of CloudBase calls here",
		"REFUND_CLIENT_SOURCES":     "no TCB_SOURCE here",
		"REFUND_SERVER_SOURCES":     "no TCB_SOURCE here",
		"CLOUDPAY_TRUST_RELAY":      "no relay of CloudBase calls here",
	},
}

// checkVariables wants every variable of the code set or left alone for a reason,
// and nothing set that no code reads.
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
		left := unset[file]
		if file == readmeFile {
			left = unset[serverlessFile]
		}
		for name, described := range d {
			known := map[string]bool{}
			for _, v := range config.Settings() {
				known[v.Name] = true
				_, isSet := described.environment[v.Name]
				if _, isLeft := left[v.Name]; isSet == isLeft {
					problems = append(problems, fmt.Sprintf("%s: %s: %s is set: %v, and left alone: %v", file, name, v.Name, isSet, isLeft))
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
	envReference       = regexp.MustCompile(`^\$\{env:([A-Z0-9_]+)\}$`)
	cloudBaseReference = regexp.MustCompile(`^\{\{env\.([A-Z0-9_]+)\}\}$`)
	anyEnvReference    = regexp.MustCompile(`\$\{env:([A-Z0-9_]+)\}|\{\{env\.([A-Z0-9_]+)\}\}`)
	envLine            = regexp.MustCompile(`(?m)^([A-Z0-9_]+)=(.*)$`)
)

// checkReferences wants every value for SCF read from a variable of the same
// name, and .env.example to name exactly those.
func checkReferences(f files) []string {
	all, problems := f.deployments()
	for file, form := range map[string]*regexp.Regexp{serverlessFile: envReference, readmeFile: cloudBaseReference} {
		for name, d := range all[file] {
			for variable, value := range d.environment {
				if m := form.FindStringSubmatch(value); m == nil || m[1] != variable {
					problems = append(problems, fmt.Sprintf("%s: %s: %s is %q, want a reference to it", file, name, variable, value))
				}
			}
		}
	}
	referred := map[string]bool{}
	for _, text := range []string{f[serverlessFile], f[readmeFile]} {
		for _, m := range anyEnvReference.FindAllStringSubmatch(text, -1) {
			if name := m[1] + m[2]; name != "NAME" {
				referred[name] = true
			}
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

// secrets are the variables whose values nobody may read, and the ledger's URL,
// which holds a password.
var secrets = []string{
	"LEDGER_URL", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY", "WXPAY_API_KEY", "WXPAY_CLIENT_KEY", "WECOM_CORPSECRET",
	"TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "NOTIFY_WEBHOOK_SECRET", "REFUND_SERVER_TOKEN",
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
		if slices.Contains(secrets, m[1]) && m[2] != "" {
			problems = append(problems, fmt.Sprintf("%s gives %s a value", envFile, m[1]))
		}
	}
	for _, channel := range channels {
		d, err := readTemplate(f[templateFile], map[string]string{"Channel": channel, "PublicKeyId": "P", "WebhookUrl": "https://x.example"})
		if err != nil {
			return append(problems, err.Error())
		}
		for name, described := range d {
			for _, variable := range secrets {
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

var channels = []string{"apiv3", "cloudbase", "cloudpay", "global", "wecom"}

// secretKeys names the parts of the secret that template.yaml refers to.
var secretKeys = map[string]string{
	"private_key": "WXPAY_PRIVATE_KEY", "apiv3_key": "WXPAY_APIV3_KEY", "public_key": "WXPAY_PUBLIC_KEY", "api_key": "WXPAY_API_KEY",
	"client_cert": "WXPAY_CLIENT_CERT", "client_key": "WXPAY_CLIENT_KEY", "corpsecret": "WECOM_CORPSECRET",
	"secret_id": "TENCENTCLOUD_SECRETID", "secret_key": "TENCENTCLOUD_SECRETKEY", "webhook_secret": "NOTIFY_WEBHOOK_SECRET",
}

// parameters are those of template.yaml, and what they set.
var parameters = map[string]string{
	"Channel": "WXPAY_CHANNEL", "AppId": "WXPAY_APPID", "MchId": "WXPAY_MCHID", "SubAppId": "WXPAY_SUB_APPID", "SubMchId": "WXPAY_SUB_MCHID",
	"SerialNo": "WXPAY_SERIAL_NO", "PublicKeyId": "WXPAY_PUBLIC_KEY_ID", "SignType": "WXPAY_SIGN_TYPE", "CloudBaseEnv": "TCB_ENV",
	"CloudPayCallback": "CLOUDPAY_CALLBACK_FUNCTION", "CorpId": "WECOM_CORPID",
	"NotifyFunctions": "NOTIFY_FUNCTIONS", "WebhookUrl": "NOTIFY_WEBHOOK_URL",
}

// subscribed are the settings of a merchant who is told of settled refunds.
var subscribed = map[string]string{
	"NOTIFY_FUNCTIONS": "scf:orderCallback", "NOTIFY_WEBHOOK_URL": "https://hook.example",
	"NOTIFY_WEBHOOK_SECRET": base64.StdEncoding.EncodeToString(make([]byte, 32)),
	"TCB_ENV":               "env-1", "TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key",
}

// maxEnvironment is what Lambda and SCF allow for all variables together, in bytes.
const maxEnvironment = 4 << 10

// checkConfiguration has the code itself load what the files set, for every
// channel and function, with a merchant's values in the references' places.
func checkConfiguration(f files) []string {
	k, err := keys()
	if err != nil {
		return []string{err.Error()}
	}
	s, err := sandbox.New(sandbox.Config{Keys: k})
	if err != nil {
		return []string{err.Error()}
	}
	s.SetURLs(sandbox.URLs{WeChat: "http://wechat.example", WeChatTLS: "https://wechat.example", Notify: "https://merchant.example/notify"})
	var problems []string
	doc, _ := plainYAML(f[templateFile])
	if got, want := fmt.Sprint(listAt(doc, "Parameters", "Channel", "AllowedValues")), fmt.Sprint(channels); got != want {
		problems = append(problems, fmt.Sprintf("%s offers the channels %s, want %s", templateFile, got, want))
	}
	for _, channel := range channels {
		merchant, err := s.Settings(channel)
		if err != nil {
			return append(problems, err.Error())
		}
		maps.Copy(merchant, subscribed)
		given := map[string]string{}
		for parameter, variable := range parameters {
			given[parameter] = merchant[variable]
		}
		all, unread := f.deployments()
		problems = append(problems, unread...)
		if all[templateFile], err = readTemplate(f[templateFile], given); err != nil {
			problems = append(problems, err.Error())
		}
		delete(given, "NotifyFunctions")
		delete(given, "WebhookUrl")
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
				// all variables: README says to put one into a file.
				if size > maxEnvironment && (file != serverlessFile && file != readmeFile || channel != "global") {
					problems = append(problems, fmt.Sprintf("%s: %s on %s: the variables have %d bytes, want at most %d", file, name, channel, size, maxEnvironment))
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
		} else if m := anyEnvReference.FindStringSubmatch(value); m != nil {
			from = m[1] + m[2]
		} else {
			out[name] = value
			continue
		}
		switch out[name] = merchant[from]; from {
		case "LEDGER_URL":
			out[name] = "mysql://wxrefund:x@10.0.0.1:3306/wxrefund"
		case "LOG_LEVEL":
			out[name] = "info"
		}
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

// checkSecurityRule wants the rule of README to close to clients whatever is not
// theirs. A rule without "*" is refused by CloudBase.
func checkSecurityRule(f files) []string {
	rules := readmeJSON(f[readmeFile], "notify")
	if len(rules) != 2 {
		return []string{fmt.Sprintf("README has %d security rules, want one in each language", len(rules))}
	}
	var problems []string
	for _, rule := range rules {
		for name, want := range map[string]any{"*": "auth != null", "notify": false, "reconcile": false} {
			if got := at(rule, name, "invoke"); got != want {
				problems = append(problems, fmt.Sprintf("the security rule of %s is %v, want %v", name, got, want))
			}
		}
		if at(rule, "wxpayFunctions") != nil {
			problems = append(problems, "the security rule of wxpayFunctions is its own, and mini-programs cannot call it")
		}
	}
	return problems
}

// README tells the same in both languages: the same commands, in the same order,
// and the same names of things.
func TestREADMEDeploysAlikeInBothLanguages(t *testing.T) {
	readme := readFiles(t)[readmeFile]
	english, chinese := between(t, readme, "## Deploy", "## Configuration"), between(t, readme, "### 部署", "### 配置")
	if n := len(commands(english)); n < 8 {
		t.Errorf("README has %d commands to deploy by, want them all", n)
	}
	if d := cmp.Diff(commands(english), commands(chinese)); d != "" {
		t.Errorf("the commands (-English +中文):\n%s", d)
	}
	if d := cmp.Diff(terms(english), terms(chinese)); d != "" {
		t.Errorf("the names (-English +中文):\n%s", d)
	}
}

// between returns what stands between two headings, but for the tables and the
// configuration file, which both languages share.
func between(t *testing.T, text, heading, next string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "\n"+heading+"\n")
	section, _, ends := strings.Cut(after, "\n"+next+"\n")
	if !ok || !ends {
		t.Fatalf("README has no %q before %q", heading, next)
	}
	return sharedParts.ReplaceAllString(section, "")
}

var (
	sharedParts = regexp.MustCompile("(?sm)```json\n\\{\n.*?```|^\\|[^\n]*$")
	commandLine = regexp.MustCompile(`(?m)^ {4,}((?:go run|tcb|scf|sam|aws|jq|curl|'\{|--payload).*?)(?:\s+#.*)?$`)
	codeSpan    = regexp.MustCompile("`([^`\n]+)`")
)

func commands(section string) (all []string) {
	for _, m := range commandLine.FindAllStringSubmatch(section, -1) {
		all = append(all, m[1])
	}
	return all
}

func terms(section string) []string {
	found := map[string]bool{}
	for _, m := range codeSpan.FindAllStringSubmatch(section, -1) {
		if !strings.HasPrefix(m[1], "file:") { // whose path is put into words
			found[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// D6: neither the packages nor the files hold a secret, or a path of the machine
// that built them.
func TestD6NoSecretInPackagesAndFiles(t *testing.T) {
	if got := checkLiterals(readFiles(t)); len(got) > 0 {
		t.Errorf("the files: %q", got)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
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
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
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
