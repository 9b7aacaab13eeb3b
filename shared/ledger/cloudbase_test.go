//go:build cloudbase || !slim

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
)

// A cloudWire answers, or sends, what a ledger at CloudBase sends.
type cloudWire func(r cloudRequest, send func() (*http.Response, error)) (*http.Response, error)

func (w cloudWire) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var r cloudRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	return w(r, func() (*http.Response, error) {
		req := req.Clone(req.Context())
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		return http.DefaultTransport.RoundTrip(req)
	})
}

// onCloudWire puts w between a ledger and CloudBase, behind the look at the database.
func onCloudWire(s *Store, w cloudWire) *Store {
	c := s.store.(*cloud)
	c.http.Transport = w
	c.marker.done.Store(true)
	return s
}

func scriptedCloud(t *testing.T, w cloudWire) *Store {
	t.Helper()
	return onCloudWire(open(t, "cloudbase:scripted"), w)
}

func cloudAnswers(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func cloudRefuses(status int, code string) (*http.Response, error) {
	return cloudAnswers(status, fmt.Sprintf(`{"code":%q,"message":"no","requestId":"r"}`, code))
}

func TestCloudBaseOpensByURLAloneAndRefusesBadOnes(t *testing.T) {
	t.Parallel()
	refusesURLs(t, "cloudbase", map[string]string{
		"":                                     "want cloudbase:ENV_ID",
		"//shop-1":                             "want cloudbase:ENV_ID",
		"ENV_ID":                               "want cloudbase:ENV_ID",
		"Shop":                                 "want cloudbase:ENV_ID",
		"-shop":                                "want cloudbase:ENV_ID",
		"shop-":                                "want cloudbase:ENV_ID",
		"shop.example":                         "want cloudbase:ENV_ID",
		"key:tiger@shop":                       "want cloudbase:ENV_ID",
		strings.Repeat("x", 64):                "want cloudbase:ENV_ID",
		"shop?region=ap-shanghai":              `unknown parameter "region"; known is endpoint`,
		"shop?Endpoint=https://h":              `unknown parameter "Endpoint"`,
		"shop?endpoint=a&endpoint=":            `parameter "endpoint" occurs 2 times`,
		"shop?endpoint=%zz":                    "parameters: ",
		"shop?endpoint=h":                      "the endpoint is not an https URL",
		"shop?endpoint=ftp://h":                "the endpoint is not an https URL",
		"shop?endpoint=https://u:tiger@h":      "the endpoint is not an https URL",
		"shop?endpoint=https://h/?key=tiger":   "the endpoint is not an https URL",
		"shop?endpoint=http://db.example.com":  "whoever listens would have the key",
		"shop?endpoint=http://10.0.0.1:8701/x": "whoever listens would have the key",
	})
	for url, want := range map[string]string{
		"cloudbase:shop-1g2h":                                "https://shop-1g2h.api.tcloudbasegateway.com",
		"cloudbase:shop?endpoint=":                           "https://shop.api.tcloudbasegateway.com",
		"cloudbase:shop?endpoint=http://127.0.0.1:8701/":     "http://127.0.0.1:8701",
		"cloudbase:shop?endpoint=https://db.example.com/p/q": "https://db.example.com/p/q",
	} {
		if got := open(t, url).store.(*cloud).api.URL; got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}

// Every call has the key, names its role, and has as many parameters as placeholders.
func TestCloudBaseCallsHaveTheKeyAndTheRole(t *testing.T) {
	t.Parallel()
	lent := func(context.Context) (cloudbase.Credentials, error) {
		return cloudbase.Credentials{APIKey: secret.Text("lent")}, nil
	}
	for key, with := range map[string][]Option{cloudbaseKey: nil, "lent": {WithCredentials(lent)}} {
		s, err := Open(t.Context(), "cloudbase:shop", with...)
		if err != nil {
			t.Fatal(err)
		}
		var sent *http.Request
		var asked cloudRequest
		var answered context.CancelFunc
		c := s.store.(*cloud)
		c.marker.done.Store(true)
		c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			defer answered()
			sent = r
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
				t.Error(err)
			}
			return cloudAnswers(200, "[]")
		})
		for name, call := range everyCall {
			if name == "add indexes" {
				continue
			}
			asked = cloudRequest{}
			ctx, cancel := context.WithCancel(t.Context())
			answered = cancel // so that nothing is repeated
			_ = call(ctx, s)  // no answer is right for all of them
			cancel()
			if sent.URL.String() != "https://shop.api.tcloudbasegateway.com/v1/rdb/exec-pgsql" || sent.Header.Get("Authorization") != "Bearer "+key ||
				asked.Role != "cloudbase_postgres" {
				t.Errorf("%s: sent %s as %s with %q", name, sent.URL, asked.Role, sent.Header.Get("Authorization"))
			}
			n := len(asked.Parameters)
			if (n == 0) != (name == "count everything") || n > 0 && !strings.Contains(asked.SQL, fmt.Sprintf("$%d::text", n)) || strings.Contains(asked.SQL, fmt.Sprintf("$%d", n+1)) || strings.Contains(asked.SQL, "?") {
				t.Errorf("%s: %d parameters of %s", name, n, asked.SQL)
			}
		}
		s.Close()
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Without credentials nothing is sent, and nothing repeated.
func TestCloudBaseWithoutCredentialsSendsNothing(t *testing.T) {
	t.Parallel()
	asked := 0
	none := func(context.Context) (cloudbase.Credentials, error) {
		asked++
		return cloudbase.Credentials{}, errors.New("CLOUDBASE_APIKEY is not set")
	}
	s, err := Open(t.Context(), "cloudbase:shop", WithCredentials(none))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.store.(*cloud).http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("something was sent")
		return cloudAnswers(200, "[]")
	})
	if _, err := s.Get(t.Context(), "a"); err == nil || asked != 1 || !strings.Contains(err.Error(), "CLOUDBASE_APIKEY is not set") {
		t.Errorf("asked %d times, got %v", asked, err)
	}
}

