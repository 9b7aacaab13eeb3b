//go:build heavy

package documents_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxrefund/functions/process"
	"wxrefund/shared/needs"
)

func TestMain(m *testing.M) { process.Main(m) }

// console is where the documents have the sandbox listen; the tests' own listens elsewhere.
const console = "http://127.0.0.1:8700"

// at runs a document's commands against a sandbox of the test's own.
func at(t *testing.T, w *process.World, dir, script string) string {
	t.Helper()
	return shell(t, dir, strings.ReplaceAll(script, console, w.Control))
}

// quickStart is a block that begins with a curl for an order: what goes before the
// query, and the query.
var quickStart = regexp.MustCompile(`(?m)((?:^ {4}curl -d '\{"out_trade_no[^\n]*\n)(?:(?: {4}[^\n]*)?\n)*?)( {4}curl -d '\{"type":"wxpay_refund_query"[^\n]*\n)`)

// The quick start, in both languages, does what README says, word for word.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	english, inChinese := halves(t)
	for _, half := range []document{english, inChinese} {
		blocks := quickStart.FindAllStringSubmatch(half.text, -1)
		if len(blocks) != 1 {
			t.Fatalf("%s has %d quick starts, want one", half.path, len(blocks))
		}
		w := process.StartSandbox(t)
		if got := at(t, w, t.TempDir(), blocks[0][1]); !strings.Contains(got, `"status":"PROCESSING"`) {
			t.Fatalf("%s: the refund: %s", half.path, got)
		}
		process.Await(t, "the money's arrival", func() bool {
			return strings.Contains(at(t, w, t.TempDir(), blocks[0][2]), `"status":"SUCCESS"`)
		})
		process.Await(t, "the notification", func() bool {
			return strings.Contains(at(t, w, t.TempDir(), "curl "+console+"/_sandbox/deliveries"), `"state":"delivered"`)
		})
	}
}

// ownScripts are the commands of the sandbox's document, in both languages the same, that
// run a function, and then a command, in a process of its own.
func ownScripts(t *testing.T) []string {
	t.Helper()
	var all [][]string
	for path, heads := range map[string][2]string{
		"functions/sandbox/README.md":    {"\n## A function in a process of its own\n", "\n## From other languages\n"},
		"functions/sandbox/README.zh.md": {"\n## 在单独的进程里运行函数\n", "\n## 用其他语言接入\n"},
	} {
		_, text, _ := strings.Cut(read(t, path).text, heads[0])
		text, _, found := strings.Cut(text, heads[1])
		if !found {
			t.Fatalf("%s has no part between %q", path, heads)
		}
		var scripts []string
		for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
			scripts = append(scripts, m[1])
		}
		all = append(all, scripts)
	}
	// The last one leads clients with a fixed host here, and has a test in functions/sandbox.
	if !slices.Equal(all[0], all[1]) || len(all[0]) != 8 {
		t.Fatalf("the languages differ, or there are not eight scripts:\n%q\n%q", all[0], all[1])
	}
	return all[0][:7]
}

// Functions in processes of their own, as the document starts them, refund and answer the
// sandbox's notifications; a command behind -- finds its sandbox. Every script is run as it
// stands, but for the ports; the binaries that the tests have built stand for go run, which
// is not to be killed by halves.
func TestOwnProcess(t *testing.T) {
	t.Parallel()
	scripts := ownScripts(t)
	programs := regexp.MustCompile(`go run \./functions/(\w+)`)
	run := func(script, flags string) string {
		return programs.ReplaceAllStringFunc(script, func(s string) string {
			name := programs.FindStringSubmatch(s)[1]
			s = "exec " + process.Binary(t, name)
			if name == process.Sandbox {
				s += flags
			}
			return s
		})
	}
	// debug runs the three terminals, and returns the first two.
	debug := func(scripts []string) (sandbox, function *process.Process, console string) {
		t.Helper()
		dir, console := t.TempDir(), "127.0.0.1:"+process.FreePort(t)
		ports := strings.NewReplacer("127.0.0.1:8700", console, "9000", process.FreePort(t), "9001", process.FreePort(t))
		terminal := func(script string) *process.Process {
			return process.StartCommand(t, []string{"PATH=" + os.Getenv("PATH")}, "sh", "-ec", "cd "+dir+"\n"+ports.Replace(script))
		}
		sandbox = terminal(run(scripts[0], " -listen "+console+" -wechat 127.0.0.1:0 -wechat-tls 127.0.0.1:0"))
		process.Await(t, "the sandbox", func() bool { return strings.Contains(sandbox.Stdout.String(), `"ready":true`) || !sandbox.Running() })
		function = terminal(run(scripts[1], ""))
		process.Await(t, "the function", func() bool {
			return strings.Contains(function.Stderr.String(), `"msg":"listening"`) || !function.Running()
		})
		if got := shell(t, dir, ports.Replace(scripts[2])); !strings.Contains(got, `"result":{"code":0,`) {
			t.Fatalf("the refund: got %s, want code 0", got)
		}
		return sandbox, function, console
	}
	says := func(p *process.Process, words string) {
		t.Helper()
		process.Await(t, words, func() bool { return strings.Contains(p.Stderr.String(), words) })
	}

	_, notify, console := debug(scripts[0:3])
	says(notify, `"msg":"settled","out_refund_no":"refund-14","state":"success","source":"notification"`)
	says(notify, `"msg":"acknowledged","out_refund_no":"refund-14"`)
	process.Await(t, "the delivery", func() bool {
		return strings.Contains(shell(t, t.TempDir(), "curl -s http://"+console+"/_sandbox/deliveries"), `"state":"delivered"`)
	})

	sandbox, dispatcher, _ := debug(scripts[3:6])
	says(dispatcher, `"msg":"claimed","out_refund_no":"refund-15"`)
	says(sandbox, `"msg":"settled","out_refund_no":"refund-15","state":"success"`)

	if got := shell(t, t.TempDir(), run(scripts[6], "")); !strings.Contains(got, `"total":100`) || strings.Count(got, "\n") != 1 {
		t.Errorf("the command: got %q, want the order alone", got)
	}
}

