package operator_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/console/consoletest"
)

// files are those of the page: its own, and all that it loads.
func files(t *testing.T) (own, all map[string]string) {
	t.Helper()
	own, all = consoletest.Assets(t, os.DirFS(".")), consoletest.Assets(t, console.Files())
	for name, text := range own {
		if all[name] != "" {
			t.Errorf("%s hides a file that pages share", name)
		}
		all[name] = text
	}
	return own, all
}

func TestThePageLoadsNothingFromElsewhereAndSaysAllInBothLanguages(t *testing.T) {
	own, all := files(t)
	consoletest.LoadsNothingFromElsewhere(t, own, "")
	en, zh := consoletest.Words(t, own, "en.json"), consoletest.Words(t, own, "zh.json")
	consoletest.BothLanguagesSayTheSame(t, en, zh)
	consoletest.ReadsInOneWay(t, en, zh)
	names := func(prefix string) (names []string) {
		for name := range en {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				names = append(names, rest)
			}
		}
		return names
	}
	deeds := []string{"query", "cancel", "release", "redeliver", "approve", "reject", "withdraw", "acknowledge", "reconcile"}
	states := []string{"claimed", "processing", "success", "closed", "abnormal", "rejected"}
	applied := []string{"pending", "approved", "refunded", "rejected", "withdrawn", "expired"}
	bills := []string{"agrees", "waiting", "differs", "reading", "unread", "unreadable", "unavailable"}
	parts := []string{"differs", "ours_only", "theirs_only", "to_ask", "skipped"}
	funds := []string{"proved", "missing", "differs", "unknown", "closed", "by_hand"}
	families := map[string][]string{
		"book.": bills, "booked.": append(slices.Clone(bills), "empty"), "books.n.": append(slices.Clone(parts), "equal"), "funds.": funds, "found.": names("found."),
		"books.":   append([]string{"unread", "unreadable", "unavailable", "bill", "ledger", "equal"}, parts...),
		"applied.": append(slices.Clone(applied), "unrefunded"), "applied.means.": applied,
		"state.": states, "means.": states, "do.": deeds, "will.": deeds, "did.": deeds, "link.": {"live", "waiting"},
		"now.":    {"alarms", "doubt", "applications", "applications.none", "undelivered", "funds", "slow", "abnormal", "timer", "ledger", "alarms.none", "doubt.none", "undelivered.none", "funds.none", "slow.none", "abnormal.none"},
		"filter.": {"all", "open", "success", "abnormal", "ended", "since", "until", "min", "max", "attention", "doubt", "undelivered"},
		"ours.":   names("ours."), "detail.": {"bill"}, "alarm.": names("alarm."), "who.": {"ours"}, // those of the history and of alarms are the ledger's
	}
	consoletest.EverySentenceIsUsed(t, consoletest.Said(t, all, families, en), en, consoletest.Words(t, all, "common.en.json"))
}

