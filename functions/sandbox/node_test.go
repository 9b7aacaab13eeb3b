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

// A cloud function for Node runs behind the lines of the document, in both languages the
// same: it gets the event, and by its variables the caller, as CloudBase's library reads him.
func TestACloudFunctionRunsBehindTheLinesOfTheDocument(t *testing.T) {
	t.Parallel()
	node := needs.Program(t, "node")
	var shims []string
	for _, name := range readmes {
		m := regexp.MustCompile("(?s)```js\n(//[^\n]*\n)(.*?)```").FindStringSubmatch(readme(t, name))
		if m == nil {
			t.Fatalf("%s has no lines of JavaScript", name)
		}
		shims = append(shims, m[2])
	}
	if shims[0] != shims[1] {
		t.Fatal("the languages differ")
	}
	dir, port := t.TempDir(), freePort(t)
	for name, text := range map[string]string{
		"serve.js": shims[0],
		"index.js": `exports.main = async (event, context) => {
  if (event.fail) throw new Error('it broke')
  const of = (keys) => Object.fromEntries(keys.split(',').map((key) => [key, process.env[key]]))
  return { event, ...of(process.env.WX_CONTEXT_KEYS), ...of(process.env.TCB_CONTEXT_KEYS) }
}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve := exec.CommandContext(t.Context(), node, "serve.js")
	serve.Dir, serve.Env = dir, append(os.Environ(), "PORT="+port)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	p := start(t, "-function", "mine=http://127.0.0.1:"+port)
	await(t, "the function", func() bool {
		_, answer := p.request("POST", "/functions/mine", "{}")
		return strings.Contains(answer, `"result"`)
	})
	for _, tt := range []struct{ openid, source, want string }{
		{"oSomebody", "wx_client", `{"event":{"a":[1]},"WX_API_TOKEN":"oSomebody","WX_OPENID":"oSomebody","TCB_SOURCE":"wx_client"}`},
		{"", "", `{"event":{"a":[1]},"WX_API_TOKEN":"","WX_OPENID":"","TCB_SOURCE":""}`},
	} {
		if got := p.call("mine", `{"a":[1]}`, "X-WX-OPENID", tt.openid, "X-WX-SOURCE", tt.source); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	for _, padding := range []string{"", "a", "aa"} { // wherever the event is divided on its way
		text := padding + strings.Repeat("商", 50_000)
		if got := p.call("mine", `{"a":"`+text+`"}`); !strings.Contains(got, `"`+text+`"`) {
			t.Errorf("a long event in Chinese after %q comes out altered", padding)
		}
	}
	if _, answer := p.request("POST", "/functions/mine", `{"fail":true}`); !strings.Contains(answer, "answered with status 500: Error: it broke") {
		t.Errorf("a function that fails: got %s", answer)
	}
}
