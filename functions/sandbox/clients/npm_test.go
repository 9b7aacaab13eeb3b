//go:build heavy

package clients_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxrefund/shared/needs"
)

// TestNodeClients has programs for Node do the same.
func TestNodeClients(t *testing.T) {
	dir := install(t)
	for _, c := range matrix {
		if c.script == nil {
			continue
		}
		c.try(t, func(t *testing.T, kind string) *stage {
			t.Parallel() // most of it is Node's start
			s := newStage(t, kind, nil)
			s.node(dir, c.script)
			return s
		})
	}
}

// install lays out what package-lock.json lists, and the scripts beside it.
func install(t *testing.T) string {
	t.Helper()
	npm, dir := needs.Program(t, "npm"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	ci := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	ci.Dir = dir
	if out, err := ci.CombinedOutput(); err != nil {
		needs.Skip(t, "the clients from npm: "+string(out))
	}
	return dir
}

// node runs a script against the sandbox and notes what it reports.
func (s *stage) node(dir string, script []string) {
	s.t.Helper()
	about, err := json.Marshal(map[string]any{
		"kind": s.kind, "wechat": s.wechat, "wechat_tls": s.wechatTLS, "control": s.control, "credentials": s.credentials,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.wechatTLS, "https://"), ":")
	hosts := s.file("hosts.cjs", strings.ReplaceAll(linesForNode(s.t), "8702", port))
	node := exec.CommandContext(s.t.Context(), needs.Program(s.t, "node"), append([]string{"--require", hosts}, script...)...)
	node.Dir = dir
	node.Env = append(os.Environ(), "NO_PROXY=*", "SANDBOX="+string(about), "WX_CONTEXT_KEYS=",
		"NODE_EXTRA_CA_CERTS="+s.file("ca.pem", s.credentials["ca_cert"]), "CLIENT_P12="+s.pkcs12())
	settings := s.SettingsOf("cloudbase")
	for _, name := range []string{"TCB_CONTEXT_CNFG", "TCB_ENV", "SCF_NAMESPACE", "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"} {
		node.Env = append(node.Env, name+"="+settings[name])
	}
	var stderr bytes.Buffer
	node.Stderr = &stderr
	out, err := node.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s%s", script, err, out, &stderr)
	}
	for line := range bytes.Lines(out) {
		var v struct{ Check, Outcome string }
		if err := json.Unmarshal(line, &v); err != nil || v.Check == "" {
			s.t.Fatalf("%s: %s: %v", script, line, err)
		}
		s.outcomes[v.Check] = v.Outcome
	}
}

// linesForNode are those of the document that lead a client whose host is fixed to the
// sandbox.
func linesForNode(t *testing.T) string {
	t.Helper()
	document, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)```js\n(const tls = .*?)```\n").FindSubmatch(document)
	if lines == nil {
		t.Fatal("the document has no lines for Node")
	}
	return string(lines[1])
}

// pkcs12 is the merchant's certificate as WeChat Pay hands it out besides PEM, with the
// merchant's number as password.
func (s *stage) pkcs12() string {
	s.t.Helper()
	cert, key := s.file("apiclient_cert.pem", s.credentials["client_cert"]), s.file("apiclient_key.pem", s.credentials["client_key"])
	path := filepath.Join(filepath.Dir(cert), "apiclient_cert.p12")
	export := exec.CommandContext(s.t.Context(), needs.Program(s.t, "openssl"),
		"pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:"+s.credentials["mchid"], "-out", path)
	if out, err := export.CombinedOutput(); err != nil {
		s.t.Fatalf("openssl: %v\n%s", err, out)
	}
	return path
}