// What one call does not take is refused before it is made.
func TestCloudBaseLimitsAreCheckedBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	calls := 0
	s := scriptedCloud(t, func(cloudRequest, func() (*http.Response, error)) (*http.Response, error) {
		calls++
		return cloudAnswers(200, `[{"outcome":"done"}]`)
	})
	many := make([]refund.Item, cloudItems+1)
	for i := range many {
		many[i] = item(fmt.Sprint(i), 0, "")
	}
	half := strings.Repeat("x", cloudBytes/2)
	for want, items := range map[string][]refund.Item{
		"101 items, CloudBase is given at most 100":               many,
		"bodies of 4000001 bytes, CloudBase is given at most 400": {item("a", 0, half), item("b", 0, half), item("c", 0, "x")},
	} {
		if err := s.Commit(t.Context(), items...); err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := s.Commit(t.Context(), item("a", 0, half), item("b", 0, half)); err != nil || calls != 1 {
		t.Errorf("got %v, %d calls", err, calls)
	}
}

// What fails for a short time is repeated, what cannot succeed is not, and neither is stale.
// A commit is in doubt after what may have been carried out, and only then.
func TestCloudBaseCallsAreRepeatedAsTheCodesSay(t *testing.T) {
	t.Parallel()
	refused := func(status int, code string) func() (*http.Response, error) {
		return func() (*http.Response, error) { return cloudRefuses(status, code) }
	}
	answered := func(status int, body string) func() (*http.Response, error) {
		return func() (*http.Response, error) { return cloudAnswers(status, body) }
	}
	failed := func(err error) func() (*http.Response, error) {
		return func() (*http.Response, error) { return nil, err }
	}
	type meaning struct {
		again, doubt bool
		code, says   string
	}
	for name, test := range map[string]struct {
		reply func() (*http.Response, error)
		meaning
	}{
		"401":             {refused(401, "UNAUTHORIZED"), meaning{false, false, "UNAUTHORIZED", "does not know the key"}},
		"401, AI's token": {refused(401, "INVALID_ACCESS_TOKEN"), meaning{false, false, "INVALID_ACCESS_TOKEN", "CLOUDBASE_APIKEY"}},
		"401, page":       {answered(401, "<html>"), meaning{false, false, "", "CLOUDBASE_APIKEY"}},
		"403":             {refused(403, "ACTION_FORBIDDEN"), meaning{false, false, "ACTION_FORBIDDEN", "not an administrator's"}},
		"404":             {refused(404, "NOT_FOUND"), meaning{false, false, "NOT_FOUND", "check the ID of the environment"}},
		"moved":           {answered(302, ""), meaning{false, false, "", "(302)"}},
		"parameter":       {refused(400, "INVALID_PARAM"), meaning{false, false, "INVALID_PARAM", "refused"}},
		"syntax":          {refused(400, "DATABASE_42601"), meaning{false, false, "DATABASE_42601", "the database refused"}},
		"no table":        {refused(500, "DATABASE_42P01"), meaning{false, false, "DATABASE_42P01", "the database refused"}},
		"no right":        {refused(400, "DATABASE_42501"), meaning{false, false, "DATABASE_42501", "no right"}},
		"read-only":       {refused(400, "DATABASE_25006"), meaning{false, false, "DATABASE_25006", "no writes"}},
		"429":             {refused(429, "EXCEED_REQUEST_LIMIT"), meaning{true, false, "EXCEED_REQUEST_LIMIT", "no more calls"}},
		"unique":          {refused(400, "DATABASE_23505"), meaning{true, false, "DATABASE_23505", ""}},
		"serialization":   {refused(400, "DATABASE_40001"), meaning{true, false, "DATABASE_40001", ""}},
		"deadlock":        {refused(400, "DATABASE_40P01"), meaning{true, false, "DATABASE_40P01", ""}},
		"lock":            {refused(400, "DATABASE_55P03"), meaning{true, false, "DATABASE_55P03", ""}},
		"cancelled":       {refused(400, "DATABASE_57014"), meaning{true, false, "DATABASE_57014", ""}},
		"unknown state":   {refused(400, "DATABASE_40003"), meaning{true, true, "DATABASE_40003", ""}},
		"shutdown":        {refused(400, "DATABASE_57P01"), meaning{true, true, "DATABASE_57P01", ""}},
		"connections":     {refused(400, "DATABASE_53300"), meaning{true, true, "DATABASE_53300", ""}},
		"execution":       {refused(400, "DATABASE_EXEC_ERROR"), meaning{true, true, "DATABASE_EXEC_ERROR", ""}},
		"other database":  {refused(400, "DATABASE_TIMEOUT"), meaning{false, false, "DATABASE_TIMEOUT", ""}},
		"500":             {refused(500, "INTERNAL_ERROR"), meaning{true, true, "INTERNAL_ERROR", ""}},
		"502":             {answered(502, "<html>"), meaning{true, true, "", "(502)"}},
		"504":             {refused(504, "DATABASE_TIMEOUT"), meaning{true, true, "DATABASE_TIMEOUT", ""}},
		"error with 200":  {refused(200, "DATABASE_EXEC_ERROR"), meaning{true, true, "DATABASE_EXEC_ERROR", ""}},
		"42501 with 200":  {refused(200, "DATABASE_42501"), meaning{false, false, "DATABASE_42501", ""}},
		"page with 200":   {answered(200, "<html>"), meaning{true, true, "", "no result"}},
		"empty":           {answered(200, ""), meaning{true, true, "", "no result"}},
		"no rows":         {answered(200, "[]"), meaning{true, true, "", "0 rows, want 1"}},
		"two rows":        {answered(200, `[{"outcome":"done"},{"outcome":"done"}]`), meaning{true, true, "", "2 rows"}},
		"other column":    {answered(200, `[{"Outcome":"done"}]`), meaning{true, true, "", "columns"}},
		"more columns":    {answered(200, `[{"outcome":"done","x":"y"}]`), meaning{true, true, "", "columns"}},
		"number":          {answered(200, `[{"outcome":1}]`), meaning{true, true, "", "cannot be read"}},
		"null":            {answered(200, `[{"outcome":null}]`), meaning{true, true, "", "none of the function's"}},
		"other outcome":   {answered(200, `[{"outcome":"maybe"}]`), meaning{true, true, "", "none of the function's"}},
		"half":            {answered(200, `[{"outcome":"do`), meaning{true, true, "", "cannot be read"}},
		"trailing":        {answered(200, `[{"outcome":"done"}][]`), meaning{true, true, "", "cannot be read"}},
		"reset":           {failed(errors.New("connection reset")), meaning{true, true, "", "connection reset"}},
		"not reached":     {failed(&net.OpError{Op: "dial", Err: errors.New("no route")}), meaning{true, false, "", "no route"}},
	} {
		t.Run(name, virtuallyAtCloudBase(func(t *testing.T) {
			// Behind it each item has been overtaken: stale, or nobody knows.
			calls := 0
			s := scriptedCloud(t, func(cloudRequest, func() (*http.Response, error)) (*http.Response, error) {
				if calls++; calls == 1 {
					return test.reply()
				}
				return cloudAnswers(200, `[{"outcome":"overtaken"}]`)
			})
			err := s.Commit(t.Context(), item("a", 1, ""))
			switch {
			case test.again && (calls != 2 || errors.Is(err, refund.ErrStale) == test.doubt || test.doubt != strings.Contains(err.Error(), "the outcome is unknown")):
				t.Errorf("got %v after %d calls, want it in doubt: %t", err, calls, test.doubt)
			case !test.again && (calls != 1 || err == nil || errors.Is(err, refund.ErrStale)):
				t.Errorf("got %v after %d calls, want an error after 1", err, calls)
			}

			calls = 0
			ids := map[string]bool{}
			s = scriptedCloud(t, func(r cloudRequest, _ func() (*http.Response, error)) (*http.Response, error) {
				calls++
				ids[r.Parameters[1]] = true
				return test.reply()
			})
			want := 1
			if test.again {
				want = callAttempts
			}
			start := time.Now()
			err = s.Commit(t.Context(), item("a", 1, "SECRET"))
			if err == nil || errors.Is(err, refund.ErrStale) || calls != want || len(ids) != 1 || !strings.Contains(err.Error(), test.says) ||
				strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), cloudbaseKey) {
				t.Errorf("without end: got %v after %d calls with %d ids, want %d and one", err, calls, len(ids), want)
			}
			if took := time.Since(start); took > 3130*time.Millisecond {
				t.Errorf("given up after %v", took)
			}
			if e, ok := errors.AsType[interface {
				error
				Code() string
			}](err); ok && e.Code() != test.code || !ok && test.code != "" {
				t.Errorf("the error's code is %v, want %q", e, test.code)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start = time.Now()
			if err := s.Commit(ctx, item("a", 1, "")); test.again && (!errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond) {
				t.Errorf("with a context: got %v after %v", err, time.Since(start))
			}
		}))
	}
}