// D11: one thing of a request that would be let in is changed.
func TestOnlyWhoHasTheAddressSeesTheConsole(t *testing.T) {
	w := open(t, file(t), true)
	jar := w.client.Jar.Cookies(parse(t, w.url+w.root))
	if len(jar) != 1 {
		t.Fatalf("%d cookies", len(jar))
	}
	host := strings.TrimPrefix(w.url, "http://")
	without := func(r *http.Request) { r.Header.Del("Cookie") }
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	named := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	for _, tt := range []struct {
		name   string
		path   string
		change func(*http.Request)
		status int
	}{
		{"the page", "", func(*http.Request) {}, 200},
		{"its data", "api/overview", func(*http.Request) {}, 200},
		{"the page, without a cookie", "", without, 403},
		{"its parts, without a cookie", "app.js", without, 403},
		{"its data, without a cookie", "api/overview", without, 403},
		{"its data, with another cookie", "api/overview", set("Cookie", "operate=AAAAAAAAAAAAAAAAAAAAAAAAAA"), 403},
		{"its data, with an empty cookie", "api/overview", set("Cookie", "operate="), 403},
		{"its data, for another site", "api/overview", set("Sec-Fetch-Site", "cross-site"), 403},
		{"its data, for another port", "api/overview", set("Sec-Fetch-Site", "same-site"), 403},
		{"its data, for another origin", "api/overview", set("Origin", "http://evil.example"), 403},
		{"the page itself asks", "api/overview", set("Sec-Fetch-Site", "same-origin"), 200},
		{"under a name that was rebound", "", named("evil.example"), 403},
		{"as localhost", "", named("localhost:" + host[strings.LastIndex(host, ":")+1:]), 200},
		{"a part that there is not", "none.js", func(*http.Request) {}, 404},
		{"a file of the program", "..%2Foperator.go", func(*http.Request) {}, 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+w.root+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(jar[0])
		tt.change(r)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, answer.Status, tt.status)
		}
	}
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// D11: what lets somebody in is kept from other programs: the cookie from scripts, from other
// sites and from other ports of this machine, the token from whatever the page leads to.
func TestTheEntranceGivesACookieThatOtherPortsDoNotGet(t *testing.T) {
	w := open(t, file(t), false)
	enter := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	answer := enter(w.console.Path())
	cookies := answer.Cookies()
	if answer.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("%s, %d cookies", answer.Status, len(cookies))
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != w.root || len(w.root) < 20 || c.Path == "/" {
		t.Errorf("the cookie is %+v", c)
	}
	if strings.Contains(answer.Header.Get("Location"), "token") || answer.Header.Get("Referrer-Policy") != "no-referrer" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("it leads to %s with %v", answer.Header.Get("Location"), answer.Header)
	}
	for _, path := range []string{"/", "/?token=", "/?token=AAAAAAAAAAAAAAAAAAAAAAAAAA", w.console.Path() + "A", "/x" + w.console.Path()} {
		if answer := enter(path); answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) > 0 {
			t.Errorf("%s: %s, %d cookies", path, answer.Status, len(answer.Cookies()))
		}
	}
}

// What the first screen says.
type overview struct {
	Refunds int
	Alarms  struct{ N int }
	Doubt   struct {
		N      int
		Oldest string
	}
	Funds struct {
		N       int
		Amounts []struct{ Amount int }
	}
	Undelivered, Slow int
	Timer             struct {
		Seen                  string
		Stands, Behind, Ahead bool
	}
	States map[string]int
	Act    bool
	Newest []struct{ Code string }
}

// A page of a list of refunds.
type page struct {
	Refunds []struct {
		No          string `json:"out_refund_no"`
		State       string
		InDoubt     bool `json:"in_doubt"`
		Undelivered bool
		Waiting     bool
		External    bool
		Refund      int64
	}
	Next string
}

// numbers pages through a list.
func (w *world) numbers(query string, limit int) (all []string) {
	for cursor := ""; ; {
		p := get[page](w, fmt.Sprintf("refunds?%s&limit=%d&cursor=%s", query, limit, cursor))
		for _, r := range p.Refunds {
			all = append(all, r.No)
		}
		if cursor = p.Next; cursor == "" {
			return all
		}
	}
}

