//go:build heavy

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"wxrefund/shared/needs"
)

// chromium finds a browser.
func chromium(t *testing.T) string {
	t.Helper()
	return needs.Program(t, "chromium", "chromium-browser", "google-chrome")
}

// TestMain ends with the line that lists what did not run.
func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// A tab is a page of a real browser that looks at a sandbox.
type tab struct {
	*program
	ctx context.Context

	mu       sync.Mutex
	problems []string // what a person at the page's developer tools would see in red
}

// browse opens the console in a browser of its own.
func browse(t *testing.T, p *program, width, height int64) *tab {
	t.Helper()
	folder, err := os.MkdirTemp("", "browser") // not t.TempDir: a browser makes a socket in it, whose name must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) }) // the browser may still be writing
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(folder), chromedp.Env("TMPDIR="+folder), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("lang", "en-US"))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{program: p.in(t), ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("browser: %v", err)
	}
	command(b, network.Enable, network.EnableParams{})
	b.resize(width, height)
	act(b, chromedp.Navigate(p.ready.Listen+"/"))
	b.until("the page is live", `document.getElementById('link').dataset.state === 'live'`)
	return b
}

// in returns the page as a subtest sees it.
func (b *tab) in(t *testing.T) *tab {
	b.program = b.program.in(t)
	return b
}

// listen notes everything that must not happen.
func (b *tab) listen(event any) {
	problem := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			problem += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			problem = fmt.Sprintf("console.%s", e.Type)
		}
	case *log.EventEntryAdded:
		problem = fmt.Sprintf("log %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *network.EventRequestWillBeSent:
		// The browser's own controls have pictures in themselves.
		if !strings.HasPrefix(e.Request.URL, b.ready.Listen+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			problem = "request to " + e.Request.URL
		}
	}
	if problem != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, problem)
	}
}

// clean wants that nothing of that kind has happened.
func (b *tab) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("in the browser: %s", p)
	}
}

// forget takes back what had to happen.
func (b *tab) forget(texts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = slices.DeleteFunc(b.problems, func(problem string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(problem, text) })
	})
}

// act does one thing in the browser.
func act[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return out
}

// command uses the browser's protocol itself.
func command[P, R any](b *tab, name cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, name, params); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

func (b *tab) resize(width, height int64) {
	b.t.Helper()
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
}

// scheme makes the browser prefer light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// ask evaluates an expression of JavaScript.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	return act(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for an expression to hold.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !ask[bool](b, "!!("+expression+")") {
		if time.Now().After(end) {
			b.shot("failed")
			b.t.Fatalf("waited in vain until %s; the page shows, at %s:\n%s", what, ask[string](b, "location.hash"), ask[string](b, "document.body.innerText"))
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// sees waits until an element that matches a selector shows a text.
func (b *tab) sees(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%s shows %q", selector, text),
		fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))", selector, text))
}

// click presses what matches a selector and shows a text, with the mouse.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	b.sees(selector, text)
	// It is pressed where it is, once it stands still and nothing lies over it.
	find := fmt.Sprintf(`(async () => {
		const find = () => [...document.querySelectorAll(%q)].find((e) => e.checkVisibility() && e.innerText.includes(%q))
		const middle = (e) => { const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }
		const e = find()
		if (!e) return []
		e.scrollIntoView({ block: 'center', behavior: 'instant' })
		const before = middle(e)
		await new Promise((done) => setTimeout(done, 20))
		const after = middle(e)
		const still = find() === e && before.every((n, i) => n === after[i]) && e.contains(document.elementFromPoint(...after))
		return still ? after : []
	})()`, selector, text)
	end := time.Now().Add(30 * time.Second)
	at := ask[[]float64](b, find)
	for len(at) == 0 && time.Now().Before(end) {
		at = ask[[]float64](b, find)
	}
	if len(at) == 0 {
		b.t.Fatalf("%s %q cannot be pressed", selector, text)
	}
	act(b, chromedp.MouseClickXY(at[0], at[1]))
}

// fill types into a field, in place of what it holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.until("there is "+selector, fmt.Sprintf("document.querySelector(%q)", selector))
	ask[bool](b, fmt.Sprintf("document.querySelector(%q).select() === undefined", selector))
	b.press(text)
}

// choose takes one option of a list.
func (b *tab) choose(selector, value string) {
	b.t.Helper()
	b.until("there is "+selector, fmt.Sprintf("document.querySelector(%q)", selector))
	if got := ask[string](b, fmt.Sprintf("document.querySelector(%q).value = %q, document.querySelector(%q).value", selector, value, selector)); got != value {
		b.t.Fatalf("%s has no option %s", selector, value)
	}
}

// press types on the keyboard.
func (b *tab) press(keys string) {
	b.t.Helper()
	act(b, chromedp.KeyEvent(keys))
}

// slash presses the key / as a keyboard does: whoever prevents it gets no text.
func (b *tab) slash() {
	b.t.Helper()
	for _, typ := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: typ, Key: "/", Code: "Slash", WindowsVirtualKeyCode: 191}
		if typ == input.DispatchKeyEventTypeKeyDown {
			p.Text = "/"
		}
		command(b, input.DispatchKeyEvent, p)
	}
}

// reach presses Tab until the focus is on what matches a selector and shows a text.
func (b *tab) reach(selector, text string) {
	b.t.Helper()
	for range 80 {
		if ask[bool](b, fmt.Sprintf("document.activeElement.matches(%q) && (document.activeElement.innerText ?? '').includes(%q)", selector, text)) {
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("80 tabs do not lead to %s %q", selector, text)
}

// fits wants a page that need not be scrolled sideways, with nothing cut off.
func (b *tab) fits(what string) {
	b.t.Helper()
	if got := ask[[]int](b, "[document.documentElement.scrollWidth, innerWidth]"); got[0] > got[1] {
		b.t.Errorf("%s: %d px wide in a window of %d", what, got[0], got[1])
	}
}

// shot keeps a picture, if somebody wants some.
func (b *tab) shot(name string) {
	b.t.Helper()
	folder := os.Getenv("CONSOLE_SHOTS")
	if folder == "" {
		return
	}
	take := chromedp.CaptureScreenshot()
	if strings.HasSuffix(name, "-full") {
		take = chromedp.FullScreenshot(100)
	}
	picture := act(b, take)
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