// virtuallyAtCloudBase makes a test run by a virtual clock, whose waits take no time.
func virtuallyAtCloudBase(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	}
}

// An answer that does not come is not waited for without end.
func TestCloudBaseAnswerThatDoesNotComeIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := open(t, "cloudbase:scripted")
		c := s.store.(*cloud)
		c.marker.done.Store(true)
		c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if calls++; calls == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return cloudAnswers(200, `[{"outcome":"done"}]`)
		})
		start := time.Now()
		if err := s.Commit(t.Context(), item("a", 0, "")); err != nil || calls != 2 || time.Since(start) < callTimeout || time.Since(start) > callTimeout+firstPause {
			t.Errorf("got %v after %d calls and %v", err, calls, time.Since(start))
		}
	})
}

// A process that was frozen does not use the connections that it had.
func TestCloudBaseDropsConnectionsThatLayUnused(t *testing.T) {
	t.Parallel()
	s := scriptedCloud(t, nil)
	c := s.store.(*cloud)
	idle := &idleCounter{roundTrip: func(*http.Request) (*http.Response, error) {
		return cloudAnswers(200, `[]`)
	}}
	c.http.Transport = idle
	for _, test := range []struct {
		ago  time.Duration
		want int32
	}{{0, 0}, {maxIdle - time.Second, 0}, {maxIdle + time.Second, 1}, {0, 1}} {
		if was := c.used.Load(); was != 0 {
			c.used.Store(was - int64(test.ago))
		}
		get(t, s, "a")
		if got := idle.closed.Load(); got != test.want {
			t.Errorf("%v unused: dropped %d times, want %d", test.ago, got, test.want)
		}
	}
}