// The first screen's figures are those of the lists that they lead to, and what stands in
// the list, counted and as a file is the same.
func TestTheFirstScreenCountsWhatTheListsShow(t *testing.T) {
	w := open(t, file(t), false)
	e := w.fill(12)
	o := get[overview](w, "overview")
	for _, tt := range []struct {
		what      string
		got, want int
	}{
		{"in doubt", o.Doubt.N, len(e.doubt)}, {"waiting", o.Funds.N, len(e.waiting)}, {"money that is waited for", o.Funds.Amounts[0].Amount, 1288 + 2576},
		{"not delivered", o.Undelivered, len(e.owed)}, {"abnormal", o.States["abnormal"], len(e.abnormal)}, {"closed", o.States["closed"], len(e.closed)},
		{"rejected", o.States["rejected"], len(e.rejected)}, {"claimed", o.States["claimed"], len(e.doubt) + len(e.waiting)}, {"processing", o.States["processing"], len(e.processing)},
		{"all", o.Refunds, 12 + 17},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, tt.got, tt.want)
		}
	}
	if o.Act || o.Alarms.N == 0 || len(o.Newest) == 0 || o.Doubt.Oldest == "" || o.Timer.Stands == (o.Timer.Seen != "") && o.Timer.Seen == "" {
		t.Errorf("got %+v", o)
	}
	for query, want := range map[string][]string{
		"doubt=true": e.doubt, "undelivered=true": e.owed, "state=abnormal": e.abnormal, "state=closed,rejected": slices.Concat(e.rejected, e.closed),
		"order=S2027HA00": e.external, "q=processing": e.processing, "state=processing": e.processing, "min=4200&max=4200&state=abnormal": e.abnormal,
		"order=S2027PR00": e.processing[:1], "q=nothing": nil,
	} {
		for _, limit := range []int{1, 200} {
			got := w.numbers(query, limit)
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("%s, %d a page: got %v, want %v", query, limit, got, want)
			}
		}
		if n := get[struct{ Total int }](w, "count?"+query).Total; n != len(want) {
			t.Errorf("%s: %d are counted, want %d", query, n, len(want))
		}
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(w.call("GET", "refunds.csv?"+query, "", 200), []byte("\xef\xbb\xbf")))).ReadAll()
		if err != nil || len(rows) != len(want)+1 {
			t.Errorf("%s: a file of %d rows, %v, want %d", query, len(rows), err, len(want)+1)
		}
	}
}

// No openid, no name and no account of a payer leaves the program in full, whoever did
// what: that is for operate show.
func TestPersonalDataIsMaskedInEverythingThatIsSent(t *testing.T) {
	w := open(t, file(t), true)
	e := w.fill(4)
	w.call("POST", "refunds/"+e.doubt[0]+"/cancel", fmt.Sprintf(`{"confirm":%q}`, e.doubt[0]), 200)
	alarms := get[struct {
		Alarms []struct{ About, Code string }
	}](w, "alarms")
	a := alarms.Alarms[0]
	w.call("POST", "acknowledge", fmt.Sprintf(`{"confirm":%q,"code":%q,"about":%q,"note":"seen"}`, a.Code, a.Code, a.About), 200)
	var said strings.Builder
	paths := []string{"overview", "refunds?limit=200", "alarms", "refunds.csv"}
	for _, no := range w.numbers("", 200) {
		paths = append(paths, "refunds/"+no)
	}
	for _, path := range append(paths, "orders/S2026001000") {
		said.Write(w.call("GET", path, "", 200))
	}
	in, err := w.refunds.Inspect(t.Context(), e.abnormal[0], e.doubt[0], e.owed[0])
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"an openid": colleague, "an operator's name": `"` + "operator " + alice, "an account": in[2].Refund.UserReceivedAccount} {
		if secret == "" || strings.Contains(said.String(), secret) {
			t.Errorf("%s is in what is sent: %q", what, secret)
		}
	}
	if by := in[1].History[len(in[1].History)-1].By; by != "operator "+alice {
		t.Errorf("the history says %q", by)
	}
}

