package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"wxrefund/shared/config"
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
		"WXPAY_CHANNEL": channel, "LEDGER_URL": "mysql://wxrefund:p@10.0.0.1:3306/wxrefund", "REFUND_MAX_FEN": "", "SCF_REGION": "ap-shanghai",
	})
	return env
}

// For each channel the file that is made has CloudBase's schema, lets the functions load
// within what SCF allows, and sets nothing that is empty or of another channel.
func TestCloudBaseConfigurationOfEachChannel(t *testing.T) {
	s := schema(t)
	for _, channel := range config.Channels() {
		dir := t.TempDir()
		env := merchantEnv(t, channel)
		file := filepath.Join(dir, ".env")
		put(t, file, quoted(env))
		said, err := writeCloudBase(t.Context(), dir, file, targets)
		if err != nil {
			t.Errorf("%s: %v", channel, err)
			continue
		}
		made := filepath.Join(dir, "cloudbase", "cloudbaserc.json")
		b, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want its owner's alone", channel, info.Mode(), err)
		}
		if !strings.Contains(said, "cd "+filepath.Dir(made)+" && tcb fn deploy --all --force") {
			t.Errorf("%s: it says %q, want the command that deploys", channel, said)
		}
		if err := validates(s, string(b)); err != nil {
			t.Errorf("%s: %v", channel, err)
		}
		d, err := readCloudBase(string(b))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range deployed {
			got := d[name].environment
			want := map[string]string{}
			for variable, value := range env {
				for _, s := range config.Settings() {
					if reads, _ := s.Reads(channel); s.Name == variable && value != "" && reads && s.In&config.SCF != 0 {
						want[variable] = strings.TrimSpace(value)
					}
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s (-.env +file):\n%s", channel, name, d)
			}
			if err := loads(got); err != nil {
				t.Errorf("%s: %s: %v", channel, name, err)
			}
		}
	}
	// And the schema refuses what it refused before.
	c, _, _, err := cloudBase(t.Context(), sampleEnv(), "", targets)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for old, other := range map[string]string{
		`"version":"2.1"`: `"version":"2.0"`, `"ap-guangzhou"`: `"{{env.SCF_REGION}}"`, `"runtime":"Go1"`: `"runtime":"Golang1"`,
		`"memorySize":256`: `"memorySize":200`, `"name":"notify"`: `"name":"1notify"`, `"type":"timer"`: `"type":"cron"`, `"vpcId"`: `"vpc"`,
	} {
		broken := bytes.Replace(b, []byte(old), []byte(other), 1)
		if bytes.Equal(broken, b) || validates(s, string(broken)) == nil {
			t.Errorf("%s in place of %s has the schema, or is not there", other, old)
		}
	}
}

