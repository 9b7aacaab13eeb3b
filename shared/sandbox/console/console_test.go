package console_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/sandboxtest"

	"github.com/google/go-cmp/cmp"
)

// D11: the page and its parts are served with a policy that lets them load nothing else,
// and are to be stored nowhere.
func TestThePageIsServedUnderAStrictPolicy(t *testing.T) {
	w := sandboxtest.New(t)
	tests := []struct {
		path, kind string
		status     int
	}{
		{"/", "text/html; charset=utf-8", 200},
		{"/_sandbox/console/app.js", "text/javascript; charset=utf-8", 200},
		{"/_sandbox/console/style.css", "text/css; charset=utf-8", 200},
		{"/_sandbox/console/zh.json", "application/json; charset=utf-8", 200},
		{"/_sandbox/console/icon.svg", "image/svg+xml", 200},
		{"/_sandbox/console/", "application/json; charset=utf-8", 404},
		{"/_sandbox/console/none.js", "application/json; charset=utf-8", 404},
		{"/_sandbox/console/x/app.js", "application/json; charset=utf-8", 404},
		{"/_sandbox/console/../console.go", "application/json; charset=utf-8", 404},
	}
	for _, tt := range tests {
		a := sandboxtest.Serve(w.Sandbox.Console(), sandboxtest.ControlRequest("GET", tt.path, ""))
		if a.Status != tt.status || a.Header.Get("Content-Type") != tt.kind {
			t.Errorf("%s: got %d %s, want %d %s", tt.path, a.Status, a.Header.Get("Content-Type"), tt.status, tt.kind)
		}
		if got := fmt.Sprint(a.Header["Cache-Control"], a.Header["X-Content-Type-Options"], a.Header["Referrer-Policy"]); got != "[no-store] [nosniff] [no-referrer]" {
			t.Errorf("%s: headers: got %s", tt.path, got)
		}
		policy := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !slices.Contains(strings.Split(policy, "; "), want) {
				t.Errorf("%s: the policy %q lacks %s", tt.path, policy, want)
			}
		}
		for _, never := range []string{"unsafe", "*", "http:", "https:", "data:"} {
			if strings.Contains(policy, never) {
				t.Errorf("%s: the policy %q has %s", tt.path, policy, never)
			}
		}
	}
}

// D11: a link may lead to the page; nobody else's page may read what it shows.
func TestOtherSitesMayLinkToThePageButNotReadIt(t *testing.T) {
	w := sandboxtest.New(t)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	tests := []struct {
		name       string
		change     func(*http.Request)
		page, data int
	}{
		{"as it is", func(*http.Request) {}, 200, 200},
		{"the page itself", set("Sec-Fetch-Site", "same-origin"), 200, 200},
		{"a link on another site", set("Sec-Fetch-Site", "cross-site"), 200, 403},
		{"another port of this machine", set("Sec-Fetch-Site", "same-site"), 200, 403},
		{"a name that was rebound", func(r *http.Request) { r.Host = "evil.example" }, 403, 403},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 403, 403},
	}
	for _, tt := range tests {
		for path, want := range map[string]int{"/": tt.page, "/_sandbox/state": tt.data, "/_sandbox/events": tt.data} {
			h := w.Sandbox.Control()
			if path == "/" {
				h = w.Sandbox.Console()
			} else if path == "/_sandbox/events" && want == 200 {
				continue // it does not end; TestWatchersAreSentEachChange reads it
			}
			r := sandboxtest.ControlRequest("GET", path, "")
			tt.change(r)
			if a := sandboxtest.Serve(h, r); a.Status != want {
				t.Errorf("%s, %s: got %d, want %d", tt.name, path, a.Status, want)
			}
		}
	}
}

// assets are the files of the page by name.
func assets(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("assets/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no assets", err)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(b)
	}
	return out
}

