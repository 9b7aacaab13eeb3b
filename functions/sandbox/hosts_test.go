//go:build heavy

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxrefund/shared/needs"
)

// The documents' lines for Node lead a client whose host is fixed to the sandbox, word for
// word but for the port.
func TestTheDocumentsLinesForNodeLeadAFixedHostHere(t *testing.T) {
	node := needs.Program(t, "node")
	p := start(t, "-speed", "0.001")
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, ca := p.request("GET", "/_sandbox/credentials?only=ca_cert", "")
	write("ca.pem", ca)
	write("get.js", `require('https').get(process.argv[2], r => r.pipe(process.stdout))`)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.ready.WeChatTLS, "https://"), ":")
	for _, name := range readmes {
		lines := regexp.MustCompile("(?s)```js\n(const tls = .*?)```\n").FindStringSubmatch(readme(t, name))
		if lines == nil || !strings.Contains(lines[1], "8702") {
			t.Fatalf("%s has no lines for Node", name)
		}
		write("hosts.cjs", strings.Replace(lines[1], "8702", port, 1))
		for url, answer := range map[string]string{
			"https://api.mch.weixin.qq.com/v3/x":                            `"code":"RESOURCE_NOT_EXISTS"`,
			"https://sandbox.ap-shanghai.tcb-api.tencentcloudapi.com/admin": `"code":"INVALID_PARAM"`,
		} {
			command := exec.CommandContext(t.Context(), node, "get.js", url) //nolint:gosec // of the table above
			command.Dir = dir
			command.Env = append(os.Environ(), "NODE_OPTIONS=--require=./hosts.cjs", "NODE_EXTRA_CA_CERTS=ca.pem")
			out, err := command.CombinedOutput()
			if err != nil || !strings.Contains(string(out), answer) {
				t.Errorf("%s: %s: %v %s", name, url, err, out)
			}
		}
	}
}

// So they do behind --, where the ports are any, by the command of the document.
func TestTheDocumentsLinesForNodeLeadACommandsFixedHostHere(t *testing.T) {
	needs.Program(t, "node")
	for _, name := range readmes {
		text, dir := readme(t, name), t.TempDir()
		lines := regexp.MustCompile("(?s)```js\n(const tls = .*?)```\n").FindStringSubmatch(text)
		recipe := regexp.MustCompile(`(?m)^  sh -c '(NODE_OPTIONS=.*) npm test'$`).FindStringSubmatch(text)
		if lines == nil || recipe == nil {
			t.Fatalf("%s: %d lines for Node, %d commands with them", name, len(lines), len(recipe))
		}
		for file, text := range map[string]string{
			"hosts.cjs": lines[1],
			"get.js":    `require('https').get('https://api.mch.weixin.qq.com/v3/x', r => r.pipe(process.stdout))`,
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var stdout, stderr buffer
		command := "cd " + dir + " && " + recipe[1] + " node get.js"
		if code := run(t.Context(), []string{"--", "sh", "-c", command}, noVariables, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), `"code":"RESOURCE_NOT_EXISTS"`) {
			t.Errorf("%s: %d %s\n%s", name, code, &stdout, &stderr)
		}
	}
}