// What is wrong with .env is told at once, a line each, and nothing is written: neither
// a value nor a file.
func TestCloudBaseConfigurationThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		change map[string]string
		want   []string
	}{
		{map[string]string{"TCB_ENV": "", "NOTIFY_FUNCTIONS": ""}, []string{"TCB_ENV is missing: it is the environment to deploy to"}},
		{map[string]string{"TCB_ENV": "", "NOTIFY_FUNCTIONS": "scf:a1"}, []string{"TCB_ENV is missing"}},
		{map[string]string{"SCF_REGION": "ap-beijing"}, []string{"SCF_REGION must be ap-shanghai or ap-guangzhou, which are CloudBase's; for SCF in another region build with -env ''"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "http://shop.example/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://127.0.0.1:8700/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://localhost/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://10.0.0.5/canary"}, []string{"WXPAY_NOTIFY_URL must be an https address in public"}},
		{map[string]string{"TCB_ENV": "https://canary"}, []string{"TCB_ENV must be the id of a CloudBase environment"}},
		{map[string]string{"LEDGER_URL": "redis://canary", "WXPAY_MCHID": ""}, []string{
			"WXPAY_MCHID is missing", "LEDGER_URL must be that of a package for SCF which is built: mysql: or postgres:"}},
		{map[string]string{"SCF_SUBNET_ID": ""}, []string{"SCF_VPC_ID and SCF_SUBNET_ID need each other"}},
		{map[string]string{"LEDGER_URL": "dynamodb://canary?region=ap-east-1"}, []string{"LEDGER_URL must be that of a package for SCF which is built: mysql: or postgres:"}},
		{map[string]string{"LEDGER_URL": "sqlite:canary.db"}, []string{"LEDGER_URL is SQLite, which loses refunds on SCF and Lambda; LEDGER_ALLOW_SQLITE=true allows it all the same"}},
		{map[string]string{"WXPAY_MCHID": "", "WXPAY_MCH_ID": "1900000109", "WXPAY_APIV3_KEY": "canary", "SCF_VPC_ID": ""}, []string{
			"WXPAY_MCHID is missing", "WXPAY_MCH_ID is not a setting: did you mean WXPAY_MCHID?",
			"WXPAY_APIV3_KEY is malformed: it has 6 bytes; it must have 32 bytes", "SCF_VPC_ID and SCF_SUBNET_ID need each other"}},
		{map[string]string{"REFUND_OPERATORS": strings.Repeat("canary,", 600)}, []string{"the variables of a function have "}},
		{map[string]string{"REFUND_OPERATORS": strings.Repeat("canary,", 600), "WXPAY_MCHID": strings.Repeat("1", 90)}, []string{
			"the variables of a function have 5203 bytes, and SCF takes 4096; the largest are REFUND_OPERATORS (4216), WXPAY_MCHID (101), "}},
		{map[string]string{"REFUND_OPERATORS": "can{{ary"}, []string{"REFUND_OPERATORS holds {{, which tcb takes for the beginning of a placeholder"}},
		{map[string]string{"WXPAY_PRIVATE_KEY": "file:canary.pem"}, []string{"WXPAY_PRIVATE_KEY names a file that cannot be read"}},
	} {
		env := sampleEnv()
		maps.Copy(env, c.change)
		dir := t.TempDir()
		file, made := filepath.Join(dir, ".env"), filepath.Join(dir, "cloudbase", "cloudbaserc.json")
		put(t, file, quoted(env))
		put(t, made, "an earlier one")
		_, err := writeCloudBase(t.Context(), dir, file, targets)
		if err == nil {
			t.Errorf("%v: no error", c.want)
			continue
		}
		lines := strings.Split(err.Error(), "\n")[1:]
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

// A key in a file beside .env is brought along, since no such file is where the functions
// run; what is left out is told; without .env the file is not made, and that is said.
func TestCloudBaseConfigurationBringsKeysAlong(t *testing.T) {
	dir := t.TempDir()
	env := merchantEnv(t, "apiv3")
	key := env["WXPAY_PRIVATE_KEY"]
	env["OWN_DATABASE"], env["OWN_EMPTY"], env["OTHERS"] = "orders", "", "1"
	env["WXPAY_PRIVATE_KEY"], env["SCF_VPC_ID"], env["SCF_SUBNET_ID"] = "file:keys/apiclient_key.pem", "vpc-1", "subnet-1"
	file := filepath.Join(dir, ".env")
	keyFile := filepath.Join(dir, "keys", "apiclient_key.pem")
	put(t, file, quoted(env))
	put(t, keyFile, key)
	// write makes the file in a folder, for one of the packages.
	write := func(out, env, target string) (said string, err error) {
		t.Helper()
		chosen, _, err := choose(target)
		if err != nil {
			t.Fatal(err)
		}
		return writeCloudBase(t.Context(), out, env, chosen)
	}
	out := filepath.Join(dir, "dist")
	said, err := write(out, file, "scf-mysql")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "would deploy their paths): WXPAY_PRIVATE_KEY\n") {
		t.Errorf("got %q, want the key named that was copied in", said)
	}
	if !strings.Contains(said, "left out, since no function on SCF reads them with this WXPAY_CHANNEL: LEDGER_ALLOW_SQLITE, WXPAY_BASE_URL, TCB_API_URL, TENCENTCLOUD_SECRETID, TENCENTCLOUD_SECRETKEY") {
		t.Errorf("got %q, want what is left out named", said)
	}
	b, err := os.ReadFile(filepath.Join(out, "cloudbase", "cloudbaserc.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c cloudBaseConfig
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	variables := c.Functions[2].EnvVariables
	_, empty := variables["OWN_EMPTY"]
	if _, others := variables["OTHERS"]; variables["OWN_DATABASE"] != "orders" || empty || others {
		t.Errorf("got %v, want the variables of the merchant's own code and nobody else's", variables)
	}
	if f := c.Functions[2]; f.EnvVariables["WXPAY_PRIVATE_KEY"] != strings.TrimSpace(key) || f.VPC == nil || *f.VPC != (cloudBaseVPC{"vpc-1", "subnet-1"}) {
		t.Errorf("got %+v, want the key itself and the VPC", f)
	}

	put(t, keyFile, env["WXPAY_PUBLIC_KEY"])
	if _, err := write(out, file, "scf-mysql"); err == nil || !strings.Contains(err.Error(), "WXPAY_PRIVATE_KEY is malformed: it is a public key") {
		t.Errorf("another key in the file: %v", err)
	}
	put(t, keyFile, key)

	for _, tt := range []struct {
		env    string
		target string
		says   string
	}{
		{filepath.Join(dir, "none"), "scf-mysql", "is not written, for there is no"},
		{"", "scf-mysql", ""},
		{file, "lambda-dynamodb", ""},
	} {
		said, err := write(t.TempDir(), tt.env, tt.target)
		if err != nil || (tt.says == "") != (said == "") || !strings.Contains(said, tt.says) {
			t.Errorf("%q, %s: got %q, %v, want %q", tt.env, tt.target, said, err, tt.says)
		}
	}
	for text, says := range map[string]string{
		"\xff\xfeA\x00=\x001\x00": "is not UTF-8", "A\x00=\x001\x00": "is not UTF-8", "A=\xff": "is not UTF-8", "LEDGER_URL=x": "is wrong:\n  ",
	} {
		other := filepath.Join(t.TempDir(), ".env")
		if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := write(out, other, "scf-mysql"); err == nil || !strings.Contains(err.Error(), other+" "+says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
	if _, err := write(t.TempDir(), file, "scf-postgres"); err == nil || !strings.Contains(err.Error(), "LEDGER_URL must be that of a package for SCF which is built: postgres:; for mysql: build scf-mysql too, without -only") {
		t.Errorf("MySQL with the package for PostgreSQL: %v", err)
	}
}