// Nothing of the page stands elsewhere, and no code is made out of text.
func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	never := map[string]*regexp.Regexp{
		"an address":         regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|\burl\(`),
		"an inline script":   regexp.MustCompile(`(?i)<script[^>]*>\s*[^<\s]|javascript:`),
		"an inline handler":  regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`),
		"an inline style":    regexp.MustCompile(`(?i)<style|<[^>]*\sstyle\s*=|setAttribute\('style'`),
		"text made to code":  regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`),
		"a file too long":    regexp.MustCompile(`(?s)(?:[^\n]*\n){401}`),
		"a float of money":   regexp.MustCompile(`parseFloat|toFixed`),
		"a mark of hurry":    regexp.MustCompile(`TODO|FIXME|console\.`),
		"a trailing blank":   regexp.MustCompile(`(?m)[ \t]+$`),
		"a tab in the place": regexp.MustCompile("\t"),
	}
	svg := strings.NewReplacer("http://www.w3.org/2000/svg", "") // a name, not an address
	for name, text := range assets(t) {
		for what, pattern := range never {
			if name == "style.css" && what == "an inline style" {
				continue
			}
			if found := pattern.FindString(svg.Replace(text)); found != "" {
				t.Errorf("%s holds %s: %q", name, what, found)
			}
		}
	}
	script := regexp.MustCompile(`<script[^>]*>`)
	for _, tag := range script.FindAllString(assets(t)["index.html"], -1) {
		if !strings.Contains(tag, ` src="/_sandbox/console/`) {
			t.Errorf("inline script: %s", tag)
		}
	}
}

// words reads the two languages.
func words(t *testing.T) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	for _, name := range []string{"en", "zh"} {
		table := map[string]string{}
		if err := json.Unmarshal([]byte(assets(t)[name+".json"]), &table); err != nil {
			t.Fatalf("%s.json: %v", name, err)
		}
		out[name] = table
	}
	return out
}

// Everything is said in both languages, and each sentence takes the same values.
func TestBothLanguagesSayTheSame(t *testing.T) {
	all := words(t)
	en, zh := all["en"], all["zh"]
	if d := cmp.Diff(slices.Sorted(maps.Keys(en)), slices.Sorted(maps.Keys(zh))); d != "" {
		t.Errorf("the languages differ (-en +zh):\n%s", d)
	}
	value := regexp.MustCompile(`\{\w+\}`)
	han := regexp.MustCompile(`\p{Han}`)
	for name := range en {
		a, b := value.FindAllString(en[name], -1), value.FindAllString(zh[name], -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s takes %v in English and %v in Chinese", name, a, b)
		}
		if en[name] == "" || zh[name] == "" {
			t.Errorf("%s is empty", name)
		}
		// The reason of a refund is what the shop's customers read: Chinese in both.
		if han.MatchString(en[name]) && name != "reason" {
			t.Errorf("%s is Chinese in the English table: %s", name, en[name])
		}
	}
}

// No sentence is wrong for one of a thing, and none leaves open whether it speaks of
// money or of time: 分 alone is both.
func TestWhatIsSaidWithANumberCanBeReadInOneWay(t *testing.T) {
	ambiguous := map[string][]*regexp.Regexp{
		"en": {
			regexp.MustCompile(`\{n\} (?:[a-z]+ )?(?:times|refunds|orders|calls|notifications|repeats|filters)\b`), // 1 times
			regexp.MustCompile(`\{n\} .*\b(?:have|are|were)\b`),                                                    // 1 are
		},
		"zh": {
			regexp.MustCompile(`[\d}] ?分(?:[^钟]|$)`), // money or minutes?
			regexp.MustCompile(`[\d}] ?时(?:[^段]|$)`), // hours or o'clock?
		},
	}
	for language, patterns := range ambiguous {
		for name, text := range words(t)[language] {
			for _, pattern := range patterns {
				if found := pattern.FindString(text); found != "" {
					t.Errorf("%s.json: %s: %q", language, name, found)
				}
			}
		}
	}
	for language, bad := range map[string][]string{"en": {"applied {n} times", "{n} older refunds are not shown."}, "zh": {"+1 分", "{n} 分", "{n}时", "24 小时 4 分内"}} {
		for _, text := range bad {
			if !slices.ContainsFunc(ambiguous[language], func(p *regexp.Regexp) bool { return p.MatchString(text) }) {
				t.Errorf("%q is not recognized", text)
			}
		}
	}
}

