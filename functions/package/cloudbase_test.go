package main

import (
	"archive/zip"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"wxrefund/shared/config"
	"wxrefund/shared/dotenv"
	"wxrefund/shared/ledger"
)

// schema is CloudBase's own of cloudbaserc.json, version 2.1.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		re, err := regexp2.Compile(pattern, regexp2.ECMAScript)
		return (*ecmaScript)(re), err
	})
	s, err := c.Compile("testdata/cloudbaserc.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An ecmaScript is a regular expression as JSON Schema has them, which Go's are not.
type ecmaScript regexp2.Regexp

func (re *ecmaScript) String() string { return (*regexp2.Regexp)(re).String() }

func (re *ecmaScript) MatchString(s string) bool {
	found, err := (*regexp2.Regexp)(re).MatchString(s)
	return err == nil && found
}

func validates(s *jsonschema.Schema, document string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// quoted writes a .env, every value as its kind is pasted.
func quoted(env map[string]string) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(env)) {
		form := []string{"%=@\n", "export %=\"@\"\r\n", "% = '@' # set\n"}[i%3]
		if strings.Contains(env[name], "\n") {
			form = "%=\"@\"\r\n"
		}
		if strings.Contains(env[name], `"`) {
			form = "%='@'\n"
		}
		b.WriteString(strings.NewReplacer("%", name, "@", env[name]).Replace(form))
	}
	return b.String()
}