type idleCounter struct {
	roundTrip
	closed atomic.Int32
}

func (i *idleCounter) CloseIdleConnections() { i.closed.Add(1) }

// Answers that are not the statement's are errors of every read.
func TestCloudBaseReadsTakeNothingElseForAnAnswer(t *testing.T) {
	t.Parallel()
	good := `{"k":"a","v":"1","d":null,"c":null,"a":null,"b":""}`
	for _, body := range []string{
		`{}`, `null`, `"x"`, `[null]`, `[[]]`, `[` + good + `,` + good + `,` + good + `]`,
		strings.Replace("["+good+"]", `"a",`, `"x",`, 1), // was not asked for
		strings.Replace("["+good+"]", `"1"`, `1`, 1),
		strings.Replace("["+good+"]", `"1"`, `"0"`, 1),
		strings.Replace("["+good+"]", `"1"`, `"9223372036854775808"`, 1),
		strings.Replace("["+good+"]", `"b":""`, `"b":null`, 1),
		strings.Replace("["+good+"]", `"b":""`, `"b":"%"`, 1),
		strings.Replace("["+good+"]", `"d":null`, `"d":"soon"`, 1),
		strings.Replace("["+good+"]", `"c":null,"a":null`, `"c":"open","a":"soon"`, 1),
		strings.Replace("["+good+"]", `"c":null,"a":null`, `"c":"Open","a":"1"`, 1),
	} {
		t.Run(body, virtuallyAtCloudBase(func(t *testing.T) {
			s := scriptedCloud(t, func(cloudRequest, func() (*http.Response, error)) (*http.Response, error) {
				return cloudAnswers(200, body)
			})
			if items, err := s.Get(t.Context(), "a", "b"); err == nil {
				t.Errorf("Get: got %v", items)
			}
			if items, _, err := s.List(t.Context(), refund.DueBy(at(0)), "", 1); err == nil && !strings.Contains(body, `"x"`) {
				t.Errorf("List: got %v", items)
			}
			if n, err := s.Count(t.Context(), refund.Everything()); err == nil {
				t.Errorf("Count: got %d", n)
			}
			if items, _, err := s.List(t.Context(), refund.Recent(never, never, "open"), "", 1); err == nil {
				t.Errorf("List classes: got %v", items)
			}
		}))
	}
	s := scriptedCloud(t, func(cloudRequest, func() (*http.Response, error)) (*http.Response, error) {
		return cloudAnswers(200, " ["+good+"]\n")
	})
	same(t, "the good one", get(t, s, "a", "b"), []refund.Item{item("a", 1, ""), {Key: "b"}})
}

// FuzzCloudAnswer: whatever comes is read or refused; what is read as an item is one that
// the ledger could have written.
func FuzzCloudAnswer(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{"k":"a","v":"1","d":null,"c":null,"a":null,"b":""}]`, `[{"k":"a","v":"9007199254740993","d":"-1","c":"open","a":"5","b":"AP8="}]`,
		`{"code":"DATABASE_23505","message":"x"}`, `{"code":5}`, `[{"outcome":"done"}]`, `<html>`, `[{"k":"a"}]`, "[null]",
	} {
		f.Add(200, []byte(seed))
	}
	f.Add(401, []byte(`{"code":"UNAUTHORIZED"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		rows, err := decodeCloud(status, body, cloudColumns)
		if err != nil {
			if _, unknown := judgeCloud(err); status == 200 && !unknown && json.Valid(body) && body[0] == '[' {
				t.Errorf("%q: %v says that nothing was carried out", body, err)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		for _, row := range rows {
			i, err := itemOf(row)
			if err != nil {
				continue
			}
			if err := refund.CheckCommit([]refund.Item{i}); err != nil || i.Version < 1 {
				t.Errorf("%q is %+v: %v", body, i, err)
			}
		}
	})
}