// What the page says is in the tables, and there is nothing in them that it does not say.
func TestEverySentenceOfThePageIsUsed(t *testing.T) {
	en := words(t)["en"]
	said := map[string]bool{}
	// Sentences about things that have names: every one that the state can hold.
	var state struct {
		Known map[string][]string
	}
	sandboxtest.New(t).Control("GET", "/_sandbox/state", "", 200).Decode(t, &state)
	faults := slices.Concat(state.Known["upstream"], state.Known["notify"], []string{"stop"})
	families := map[string][]string{
		"fault.": faults, "teaches.": faults,
		"state.":     {"paid", "claimed", "processing", "success", "closed", "abnormal", "rejected"},
		"means.":     {"claimed", "processing", "success", "closed", "abnormal", "rejected"},
		"delivery.":  {"pending", "delivered", "failed", "lost"},
		"key.":       {"merchant", "certificate", "public_key"},
		"do.settle.": {"SUCCESS", "CLOSED", "ABNORMAL"},
		"ours.":      {"claimed", "sent", "processing", "success", "closed", "abnormal", "unanswered", "refused", "contradiction", "released", "withdrawn", "taken", "owed", "delivered", "undelivered", "given_up"},
		"wechat.":    {"accepted", "by_hand", "settled", "notified", "lost"},
		"who.":       {"ours", "wechat"},
		"detail.":    {"server", "reply", "letter", "query"},
		"cause.": {
			"body_changed", "probe", "unknown_serial", "stale", "new_key", "either_key", "believed", "no_answer", "malformed", "not_verified",
			"too_large", "unavailable", "not_success", "status",
		},
		"link.": {"live", "waiting"}, "applies.": {"once", "half", "always"}, "faults.on.": {"apply", "query"},
		"filter.": {"all", "open", "success", "abnormal", "ended", "since", "until", "min", "max", "doubt", "undelivered", "owed", "difference"}, "clock.": {"1m", "10m", "1h", "24h4m"},
		"bar.": {"refunded", "open", "remaining"}, "records.": {"held", "arrived", "ours", "wechat", "difference"},
		"empty.step": {"1", "2", "3"}, "empty.text": {"1", "2", "3"},
		"scenario.": {"abnormal", "closed", "byHand", "abnormal.teaches", "closed.teaches", "byHand.teaches"},
		"unit.":     {"y", "d", "h", "m", "s"}, "short.unit.": {"y", "d", "h", "m", "s"},
		"summary.": {"refunds", "open", "doubt", "undelivered", "owed", "gap"},
		"list.":    {"previous", "next", "refunds", "orders"}, "day.": {"accepted", "settled", "in_doubt", "hour"},
		"exchange.": {"call", "notification", "function", "request", "response"},
		"check.":    {"signature", "timestamp", "serial", "certificate", "token", "body", "identity", "headers", "content_type", "scheme", "authorization", "merchant", "xml", "seal", "fault", "answer", "acknowledgement", "refusal", "corpid", "corpsecret", "environment"},
		"merchant.": {"certificate", "switching", "public-key"},
	}
	for prefix, names := range families {
		if len(names) == 0 {
			t.Errorf("no names for %s", prefix)
		}
		for _, name := range names {
			said[prefix+name] = true
		}
	}
	literal := regexp.MustCompile(`\bt\('([^']+)'|data-i18n(?:-label)?="([^"]+)"`)
	either := regexp.MustCompile(`'((?:[a-z]+)\.[A-Za-z.]+)'`)
	for name, text := range assets(t) {
		if !strings.HasSuffix(name, ".js") && !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, m := range literal.FindAllStringSubmatch(text, -1) {
			said[m[1]+m[2]] = true
		}
		for _, m := range either.FindAllStringSubmatch(text, -1) { // chosen before it is said
			if _, ok := en[m[1]]; ok {
				said[m[1]] = true
			}
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(said)), slices.Sorted(maps.Keys(en))); d != "" {
		t.Errorf("words (-said by the page +in the tables):\n%s", d)
	}
}

