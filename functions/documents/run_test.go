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

// ownProcess is how a function is started in a process of its own.
var ownProcess = regexp.MustCompile(`(?m)^ *curl -s '[^\n]*_sandbox/env[^\n]*\n *set -a;[^\n]*\n *go run ./functions/notify\n`)

// ownDispatcher is how the function is started that has refunds notified there, and
// how it is called.
var ownDispatcher = regexp.MustCompile("(?s)```sh\n(export REFUND_SERVER_TOKEN=.*?go run ./functions/wxpayfunctions\n)```\n.*?```sh\n(.*?)```\n")

// Functions in processes of their own, as the documents start them, refund and answer
// the sandbox's notifications.
func TestOwnProcess(t *testing.T) {
	t.Parallel()
	var blocks []string
	for _, d := range documents(t) {
		for _, block := range ownProcess.FindAllString(d.text, -1) {
			block = strings.ReplaceAll(block, "    ", "")
			if blocks = append(blocks, block); block != blocks[0] {
				t.Errorf("%s starts a function another way:\n%s", d.path, block)
			}
		}
	}
	if len(blocks) == 0 {
		t.Fatal("no document says how to start a function of its own")
	}
	dispatcher := ownDispatcher.FindStringSubmatch(read(t, "functions/sandbox/README.md").text)
	if dispatcher == nil {
		t.Fatal("no document says how to start and call a function that refunds")
	}
	w, dir := process.StartSandbox(t), t.TempDir()
	ports := strings.NewReplacer("9000", process.FreePort(t), "9001", process.FreePort(t))
	run := func(name, script string) *process.Plain {
		t.Helper()
		// The binary that the tests have built stands for go run, which is not to be killed by halves.
		script = strings.Replace(ports.Replace(script), "go run ./functions/"+name, "env", 1)
		var env []string
		for l := range strings.Lines(at(t, w, dir, script)) {
			if regexp.MustCompile(`^(WXPAY|LEDGER|PORT|REFUND)\w*=`).MatchString(l) {
				env = append(env, strings.TrimSuffix(l, "\n"))
			}
		}
		return process.AwaitPlain(t, process.Start(t, name, append(env, "LEDGER_URL=sqlite:"+w.Ledger)))
	}
	f := run(process.Notify, blocks[0])
	if status, body := f.Post("{}"); status != 401 {
		t.Errorf("a notification without a signature: got %d %s, want 401", status, body)
	}
	run(process.Dispatcher, dispatcher[1])
	if got := at(t, w, dir, ports.Replace(dispatcher[2])); !strings.Contains(got, `{"code":0,`) {
		t.Errorf("the refund: got %s, want code 0", got)
	}
	process.Await(t, "the notification", func() bool {
		return strings.Contains(f.Process.Stderr.String(), `"msg":"acknowledged","out_refund_no":"refund-14"`)
	})
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