// What changes anything wants -yes and the word that is to be typed; else it is refused, and
// nothing happens.
func TestNothingIsDoneUnlessItMayBeAndWasTyped(t *testing.T) {
	w := open(t, file(t), true)
	e := w.fill(2)
	no := e.doubt[0]
	deeds := []struct{ path, word, more string }{
		{"refunds/" + no + "/query", no, ""}, {"refunds/" + no + "/cancel", no, ""}, {"refunds/" + no + "/release", no, `,"absent":"true"`},
		{"refunds/" + e.owed[0] + "/redeliver", e.owed[0], `,"to":""`}, {"acknowledge", "refund_abnormal", `,"code":"refund_abnormal","about":"` + e.abnormal[0] + `"`}, {"reconcile", "reconcile", ""},
	}
	body := func(word, more string) string { return fmt.Sprintf(`{"confirm":%q%s}`, word, more) }
	before := w.call("GET", "refunds?limit=200", "", 200)
	for _, d := range deeds {
		for _, word := range []string{"", "yes", d.word + " ", strings.ToUpper(d.word) + "X"} {
			w.call("POST", d.path, body(word, d.more), http.StatusConflict)
		}
		for _, bad := range []string{"", "[]", `{"confirm":1}`, `{"confirm":"x","confirm":"x"}`, `{"x":"y"}`, `{"confirm":"` + strings.Repeat("x", 600) + `"}`} {
			w.call("POST", d.path, bad, http.StatusBadRequest)
		}
	}
	if after := w.call("GET", "refunds?limit=200", "", 200); !bytes.Equal(before, after) {
		t.Errorf("something has changed:\n%s\n%s", before, after)
	}
	w.serve(false)
	for _, d := range deeds {
		w.call("POST", d.path, body(d.word, d.more), http.StatusForbidden)
	}
	if can := get[struct{ Can []string }](w, "refunds/"+no).Can; len(can) > 0 {
		t.Errorf("a console that only shows offers %v", can)
	}
	w.serve(true)
	for _, d := range deeds[1:2] {
		w.call("POST", d.path, body(d.word, d.more), 200)
	}
	w.Advance("10m")
	w.call("POST", "refunds/"+no+"/release", body(no, ""), 200)
	w.subscriber.Store(true)
	for _, d := range deeds[3:] {
		w.call("POST", d.path, body(d.word, d.more), 200)
	}
	type standing struct {
		State  string
		Alarms []struct {
			Acknowledged string `json:"acknowledged_at"`
		}
		Undelivered bool
	}
	if r := get[standing](w, "refunds/"+no); r.State != "rejected" {
		t.Errorf("what was released is %+v", r)
	}
	if r := get[standing](w, "refunds/"+e.abnormal[0]); len(r.Alarms) != 1 || r.Alarms[0].Acknowledged == "" {
		t.Errorf("what was acknowledged is %+v", r)
	}
	if r := get[standing](w, "refunds/"+e.owed[0]); r.Undelivered {
		t.Errorf("what was told again is %+v", r)
	}
}

// WeChat Pay's word is asked for without writing anything down.
func TestBothSidesAreShownWhenAsked(t *testing.T) {
	w := open(t, file(t), false)
	e := w.fill(2)
	w.Control("POST", "/_sandbox/refunds/"+e.processing[0]+"/settle", `{"status":"SUCCESS"}`, 200)
	type sides struct {
		Ours    struct{ State string }
		WeChat  *struct{ State string }
		Held    int64 `json:"difference_held"`
		Arrived int64 `json:"difference_arrived"`
	}
	for no, want := range map[string]struct {
		ours, wechat  string
		held, arrived int64
	}{
		e.processing[0]:  {"processing", "SUCCESS", 0, -2500},
		e.doubt[0]:       {"claimed", "", 1990, 0},
		e.closed[0]:      {"closed", "CLOSED", 0, 0},
		"RF2026001000-1": {"success", "SUCCESS", 0, 0},
	} {
		s := get[sides](w, "upstream/"+no)
		if s.Ours.State != want.ours || s.Held != want.held || s.Arrived != want.arrived || (s.WeChat == nil) != (want.wechat == "") || s.WeChat != nil && s.WeChat.State != want.wechat {
			t.Errorf("%s: %+v, want %+v", no, s, want)
		}
	}
	if r := get[struct{ State string }](w, "refunds/"+e.processing[0]); r.State != "processing" {
		t.Errorf("asking has written %s down", r.State)
	}
	w.call("GET", "upstream/none", "", 404)
}

