//go:build heavy

package consoletest

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

// Chromium finds a browser.
func Chromium(t *testing.T) string {
	t.Helper()
	return needs.Program(t, "chromium", "chromium-browser", "google-chrome")
}

// A Tab is a page of a real browser. Its methods end the test T when they wait in vain.
type Tab struct {
	T   *testing.T
	URL string // of the program whose page it is, without a path
	ctx context.Context

	mu       sync.Mutex
	problems []string // what a person at the page's developer tools would see in red
}

// Browse opens a page in a browser of its own: path, of the program at url.
func Browse(t *testing.T, url, path string, width, height int64) *Tab {
	t.Helper()
	folder, err := os.MkdirTemp("", "browser") // not t.TempDir: a browser makes a socket in it, whose name must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) }) // the browser may still be writing
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Chromium(t)), chromedp.UserDataDir(folder), chromedp.Env("TMPDIR="+folder), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("lang", "en-US"))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Tab{T: t, URL: url, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("browser: %v", err)
	}
	command(b, network.Enable, network.EnableParams{})
	b.Resize(width, height)
	Act(b, chromedp.Navigate(url+path))
	b.Until("the page is live", `document.getElementById('link').dataset.state === 'live'`)
	return b
}

// listen notes everything that must not happen.
func (b *Tab) listen(event any) {
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
		if !strings.HasPrefix(e.Request.URL, b.URL+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			problem = "request to " + e.Request.URL
		}
	}
	if problem != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, problem)
	}
}

// Clean wants that nothing of that kind has happened.
func (b *Tab) Clean() {
	b.T.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.T.Errorf("in the browser: %s", p)
	}
}

// Forget takes back what had to happen.
func (b *Tab) Forget(texts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = slices.DeleteFunc(b.problems, func(problem string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(problem, text) })
	})
}

// Act does one thing in the browser.
func Act[T any](b *Tab, action chromedp.Action[T]) T {
	b.T.Helper()
	out, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.T.Fatalf("browser: %v", err)
	}
	return out
}

// command uses the browser's protocol itself.
func command[P, R any](b *Tab, name cdp.Command[P, R], params P) {
	b.T.Helper()
	if _, err := chromedp.Call(b.ctx, name, params); err != nil {
		b.T.Fatalf("browser: %v", err)
	}
}

// Resize makes the window that large, in pixels; one narrower than 600 is a phone's.
func (b *Tab) Resize(width, height int64) {
	b.T.Helper()
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
}

// Scheme makes the browser prefer light or dark.
func (b *Tab) Scheme(name string) {
	b.T.Helper()
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// Ask evaluates an expression of JavaScript.
func Ask[T any](b *Tab, expression string) T {
	b.T.Helper()
	return Act(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Until waits for an expression to hold.
func (b *Tab) Until(what, expression string) {
	b.T.Helper()
	end := time.Now().Add(30 * time.Second)
	for !Ask[bool](b, "!!("+expression+")") {
		if time.Now().After(end) {
			b.Shot("failed")
			b.T.Fatalf("waited in vain until %s; the page shows, at %s:\n%s", what, Ask[string](b, "location.hash"), Ask[string](b, "document.body.innerText"))
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// Sees waits until an element that matches a selector shows a text.
func (b *Tab) Sees(selector, text string) {
	b.T.Helper()
	b.Until(fmt.Sprintf("%s shows %q", selector, text),
		fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))", selector, text))
}

// Click presses what matches a selector and shows a text, with the mouse.
func (b *Tab) Click(selector, text string) {
	b.T.Helper()
	b.Sees(selector, text)
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
	at := Ask[[]float64](b, find)
	for len(at) == 0 && time.Now().Before(end) {
		at = Ask[[]float64](b, find)
	}
	if len(at) == 0 {
		b.T.Fatalf("%s %q cannot be pressed", selector, text)
	}
	Act(b, chromedp.MouseClickXY(at[0], at[1]))
}

// Fill types into a field, in place of what it holds.
func (b *Tab) Fill(selector, text string) {
	b.T.Helper()
	b.Until("there is "+selector, fmt.Sprintf("document.querySelector(%q)", selector))
	Ask[bool](b, fmt.Sprintf("document.querySelector(%q).select() === undefined", selector))
	b.Press(text)
}

// Choose takes one option of a list.
func (b *Tab) Choose(selector, value string) {
	b.T.Helper()
	b.Until("there is "+selector, fmt.Sprintf("document.querySelector(%q)", selector))
	if got := Ask[string](b, fmt.Sprintf("document.querySelector(%q).value = %q, document.querySelector(%q).value", selector, value, selector)); got != value {
		b.T.Fatalf("%s has no option %s", selector, value)
	}
}

// Press types on the keyboard.
func (b *Tab) Press(keys string) {
	b.T.Helper()
	Act(b, chromedp.KeyEvent(keys))
}

// Slash presses the key / as a keyboard does: whoever prevents it gets no text.
func (b *Tab) Slash() {
	b.T.Helper()
	for _, typ := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: typ, Key: "/", Code: "Slash", WindowsVirtualKeyCode: 191}
		if typ == input.DispatchKeyEventTypeKeyDown {
			p.Text = "/"
		}
		command(b, input.DispatchKeyEvent, p)
	}
}

// Reach presses Tab until the focus is on what matches a selector and shows a text.
func (b *Tab) Reach(selector, text string) {
	b.T.Helper()
	for range 80 {
		if Ask[bool](b, fmt.Sprintf("document.activeElement.matches(%q) && (document.activeElement.innerText ?? '').includes(%q)", selector, text)) {
			return
		}
		b.Press(kb.Tab)
	}
	b.T.Fatalf("80 tabs do not lead to %s %q", selector, text)
}

// Fits wants a page that need not be scrolled sideways, with nothing cut off.
func (b *Tab) Fits(what string) {
	b.T.Helper()
	if got := Ask[[]int](b, "[document.documentElement.scrollWidth, innerWidth]"); got[0] > got[1] {
		b.T.Errorf("%s: %d px wide in a window of %d", what, got[0], got[1])
	}
}

// Shot keeps a picture, if somebody wants some.
func (b *Tab) Shot(name string) {
	b.T.Helper()
	folder := os.Getenv("CONSOLE_SHOTS")
	if folder == "" {
		return
	}
	take := chromedp.CaptureScreenshot()
	if strings.HasSuffix(name, "-full") {
		take = chromedp.FullScreenshot(100)
	}
	picture := Act(b, take)
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600); err != nil {
		b.T.Fatal(err)
	}
}

// Readable wants every text that is shown to stand out from what is behind it.
func (b *Tab) Readable(what string) {
	b.T.Helper()
	for _, bad := range Ask[[]string](b, `(() => {
		const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 }
		const read = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number)
		const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
		const behind = (e) => {
			for (; e; e = e.parentElement) {
				const c = read(getComputedStyle(e).backgroundColor)
				if (c.length === 3 || c[3] === 1) return c
			}
			return [255, 255, 255]
		}
		const bad = new Set()
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
		while (texts.nextNode()) {
			const e = texts.currentNode.parentElement
			if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest('.hidden, noscript, option, .skip')) continue
			const [a, b] = [light(read(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x)
			const ratio = (a + 0.05) / (b + 0.05)
			if (ratio < 4.5) bad.add(e.className + ' ' + texts.currentNode.data.trim().slice(0, 30) + ': ' + ratio.toFixed(2))
		}
		return [...bad]
	})()`) {
		b.T.Errorf("%s: hard to read: %s", what, bad)
	}
}