// put writes a file that nobody else may read, and its folder.
func put(t *testing.T, name, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// merchantEnv is the .env of a merchant of one channel.
func merchantEnv(t *testing.T, channel string) map[string]string {
	t.Helper()
	s, err := wechat()
	if err != nil {
		t.Fatal(err)
	}
	env, err := s.Settings(channel)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(env, subscribed)
	maps.Copy(env, map[string]string{
		"WXPAY_CHANNEL": channel, "LEDGER_URL": "cloudbase:env-1", "CLOUDBASE_APIKEY": "api-key", "REFUND_MAX_FEN": "", "SCF_REGION": "ap-shanghai",
		"CLOUDPAY_CALLBACK_FUNCTION": "notify",
	})
	return env
}

// ledgerURLs are of each kind of ledger that functions at CloudBase may have.
var ledgerURLs = map[string]string{
	"cloudbase": "cloudbase:env-1", "mysql": "mysql://wxrefund:p@10.0.0.1:3306/wxrefund", "postgres": "postgres://wxrefund:p@10.0.0.1:5432/wxrefund",
}

// unbuilt makes packages that hold no programs, and whatever else builds make.
func unbuilt(t *testing.T, dir string, parts []part) {
	t.Helper()
	for _, p := range parts {
		folder := filepath.Join(dir, p.target.name, p.function.name)
		put(t, filepath.Join(folder, "main"), "the program "+p.target.name+" "+p.function.name)
		err := os.Chmod(filepath.Join(folder, "main"), 0o755)
		if p.target.script != "" {
			err = os.WriteFile(filepath.Join(folder, p.target.entry), []byte(p.target.script), 0o755)
		}
		if err == nil {
			_, err = pack(folder, folder+".zip")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// made makes dir/cloudbase from a .env and returns the plan and what is said.
func made(t *testing.T, dir, envFile string) (p *cloudPlan, said string) {
	t.Helper()
	p, err := planned(t.Context(), dir, envFile)
	if err != nil {
		t.Fatal(err)
	}
	unbuilt(t, dir, p.ledger.parts())
	var out strings.Builder
	if err := p.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := p.say(&out, dir); err != nil {
		t.Fatal(err)
	}
	return p, out.String()
}

// rendered is the file that variables make.
func rendered(t *testing.T, env map[string]string) string {
	t.Helper()
	p, err := newCloudPlan(t.Context(), env, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.json()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// content reads a folder: of each file what is in it and its mode.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = info.Mode().Perm().String() + " " + string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// zipped reads a zip in the same form.
func zipped(t *testing.T, name string) map[string]string {
	t.Helper()
	r, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[string]string{}
	for _, f := range r.File {
		b, err := fs.ReadFile(r, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = f.Mode().Perm().String() + " " + string(b)
	}
	return all
}

// For each channel and ledger the folder that is made has a configuration of CloudBase's
// schema, which lets the functions load within what SCF allows, sets nothing that is empty
// or of another channel, and names packages that are there.
func TestCloudBaseFolderOfEachChannelAndLedger(t *testing.T) {
	s := schema(t)
	for _, channel := range config.Channels() {
		for ledger, ledgerURL := range ledgerURLs {
			t.Run(channel+" "+ledger, func(t *testing.T) {
				dir := t.TempDir()
				env := merchantEnv(t, channel)
				env["LEDGER_URL"], env["SCF_VPC_ID"], env["SCF_SUBNET_ID"] = ledgerURL, "vpc-1", "subnet-1"
				file := filepath.Join(dir, ".env")
				put(t, file, quoted(env))
				p, said := made(t, dir, file)
				if len(p.missing) > 0 || strings.Contains(said, "issing") {
					t.Errorf("%+v is missing: %s", p.missing, said)
				}
				folder := filepath.Join(dir, "cloudbase")
				for _, want := range []string{"cd " + folder + " && tcb fn deploy --all --force\n", "cd " + folder + " && tcb deploy\n", "go run ./functions/operate -env " + file + " check\n"} {
					if !strings.Contains(said, want) {
						t.Errorf("it says %q, want %q in it", said, want)
					}
				}
				checkFolder(t, s, folder, env)
			})
		}
	}
}

// checkFolder holds what was made of a .env against it.
func checkFolder(t *testing.T, s *jsonschema.Schema, folder string, env map[string]string) {
	t.Helper()
	file := filepath.Join(folder, "cloudbaserc.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want its owner's alone", info.Mode(), err)
	}
	if err := validates(s, string(b)); err != nil {
		t.Error(err)
	}
	var c cloudBaseConfig
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	channel := env["WXPAY_CHANNEL"]
	own, routed := strings.HasPrefix(env["LEDGER_URL"], "cloudbase:"), channel == "apiv3" || channel == "global"
	if (c.Database != nil) != own || (c.Gateway != nil) != routed || c.EnvID != "env-1" || c.Region != "ap-shanghai" {
		t.Errorf("database %v, gateway %v, environment %s in %s", c.Database, c.Gateway, c.EnvID, c.Region)
	}
	if own {
		if info, err := os.Stat(filepath.Join(folder, c.Database.Migrations)); err != nil || !info.IsDir() {
			t.Errorf("no migrations: %v", err)
		}
	}
	if routed && (len(c.Gateway.Routes) != 1 || c.Gateway.Routes[0] != cloudBaseRoute{"/refund-notify", "function:notify", false}) {
		t.Errorf("routes %+v", c.Gateway.Routes)
	}
	if len(c.Functions) != len(deployed) {
		t.Fatalf("%d functions", len(c.Functions))
	}
	for i, f := range c.Functions {
		if f.Name != deployed[i] || filepath.Base(f.Dir) != f.Name || (f.VPC == nil) != own {
			t.Errorf("function %d: %s in %s, VPC %v", i, f.Name, f.Dir, f.VPC)
		}
		serves := f.Name == "notify" && own && routed
		want := map[string]string{"main": ""}
		if serves {
			want["scf_bootstrap"] = "-rwxr-xr-x #!/bin/bash\nexport PORT=9000\nexec ./main\n"
		}
		if (f.Type == "HTTP") != serves || f.Public != serves || (f.Type == "Event") == serves {
			t.Errorf("%s: type %s, public %v", f.Name, f.Type, f.Public)
		}
		got := content(t, filepath.Join(folder, f.Dir))
		if d := cmp.Diff(got, zipped(t, filepath.Join(folder, f.Dir)+".zip")); d != "" {
			t.Errorf("%s: (-folder +zip)\n%s", f.Name, d)
		}
		if !strings.HasPrefix(got["main"], "-rwxr-xr-x ") {
			t.Errorf("%s: main is not to be executed", f.Name)
		}
		want["main"] = got["main"]
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", f.Name, d)
		}
		variables := map[string]string{}
		for variable, value := range env {
			for _, s := range config.Settings() {
				if reads, _ := s.Reads(channel); s.Name == variable && value != "" && reads && s.In&config.SCF != 0 {
					variables[variable] = strings.TrimSpace(value)
				}
			}
		}
		if d := cmp.Diff(variables, f.EnvVariables); d != "" {
			t.Errorf("%s (-.env +file):\n%s", f.Name, d)
		}
		if err := loads(f.EnvVariables); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

// The schema refuses what it refused before.
func TestCloudBaseSchemaFindsFaults(t *testing.T) {
	s := schema(t)
	inVPC := sampleEnv()
	inVPC["LEDGER_URL"] = ledgerURLs["mysql"]
	for _, c := range []struct{ in, old, other string }{
		{rendered(t, sampleEnv()), `"version": "2.1"`, `"version": "2.0"`},
		{rendered(t, sampleEnv()), `"ap-guangzhou"`, `"{{env.SCF_REGION}}"`},
		{rendered(t, sampleEnv()), `"runtime": "Go1"`, `"runtime": "Golang1"`},
		{rendered(t, sampleEnv()), `"memorySize": 256`, `"memorySize": 200`},
		{rendered(t, sampleEnv()), `"name": "notify"`, `"name": "1notify"`},
		{rendered(t, sampleEnv()), `"type": "timer"`, `"type": "cron"`},
		{rendered(t, sampleEnv()), `"type": "HTTP"`, `"type": "Web"`},
		{rendered(t, sampleEnv()), `"public": true`, `"public": "true"`},
		{rendered(t, sampleEnv()), `"type": "postgresql"`, `"type": "mysql"`},
		{rendered(t, sampleEnv()), `"./migrations"`, `"/migrations"`},
		{rendered(t, sampleEnv()), `"function:notify"`, `"notify"`},
		{rendered(t, sampleEnv()), `"/refund-notify"`, `"/refund/*"`},
		{rendered(t, inVPC), `"vpcId"`, `"vpc"`},
	} {
		broken := strings.Replace(c.in, c.old, c.other, 1)
		if validates(s, c.in) != nil || broken == c.in || validates(s, broken) == nil {
			t.Errorf("%s in place of %s has the schema, or is not there", c.other, c.old)
		}
	}
}

// nine are the settings of a merchant on apiv3 who has a CloudBase environment and nothing
// else.
func nine() map[string]string {
	return map[string]string{
		"LEDGER_URL": "cloudbase:shop-1g2h3j4k5l", "CLOUDBASE_APIKEY": "the-key-of-the-environment",
		"WXPAY_MCHID": "1900000109", "WXPAY_SERIAL_NO": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", "WXPAY_PRIVATE_KEY": "file:/opt/apiclient_key.pem",
		"WXPAY_APIV3_KEY": "0123456789abcdef0123456789abcdef", "WXPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000001092026112200000001", "WXPAY_PUBLIC_KEY": "file:/opt/pub_key.pem",
		"WXPAY_NOTIFY_URL": "https://shop-1g2h3j4k5l.service.tcloudbase.com/refund-notify",
	}
}

// What is made of the nine settings is as it was read and found right.
func TestCloudBaseConfigurationOfNineSettings(t *testing.T) {
	want, err := os.ReadFile("testdata/cloudbaserc.json")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), rendered(t, nine())); d != "" {
		t.Errorf("(-testdata +made)\n%s", d)
	}
}

// The shortest .env has nine settings. They are enough, for the code too, and without each of
// them it is told.
func TestShortestEnvHasNineSettings(t *testing.T) {
	var text strings.Builder
	if err := printSettings(&text, "cloudbase"); err != nil {
		t.Fatal(err)
	}
	env, err := dotenv.Parse(text.String())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(env)), slices.Sorted(maps.Keys(nine())); !slices.Equal(got, want) || len(got) > 9 {
		t.Fatalf("the settings are %q, want %q", got, want)
	}
	if !strings.Contains(text.String(), "\n# REFUND_OPERATORS=\n") {
		t.Error("it does not say how users may refund")
	}
	env = nine()
	if err := config.Check(t.Context(), env); err != nil {
		t.Errorf("the code says of them: %v", err)
	}
	p, err := newCloudPlan(t.Context(), env, "")
	if err != nil || len(p.missing)+len(p.left) > 0 {
		t.Errorf("they are not enough: %v, %+v, or too many", err, p)
	}
	for name := range env {
		less := maps.Clone(env)
		delete(less, name)
		p, err := newCloudPlan(t.Context(), less, "")
		if err != nil || len(p.missing) == 0 || p.missing[0].Name != name && !strings.HasPrefix(name, "WXPAY_PUBLIC_KEY") {
			t.Errorf("without %s: %v, %+v", name, err, p)
		}
	}
}

// What .env lacks is told with what it means, required ones first, and is no error; nothing
// empty is deployed. The environment's id comes from the one place or the other.
func TestCloudBaseFolderOfAnIncompleteEnv(t *testing.T) {
	required := []string{"LEDGER_URL", "CLOUDBASE_APIKEY", "WXPAY_MCHID", "WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY"}
	advised := []string{"WXPAY_PUBLIC_KEY_ID", "WXPAY_PUBLIC_KEY", "WXPAY_NOTIFY_URL"}
	for _, c := range []struct {
		name              string
		env               map[string]string
		required, advised []string
		envID, says       string
	}{
		{"empty", map[string]string{"REFUND_OPERATORS": ""}, required, advised, "{{env.TCB_ENV}}", "Missing in"},
		{"the environment", map[string]string{"TCB_ENV": "shop-1"}, required[1:], advised, "shop-1", "LEDGER_URL is not set: the functions get cloudbase: and TCB_ENV."},
		{"the ledger", map[string]string{"LEDGER_URL": "cloudbase:shop-2"}, required[1:], advised, "shop-2", ""},
		{"the ledger with an endpoint", map[string]string{"LEDGER_URL": "cloudbase:shop-2?endpoint=https://api.example"}, required[1:], advised, "shop-2", ""},
		{"both", map[string]string{"LEDGER_URL": "cloudbase:shop-2", "TCB_ENV": "shop-1"}, required[1:], advised, "shop-1", ""},
		{"another ledger", map[string]string{"LEDGER_URL": ledgerURLs["mysql"]}, append(slices.Clone(required[2:]), "TCB_ENV"), advised, "{{env.TCB_ENV}}", ""},
		{"half a pair", map[string]string{"LEDGER_URL": "cloudbase:shop-2", "WXPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_01"}, append(slices.Clone(required[1:]), "WXPAY_PUBLIC_KEY"), advised[2:], "shop-2", ""},
		{"another channel", map[string]string{"WXPAY_CHANNEL": "cloudpay", "TCB_ENV": "shop-1"}, []string{"CLOUDBASE_APIKEY", "WXPAY_SUB_MCHID"}, []string{"CLOUDPAY_CALLBACK_FUNCTION"}, "shop-1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, ".env")
			put(t, file, quoted(c.env))
			p, said := made(t, dir, file)
			var gotRequired, gotAdvised []string
			for i, n := range p.missing {
				if n.required {
					gotRequired = append(gotRequired, n.Name)
				} else {
					gotAdvised = append(gotAdvised, n.Name)
				}
				if n.required && i >= len(gotRequired) {
					t.Errorf("%s comes behind what is advised", n.Name)
				}
				if !strings.Contains(said, n.Name+": "+strings.ReplaceAll(n.English, "`", "")+"\n") {
					t.Errorf("%s has no line that tells its meaning: %s", n.Name, said)
				}
			}
			sorted := func(names []string) []string { return slices.Sorted(slices.Values(names)) }
			if d := cmp.Diff(sorted(c.required), sorted(gotRequired)) + cmp.Diff(sorted(c.advised), sorted(gotAdvised)); d != "" {
				t.Errorf("(-want +missing)\n%s", d)
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("it says %q, want %q", said, c.says)
			}
			b, err := os.ReadFile(filepath.Join(dir, "cloudbase", "cloudbaserc.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := validates(schema(t), string(b)); err != nil {
				t.Error(err)
			}
			if p.config.EnvID != c.envID {
				t.Errorf("the environment is %s, want %s", p.config.EnvID, c.envID)
			}
			for _, f := range p.config.Functions {
				for name, value := range f.EnvVariables {
					if value == "" || value != c.env[name] && name != "LEDGER_URL" {
						t.Errorf("%s: %s is %q", f.Name, name, value)
					}
				}
			}
		})
	}
}

// Without .env the folder is made all the same, and what the file has to have is told; one
// that is there and cannot be read is an error.
func TestCloudBaseFolderWithoutEnv(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	p, said := made(t, dir, file)
	if !p.absent || len(p.missing) != 9 || !strings.Contains(said, "There is no "+file+". It has to have:\n  required LEDGER_URL: the ledger: cloudbase: and the id of the environment") {
		t.Errorf("absent %v, it says %s", p.absent, said)
	}
	for text, says := range map[string]string{
		"\xff\xfeA\x00=\x001\x00": "is not UTF-8", "A\x00=\x001\x00": "is not UTF-8", "A=\xff": "is not UTF-8", "LEDGER_URL=x": "is wrong:\n  ",
	} {
		put(t, file, text)
		if _, err := planned(t.Context(), dir, file); err == nil || !strings.Contains(err.Error(), file+" "+says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// What is malformed in .env is told at once, a line each, and nothing is deployed by what an
// earlier run has made: neither a value nor the file is left.
func TestCloudBaseConfigurationThatCannotBe(t *testing.T) {
	const ledgers = "LEDGER_URL must begin with cloudbase:, mysql: or postgres:"
	t.Setenv("PATH", "") // a build would fail, after it has begun the table
	for _, c := range []struct {
		change map[string]string
		want   []string
	}{
		{map[string]string{"SCF_REGION": "ap-beijing"}, []string{"SCF_REGION must be ap-shanghai or ap-guangzhou, which are CloudBase's; for SCF in another region build with -env ''"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "http://shop.example/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://127.0.0.1:8700/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://localhost/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://10.0.0.5/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"LEDGER_URL": "cloudbase:canary?endpoint=http://127.0.0.1:8701"}, []string{"LEDGER_URL has an endpoint that is not https in public"}},
		{map[string]string{"TCB_ENV": "https://canary"}, []string{"TCB_ENV must be the id of a CloudBase environment"}},
		{map[string]string{"TCB_ENV": "https://canary", "LEDGER_URL": ""}, []string{"TCB_ENV must be the id of a CloudBase environment"}},
		{map[string]string{"LEDGER_URL": "cloudbase:"}, []string{"LEDGER_URL: "}},
		{map[string]string{"LEDGER_URL": "redis://canary", "WXPAY_MCHID": ""}, []string{ledgers}},
		{map[string]string{"LEDGER_URL": ledgerURLs["mysql"], "SCF_SUBNET_ID": ""}, []string{"SCF_VPC_ID and SCF_SUBNET_ID need each other"}},
		{map[string]string{"LEDGER_URL": "dynamodb://canary?region=ap-east-1"}, []string{ledgers}},
		{map[string]string{"LEDGER_URL": "sqlite:canary.db"}, []string{"LEDGER_URL is SQLite, which loses refunds on SCF and Lambda; LEDGER_ALLOW_SQLITE=true allows it all the same"}},
		{map[string]string{"WXPAY_MCHID": "", "WXPAY_MCH_ID": "1900000109", "WXPAY_APIV3_KEY": "canary", "LEDGER_URL": ledgerURLs["postgres"], "SCF_VPC_ID": ""}, []string{
			"WXPAY_MCH_ID is not a setting: did you mean WXPAY_MCHID?",
			"WXPAY_APIV3_KEY is malformed: it has 6 bytes; it must have 32 bytes", "SCF_VPC_ID and SCF_SUBNET_ID need each other"}},
		{map[string]string{"REFUND_OPERATORS": strings.Repeat("canary,", 600)}, []string{"the variables of a function have "}},
		{map[string]string{"REFUND_OPERATORS": strings.Repeat("canary,", 600), "WXPAY_MCHID": strings.Repeat("1", 90)}, []string{
			"the variables of a function have 5"}},
		{map[string]string{"REFUND_OPERATORS": "can{{ary"}, []string{"REFUND_OPERATORS holds {{, which tcb takes for the beginning of a placeholder"}},
		{map[string]string{"WXPAY_PRIVATE_KEY": "file:canary.pem"}, []string{"WXPAY_PRIVATE_KEY names a file that cannot be read"}},
	} {
		env := sampleEnv()
		maps.Copy(env, c.change)
		dir := t.TempDir()
		file, made := filepath.Join(dir, ".env"), filepath.Join(dir, "cloudbase", "cloudbaserc.json")
		put(t, file, quoted(env))
		put(t, made, "an earlier one")
		var out strings.Builder
		err := run(t.Context(), []string{"-for", "cloudbase", "-out", dir, "-env", file}, &out)
		if err == nil || out.Len() > 0 {
			t.Errorf("%v: no error, or something was built: %s", c.want, out.String())
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		lines = lines[1 : len(lines)-1]
		for _, want := range c.want {
			if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "  "+want) }) {
				t.Errorf("got %q, want %q in it", lines, want)
			}
		}
		if len(lines) != len(c.want) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "can{{ary") {
			t.Errorf("got %q, want %d lines and no value", lines, len(c.want))
		}
		if _, err := os.Stat(made); !os.IsNotExist(err) {
			t.Errorf("%v: the file of an earlier run is still there: %v", c.want, err)
		}
	}
}

// The largest variables are named when they are too large together, by name and length.
func TestVariablesThatAreTooLargeAreNamed(t *testing.T) {
	err := checkSize(map[string]string{"A": "1", "REFUND_OPERATORS": strings.Repeat("o", 4200), "WXPAY_MCHID": strings.Repeat("1", 90), "B": "22", "C": "333"})
	if err == nil || !strings.HasPrefix(err.Error(), "the variables of a function have 4326 bytes, and SCF takes 4096; the largest are REFUND_OPERATORS (4216), WXPAY_MCHID (101), C (4).") {
		t.Errorf("%v", err)
	}
	if err := checkSize(map[string]string{"A": strings.Repeat("a", maxVariables-1)}); err != nil {
		t.Errorf("as many as there may be: %v", err)
	}
}

// Two runs make the same, what an earlier one has left goes, and what tcb keeps in the
// folder stays.
func TestCloudBaseFolderIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	file, folder := filepath.Join(dir, ".env"), filepath.Join(dir, "cloudbase")
	put(t, file, quoted(merchantEnv(t, "apiv3")))
	made(t, dir, file)
	first := content(t, folder)
	for _, old := range []string{"event/notify/old", "event/old/main", "http/old.zip", "migrations/20200101000000_old.sql", ".tcb/state.json"} {
		put(t, filepath.Join(folder, old), "old")
	}
	made(t, dir, file)
	first[".tcb/state.json"] = "-rw------- old"
	if d := cmp.Diff(first, content(t, folder)); d != "" {
		t.Errorf("(-first +second)\n%s", d)
	}
	for _, want := range []string{"event/wxpayFunctions.zip", "event/notify.zip", "event/reconcile.zip", "http/wxpayFunctions.zip", "http/notify.zip"} {
		if first[want] == "" {
			t.Errorf("%s is not there: %q", want, slices.Sorted(maps.Keys(first)))
		}
	}
	if first["http/reconcile.zip"] != "" {
		t.Error("there is an HTTP function for a timer, which starts none")
	}
	// With another ledger there is nothing of the environment's own.
	env := merchantEnv(t, "apiv3")
	env["LEDGER_URL"] = ledgerURLs["mysql"]
	put(t, file, quoted(env))
	_, said := made(t, dir, file)
	for name := range content(t, folder) {
		if strings.HasPrefix(name, "http/") || strings.HasPrefix(name, "migrations/") {
			t.Errorf("%s is still there", name)
		}
	}
	if strings.Contains(said, "tables") || strings.Contains(said, "tcb fn delete") {
		t.Errorf("it speaks of what is not there: %s", said)
	}
}

// Migrations go beside the configuration as they are, in names that tcb takes: 14 digits,
// and small letters (docs.cloudbase.net/cli-v1/db).
func TestCloudBaseFolderHasTheMigrations(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	put(t, file, quoted(merchantEnv(t, "apiv3")))
	made(t, dir, file)
	all, err := ledger.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, m := range all {
		if !regexp.MustCompile(`^[0-9]{14}_[a-z_]+\.sql$`).MatchString(m.Name) || m.SQL == "" {
			t.Errorf("the migration %q", m.Name)
		}
		want[m.Name] = "-rw-r--r-- " + m.SQL
	}
	if d := cmp.Diff(want, content(t, filepath.Join(dir, "cloudbase", "migrations"))); d != "" {
		t.Errorf("(-ledger +folder)\n%s", d)
	}
}

// A key in a file beside .env is brought along, since no such file is where the functions
// run, and what is left out is told; no value of a secret is shown.
func TestCloudBaseFolderBringsKeysAlong(t *testing.T) {
	dir := t.TempDir()
	env := merchantEnv(t, "apiv3")
	key := env["WXPAY_PRIVATE_KEY"]
	env["OWN_DATABASE"], env["OWN_EMPTY"], env["OTHERS"] = "orders", "", "1"
	env["WXPAY_PRIVATE_KEY"], env["SCF_VPC_ID"], env["SCF_SUBNET_ID"] = "file:keys/apiclient_key.pem", "vpc-1", "subnet-1"
	file := filepath.Join(dir, ".env")
	keyFile := filepath.Join(dir, "keys", "apiclient_key.pem")
	put(t, file, quoted(env))
	put(t, keyFile, key)
	p, said := made(t, filepath.Join(dir, "dist"), file)
	if !strings.Contains(said, "would deploy their paths): WXPAY_PRIVATE_KEY\n") {
		t.Errorf("got %q, want the key named that was copied in", said)
	}
	if !strings.Contains(said, "Left out, since no function needs them here: LEDGER_ALLOW_SQLITE, WXPAY_BASE_URL, TCB_API_URL, TENCENTCLOUD_SECRETID, TENCENTCLOUD_SECRETKEY") ||
		!strings.Contains(said, ", SCF_VPC_ID, SCF_SUBNET_ID\n") {
		t.Errorf("got %q, want what is left out named", said)
	}
	for _, name := range secrets() {
		if v := env[name]; len(v) > 3 && name != "LEDGER_URL" && strings.Contains(said, v) {
			t.Errorf("it shows %s: %s", name, said)
		}
	}
	variables := p.config.Functions[2].EnvVariables
	_, empty := variables["OWN_EMPTY"]
	if _, others := variables["OTHERS"]; variables["OWN_DATABASE"] != "orders" || empty || others {
		t.Errorf("got %v, want the variables of the merchant's own code and nobody else's", variables)
	}
	if got := variables["WXPAY_PRIVATE_KEY"]; got != strings.TrimSpace(key) {
		t.Errorf("got %+v, want the key itself", got)
	}
	put(t, keyFile, env["WXPAY_PUBLIC_KEY"])
	if _, err := planned(t.Context(), dir, file); err == nil || !strings.Contains(err.Error(), "WXPAY_PRIVATE_KEY is malformed: it is a public key") {
		t.Errorf("another key in the file: %v", err)
	}
}

// Wrong use says what to do instead, and builds nothing.
func TestWrongUseOfThePackageCommand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-for", "lambda"}, `-for is "lambda", want cloudbase; for others build all, or one with -only`},
		{[]string{"-for", "cloudbase", "-only", "scf-mysql"}, "-for builds what the platform needs, -only one package: choose one of them"},
		{[]string{"-for", "cloudbase", "-env", ""}, "-for makes a folder from the settings, so -env cannot be empty"},
		{[]string{"-for", "cloudbase", "dist"}, `unexpected argument "dist"`},
		{[]string{"-only", "scf-oracle"}, `-only is "scf-oracle", want one of scf-cloudbase, `},
		{[]string{"-settings", "yaml"}, `-settings is "yaml", want env, cloudbase, markdown-en or markdown-zh`},
	} {
		var out strings.Builder
		err := run(t.Context(), append(c.args, "-out", filepath.Join(t.TempDir(), "dist")), &out)
		if len(c.args) == 3 {
			err = run(t.Context(), c.args, &out)
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%q: %v, want %q; it says %q", c.args, err, c.want, out.String())
		}
	}
}