// Text can be read on what it stands on, in either scheme: 4.5 to 1 for text and 3
// to 1 for the edges of controls (WCAG 2.2, 1.4.3 and 1.4.11).
func TestTextStandsOutFromItsGround(t *testing.T) {
	light, dark := colours(t)
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"text", "ground", 4.5}, {"text", "surface", 4.5}, {"text", "sunken", 4.5}, {"text", "good-soft", 4.5},
		{"muted", "ground", 4.5}, {"muted", "surface", 4.5}, {"muted", "sunken", 4.5},
		{"accent", "ground", 4.5}, {"accent", "surface", 4.5}, {"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5},
		{"good", "good-soft", 4.5}, {"good", "surface", 4.5}, {"busy", "busy-soft", 4.5}, {"warn", "warn-soft", 4.5}, {"warn", "surface", 4.5},
		{"bad", "bad-soft", 4.5}, {"bad", "surface", 4.5}, {"still", "still-soft", 4.5}, {"surface", "text", 4.5},
		{"edge", "surface", 3}, {"accent", "sunken", 3}, {"busy", "surface", 3}, {"surface", "edge", 3},
	}
	for scheme, colour := range map[string]map[string][3]float64{"light": light, "dark": dark} {
		for _, p := range pairs {
			front, ok := colour[p.front]
			back, also := colour[p.back]
			if !ok || !also {
				t.Fatalf("%s: no colour %s or %s", scheme, p.front, p.back)
			}
			if got := contrast(front, back); got < p.least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", scheme, p.front, p.back, got, p.least)
			}
		}
	}
}

// colours reads the variables of the style sheet, as they are in either scheme.
func colours(t *testing.T) (light, dark map[string][3]float64) {
	t.Helper()
	variable := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
	before, after, ok := strings.Cut(assets(t)["style.css"], "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	light = map[string][3]float64{}
	for _, m := range variable.FindAllStringSubmatch(before, -1) {
		light[m[1]] = rgb(t, m[2])
	}
	dark = maps.Clone(light)
	for _, m := range variable.FindAllStringSubmatch(after, -1) {
		dark[m[1]] = rgb(t, m[2])
	}
	if len(light) < 15 || cmp.Equal(light, dark) {
		t.Fatalf("%d colours, and in the dark the same", len(light))
	}
	return light, dark
}

func rgb(t *testing.T, hex string) (out [3]float64) {
	t.Helper()
	for i := range out {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = float64(n) / 255
	}
	return out
}

// contrast is WCAG's ratio of relative luminances.
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) (sum float64) {
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			linear := c[i] / 12.92
			if c[i] > 0.04045 {
				linear = math.Pow((c[i]+0.055)/1.055, 2.4)
			}
			sum += weight * linear
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// The ratio itself is right: black on white is 21, and a grey that WCAG's own
// documents name as just enough is.
func TestTheContrastRatioIsWCAGs(t *testing.T) {
	for _, tt := range []struct {
		front, back string
		want        float64
	}{{"000000", "ffffff", 21}, {"767676", "ffffff", 4.54}, {"ffffff", "ffffff", 1}} {
		if got := contrast(rgb(t, tt.front), rgb(t, tt.back)); math.Abs(got-tt.want) > 0.005 {
			t.Errorf("%s on %s: got %.3f, want %.2f", tt.front, tt.back, got, tt.want)
		}
	}
}