// Whatever is asked is answered in JSON: what cannot be read is refused by its name.
func TestWhatIsMisspeltIsRefused(t *testing.T) {
	w := open(t, file(t), true)
	for path, status := range map[string]int{
		"refunds?limt=5": 400, "refunds?state=x": 400, "refunds?limit=0": 400, "refunds?limit=201": 400, "refunds?doubt=yes": 400, "refunds?cursor=x": 400,
		"refunds?min=5&max=4": 400, "refunds?since=yesterday": 400, "count?x=1": 400, "refunds.csv?q=1&q=2": 400, "overview?x=1": 400, "alarms?limit=x": 400,
		"refunds/none": 404, "orders/none": 404, "none": 404, "refunds/" + strings.Repeat("x", 65): 404,
	} {
		var out struct{ Error string }
		if err := json.Unmarshal(w.call("GET", path, "", status), &out); err != nil || out.Error == "" {
			t.Errorf("%s: %v, %q", path, err, out.Error)
		}
	}
	for _, method := range []string{"PUT", "DELETE"} {
		w.call(method, "refunds", "", http.StatusMethodNotAllowed)
	}
}

// A file that cannot be read to its end is not taken for a whole one.
func TestAFileThatBreaksOffIsNoFile(t *testing.T) {
	rows := func(n int) func(func(int, error) bool) {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			yield(0, io.ErrUnexpectedEOF)
		}
	}
	for n, want := range map[int]int{0: http.StatusServiceUnavailable, 1: 0, 100_000: 0} {
		h := console.API{Refuse: nil, Endpoints: []console.Endpoint{{Pattern: "GET /x", Handle: func(*http.Request, []byte) (any, error) {
			return console.Table[int]{Name: "x.csv", Columns: []console.Column[int]{{Name: "n", Of: func(n int) string { return fmt.Sprint(n) }}}, Rows: rows(n)}, nil
		}}}}.Handler()
		if status := statusOf(t, h); status != want {
			t.Errorf("%d rows: status %d, want %d", n, status, want)
		}
	}
}

// statusOf is the status of an answer that came whole, 0 of one that broke off.
func statusOf(t *testing.T, h http.Handler) int {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	answer, err := http.Get(s.URL + "/x")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}

// A last run that lies ahead is no timer that stands: a clock is wrong, and nothing is
// changed from here until it is right.
func TestAClockThatIsBehindIsSaidAndChangesNothing(t *testing.T) {
	w := open(t, file(t), true)
	if _, err := w.refunds.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := get[overview](w, "overview"); o.Timer.Ahead || o.Timer.Stands {
		t.Errorf("with the right clock: %+v", o.Timer)
	}
	w.refunds.Now = func() time.Time { return w.Sandbox.Now().Add(-time.Hour) }
	if o := get[overview](w, "overview"); !o.Timer.Ahead {
		t.Errorf("an hour behind: %+v", o.Timer)
	}
	answer := w.call("POST", "reconcile", `{"confirm":"reconcile"}`, 409)
	if !strings.Contains(string(answer), "s behind the ledger's") {
		t.Errorf("got %s", answer)
	}
}

// What WeChat Pay has not is said to be ended by release, and when; what was withdrawn is
// not offered to be withdrawn again.
func TestADoubtIsMetWithWhatEndsIt(t *testing.T) {
	w := open(t, file(t), true)
	w.pay("A1")
	w.fault(`{"upstream":"500_before","count":1}`)
	if err := w.refund(server, "A1", "doubt-1", 100); err == nil {
		t.Fatal("the refund is not in doubt")
	}
	can := func() string {
		return strings.Join(get[struct{ Can []string }](w, "refunds/doubt-1").Can, " ")
	}
	if got := can(); got != "query cancel release" {
		t.Errorf("offered are %s", got)
	}
	said := string(w.call("POST", "refunds/doubt-1/query", `{"confirm":"doubt-1"}`, http.StatusNotFound))
	if !strings.Contains(said, "in doubt here alone, and release may end it from ") || !strings.Contains(said, "+08:00 on") {
		t.Errorf("a query is told %s", said)
	}
	w.call("POST", "refunds/doubt-1/release", `{"confirm":"doubt-1"}`, http.StatusConflict) // too early
	w.call("POST", "refunds/doubt-1/cancel", `{"confirm":"doubt-1"}`, 200)
	if got := can(); got != "query release" {
		t.Errorf("when it is withdrawn, offered are %s", got)
	}
}