// miniProgram stands for wx.cloud in README's example. It keeps the events that were
// sent, drops the answer to the first, and has WeChat answer what the next ones need;
// waiting is sixty times as fast, as the sandbox's clock is.
const miniProgram = `
const sent = [], waits = []
const post = (path, body) => fetch(CONTROL + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).then((r) => r.json())
const clear = () => fetch(CONTROL + '/_sandbox/faults', { method: 'DELETE' })
const setTimeout = (resume, ms) => { waits.push(ms); globalThis.setTimeout(resume, ms / 60) }
const wx = { cloud: { callFunction: async ({ name, data }) => {
  sent.push(JSON.stringify(data))
  if (sent.length === 3) { await clear(); await post('/_sandbox/faults', { upstream: '429_after' }) }
  if (sent.length === 4) await clear()
  const reply = await post('/functions/' + name, data)
  if (sent.length === 1) throw { errMsg: 'cloud.callFunction:fail timeout' }
  return reply
} } }
await post('/_sandbox/orders', { out_trade_no: 'order-1', total: 100 })
await post('/_sandbox/faults', { upstream: '500_after' })
`

// The refund that README shows, in both languages, repeats the same until the outcome
// is known: an answer that is lost, a 503 and a 503 with a pause are one refund in the
// end. What a repeat cannot change ends it.
func TestRefundOfTheMiniProgram(t *testing.T) {
	t.Parallel()
	needs.Program(t, "node")
	english, inChinese := halves(t)
	for _, half := range []document{english, inChinese} {
		blocks := regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(half.text, -1)
		if len(blocks) != 1 {
			t.Fatalf("%s has %d examples in JavaScript, want one", half.path, len(blocks))
		}
		w := process.StartSandbox(t, "-timer=false")
		run := func(example, report string) (lines []string) {
			t.Helper()
			dir := t.TempDir()
			script := fmt.Sprintf("const CONTROL = %q\n%s\n%s\nconsole.log(JSON.stringify(%s))\n", w.Control, miniProgram, example, report)
			if err := os.WriteFile(filepath.Join(dir, "refund.mjs"), []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			return strings.Split(strings.TrimSpace(shell(t, dir, "node refund.mjs")), "\n")
		}

		lines := run(blocks[0][1], "{ sent, waits, code: r.code }")
		var got struct {
			Sent  []string
			Waits []float64
			Code  int
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
			t.Fatal(err)
		}
		if lines[0] != "PROCESSING" || got.Code != 0 || len(got.Sent) != 4 || len(slices.Compact(slices.Clone(got.Sent))) != 1 {
			t.Errorf("%s: it shows %s after %d calls %q, want PROCESSING after four that are the same", half.path, lines[0], len(got.Sent), got.Sent)
		}
		if n := len(got.Waits); n < 3 || got.Waits[n-1] != 60_000 {
			t.Errorf("%s: it waited %v ms, want retry_after, 60 s, in the end", half.path, got.Waits)
		}
		if refunds := w.Refunds(); len(refunds) != 1 {
			t.Errorf("%s: WeChat holds %d refunds, want one", half.path, len(refunds))
		}

		// Other content under the number is refused for good, at the first word.
		other := strings.Replace(blocks[0][1], "refund: 60", "refund: 61", 1)
		lines = run("await clear(); sent.length = 9\n"+other, "{ sent: sent.length, retry: r.retry }")
		if want := `{"sent":10,"retry":"never"}`; lines[len(lines)-1] != want {
			t.Errorf("%s: other content: got %s, want %s", half.path, lines, want)
		}
	}
}
