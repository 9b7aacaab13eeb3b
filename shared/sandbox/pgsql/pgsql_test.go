package pgsql_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"wxrefund/shared/needs"
	"wxrefund/shared/sandbox/pgsql"
)

func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// A world is a door before a schema of one test's own.
type world struct {
	t      *testing.T
	door   *pgsql.Door
	server *httptest.Server
	url    string
}

func newWorld(t *testing.T, change func(*pgsql.Config)) *world {
	t.Helper()
	t.Parallel()
	base, schema := needs.Env(t, "LEDGER_TEST_POSTGRES"), fmt.Sprintf("wxrefund_test_%x", rand.Uint64())
	admin(t, base, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { admin(t, base, "DROP SCHEMA "+schema+" CASCADE") })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "search_path=" + schema
	c := pgsql.Config{Database: u.String(), Seed: 1}
	if change != nil {
		change(&c)
	}
	d, err := pgsql.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, door: d, server: httptest.NewServer(d), url: u.String()}
	t.Cleanup(func() { d.Close(); w.server.Close() })
	return w
}

func admin(t *testing.T, base, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, text); err != nil {
		t.Error(err)
	}
}

// send posts a body and returns the status and what came.
func (w *world) send(body string) (int, string, error) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL+pgsql.Path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer key")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.Header.Get("X-Request-Id") == "" {
		w.t.Error("no X-Request-Id")
	}
	return resp.StatusCode, string(b), err
}

// ask has the owner run a statement.
func (w *world) ask(sql string, parameters ...any) (int, string) {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"sql": sql, "parameters": parameters, "role": pgsql.RoleOwner})
	if err != nil {
		w.t.Fatal(err)
	}
	status, answer, err := w.send(string(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return status, answer
}

func (w *world) rows(sql string, parameters ...any) string {
	w.t.Helper()
	status, answer := w.ask(sql, parameters...)
	if status != 200 {
		w.t.Fatalf("%s: got %d %s", sql, status, answer)
	}
	return answer
}

func TestRowsAreObjectsWhoseNumbersHaveAllDigits(t *testing.T) {
	w := newWorld(t, nil)
	for sql, want := range map[string]string{
		"SELECT 9007199254740993::bigint AS wide, 'a\"b' AS text, NULL AS none, true AS yes": `[{"wide":9007199254740993,"text":"a\"b","none":null,"yes":true}]`,
		`SELECT '{"b":[1]}'::jsonb AS j, '\x00ff'::bytea AS raw, 1.50 AS n`:                  `[{"j":{"b": [1]},"raw":"\\x00ff","n":1.50}]`,
		"SELECT 'NaN'::float8 AS n, '2026-01-02'::date AS d":                                 `[{"n":"NaN","d":"2026-01-02"}]`,
		"SELECT 1 AS n WHERE false":                                                          `[]`,
		"CREATE TABLE t (a int)":                                                             `[]`,
		"DO $$ BEGIN PERFORM 1; END $$":                                                      `[]`,
		"SELECT n FROM generate_series(1,2) AS n":                                            `[{"n":1},{"n":2}]`,
	} {
		if got := w.rows(sql); normal(got) != normal(want) {
			t.Errorf("%s:\ngot  %s\nwant %s", sql, got, want)
		}
	}
	if got, want := w.rows("SELECT $1::text::bigint + 1 AS n, $2::text AS s, $3::text AS none", "41", true, nil), `[{"n":42,"s":"true","none":null}]`; got != want {
		t.Errorf("with parameters: got %s, want %s", got, want)
	}
}

func normal(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

// Each call is a transaction of its own, whatever it says.
func TestACallIsAWholeTransaction(t *testing.T) {
	w := newWorld(t, nil)
	w.rows("CREATE TABLE t (a int PRIMARY KEY)")
	w.rows("BEGIN")
	w.rows("INSERT INTO t VALUES (1)")
	w.rows("ROLLBACK")
	if got := w.rows("INSERT INTO t VALUES (2) RETURNING a"); got != `[{"a":2}]` {
		t.Errorf("got %s", got)
	}
	if status, _ := w.ask("INSERT INTO t SELECT n FROM generate_series(3, 1, -1) AS n"); status != 400 {
		t.Errorf("a statement that fails in its middle: got %d", status)
	}
	if got, want := w.rows("SELECT a FROM t ORDER BY a"), `[{"a":1},{"a":2}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRefusalsHaveTheDocumentedCodes(t *testing.T) {
	w := newWorld(t, nil)
	w.rows("CREATE TABLE t (a int PRIMARY KEY)")
	w.rows("INSERT INTO t VALUES (1)")
	for _, test := range []struct {
		name, body, code string
		status           int
	}{
		{"several statements", `{"sql":"SELECT 1; SELECT 2","role":"cloudbase_postgres"}`, "DATABASE_42601", 400},
		{"no such table", `{"sql":"SELECT * FROM nothing","role":"cloudbase_postgres"}`, "DATABASE_42P01", 400},
		{"a key twice", `{"sql":"INSERT INTO t VALUES (1)","role":"cloudbase_postgres"}`, "DATABASE_23505", 400},
		{"a reader writes", `{"sql":"INSERT INTO t VALUES (2)"}`, "DATABASE_25006", 400},
		{"one parameter too few", `{"sql":"SELECT $1::text","role":"cloudbase_postgres"}`, "DATABASE_EXEC_ERROR", 400},
		{"one too many", `{"sql":"SELECT 1","parameters":["a"],"role":"cloudbase_postgres"}`, "DATABASE_EXEC_ERROR", 400},
		{"another role", `{"sql":"SELECT 1","role":"postgres"}`, "INVALID_PARAM", 400},
		{"no statement", `{"role":"cloudbase_postgres"}`, "INVALID_PARAM", 400},
		{"no JSON", `sql`, "INVALID_PARAM", 400},
		{"parameters that are no array", `{"sql":"SELECT 1","parameters":{}}`, "INVALID_PARAM", 400},
		{"a parameter that is an object", `{"sql":"SELECT $1::text","parameters":[{}]}`, "INVALID_PARAM", 400},
		{"a parameter with a zero byte", `{"sql":"SELECT $1::text","parameters":["\u0000"]}`, "INVALID_PARAM", 400},
	} {
		status, answer, err := w.send(test.body)
		var got struct{ Code, Message, RequestID string }
		if err == nil {
			err = json.Unmarshal([]byte(answer), &got)
		}
		if err != nil || status != test.status || got.Code != test.code || got.Message == "" || got.RequestID == "" {
			t.Errorf("%s: got %d %s, %v, want %d %s", test.name, status, answer, err, test.status, test.code)
		}
	}
}

func TestOnlyAdministratorsAreLetIn(t *testing.T) {
	w := newWorld(t, func(c *pgsql.Config) {
		c.Allow = func(r *http.Request, body []byte) bool {
			return r.Header.Get("Authorization") == "Bearer right" && bytes.Contains(body, []byte("sql"))
		}
	})
	for header, want := range map[string]int{"": 401, "Bearer wrong": 401, "Bearer right": 200, "Bearer ": 401} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pgsql.Path, strings.NewReader(`{"sql":"SELECT 1 AS n"}`))
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		rec := httptest.NewRecorder()
		w.door.ServeHTTP(rec, r)
		if rec.Code != want {
			t.Errorf("%q: got %d %s, want %d", header, rec.Code, rec.Body, want)
		}
	}
}

// A platform that opens whatever is made to visitors is what a ledger has to close.
func TestWhatIsMadeIsOpenToVisitorsUntilItIsClosed(t *testing.T) {
	w := newWorld(t, nil)
	w.rows("CREATE TABLE t (a int)")
	ask := `SELECT has_table_privilege('anon', 't', 'SELECT') AS anon, has_table_privilege('authenticated', 't', 'INSERT') AS authenticated`
	if got, want := w.rows(ask), `[{"anon":true,"authenticated":true}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.rows("REVOKE ALL ON t FROM anon, authenticated")
	if got, want := w.rows(ask), `[{"anon":false,"authenticated":false}]`; got != want {
		t.Errorf("after REVOKE: got %s, want %s", got, want)
	}
}

func TestAFaultStrikesOnceAndSaysTheTruthAboutTheWrite(t *testing.T) {
	w := newWorld(t, nil)
	w.rows("CREATE TABLE t (name text)")
	for _, test := range []struct {
		fault   pgsql.Fault
		status  int // 0: no answer
		written bool
	}{
		{pgsql.LostBefore, 0, false}, {pgsql.LostAfter, 0, true}, {pgsql.Hang, 0, false}, {pgsql.HangAfter, 0, true},
		{pgsql.ExecError, 400, false}, {pgsql.ExecErrorAfter, 400, true}, {pgsql.Internal, 500, false}, {pgsql.InternalAfter, 500, true},
		{pgsql.Limited, 429, false}, {pgsql.Unauthorized, 401, false}, {pgsql.Forbidden, 403, false}, {pgsql.Object, 200, false},
	} {
		w.door.Fail("INSERT", test.fault)
		w.rows("SELECT 1 AS n") // has not the text
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if test.status != 0 {
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
		}
		body := fmt.Sprintf(`{"sql":"INSERT INTO t VALUES ('%s')","role":"cloudbase_postgres"}`, test.fault)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer key")
		status := 0
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			status = resp.StatusCode
			resp.Body.Close()
		}
		cancel()
		count := w.rows("SELECT count(*) AS n FROM t WHERE name = $1::text", string(test.fault))
		if written := count == `[{"n":1}]`; status != test.status || written != test.written || w.door.Pending() != 0 {
			t.Errorf("%s: got status %d, %v, written %t; want %d, %t", test.fault, status, err, written, test.status, test.written)
		}
	}
	if got, want := len(pgsql.Faults()), 12; got != want {
		t.Errorf("%d faults are known and %d tried", got, want)
	}
}

func TestCallsFailNowAndThenAtTheRate(t *testing.T) {
	w := newWorld(t, func(c *pgsql.Config) { c.Rate = 0.5 })
	failed := 0
	for range 60 {
		if status, _, err := w.send(`{"sql":"SELECT 1 AS n"}`); err != nil || status != 200 {
			failed++
		}
	}
	if failed < 15 || failed > 45 {
		t.Errorf("%d of 60 calls failed at a rate of 0.5", failed)
	}
	if got := w.door.Calls(); got != 60 {
		t.Errorf("Calls is %d, want 60", got)
	}
}

// Many doors may open at once before one server, whose roles are shared.
func TestDoorsOpenAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			d, err := pgsql.New(pgsql.Config{Database: w.url})
			if err != nil {
				t.Error(err)
				return
			}
			d.Close()
		})
	}
	wg.Wait()
}

func TestCloseEndsWhoHangs(t *testing.T) {
	w := newWorld(t, nil)
	w.door.Fail("SELECT", pgsql.Hang)
	gone := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL, strings.NewReader(`{"sql":"SELECT 1"}`))
		if err == nil {
			r.Header.Set("Authorization", "Bearer key")
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		}
		gone <- err
	}()
	for w.door.Calls() == 0 {
		time.Sleep(time.Millisecond)
	}
	w.door.Close()
	if err := <-gone; err == nil {
		t.Error("it was answered")
	}
}

func TestAWrongDatabaseIsNamedWithoutItsURL(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"postgres://user:tiger@127.0.0.1:1/x", "://tiger", "postgres://user:tig er@h/x"} {
		_, err := pgsql.New(pgsql.Config{Database: u})
		if err == nil || strings.Contains(err.Error(), "tig") {
			t.Errorf("%q: got %v", u, err)
		}
	}
}

// What a client who has gone asked for does not go on in the database.
func TestWhoGoesLeavesNothingRunning(t *testing.T) {
	w := newWorld(t, nil)
	mark := fmt.Sprintf("gone %x", rand.Uint64())
	running := "SELECT count(*) AS n FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%' || $1::text || '%'"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL, strings.NewReader(`{"sql":"SELECT pg_sleep(12) /* `+mark+` */","role":"cloudbase_postgres"}`))
		if err == nil {
			r.Header.Set("Authorization", "Bearer key")
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		}
		gone <- err
	}()
	counts := func(want string) bool {
		for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if w.count(running, mark) == want {
				return true
			}
		}
		return false
	}
	if !counts("1") {
		t.Fatal("it never ran")
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("it was answered")
	}
	if !counts("0") {
		t.Error("it still runs")
	}
}

// count asks as the administrator, who sees what others do.
func (w *world) count(sql, parameter string) (n string) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(w.t.Context())
	if err := conn.QueryRow(w.t.Context(), "SELECT n::text FROM ("+sql+") AS counted", parameter).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// Once there are the roles, no superuser is needed; who may not enough is told what lacks.
func TestAMemberOfTheRolesNeedsNoMore(t *testing.T) {
	w := newWorld(t, nil)
	u, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	schema, name := u.Query().Get("search_path"), fmt.Sprintf("wxrefund_test_%x", rand.Uint64())
	admin(t, w.url, "CREATE ROLE "+name+" LOGIN PASSWORD 'tiger'; ALTER SCHEMA "+schema+" OWNER TO "+name)
	t.Cleanup(func() {
		admin(t, w.url, "ALTER SCHEMA "+schema+" OWNER TO CURRENT_USER; DROP OWNED BY "+name+"; DROP ROLE "+name)
	})
	u.User = url.UserPassword(name, "tiger")
	if _, err := pgsql.New(pgsql.Config{Database: u.String()}); err == nil || !strings.Contains(err.Error(), "member of cloudbase_postgres") || strings.Contains(err.Error(), "tiger") {
		t.Errorf("no member: got %v", err)
	}
	admin(t, w.url, "GRANT cloudbase_postgres, cloudbase_read_only_user TO "+name)
	d, err := pgsql.New(pgsql.Config{Database: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pgsql.Path, strings.NewReader(`{"sql":"CREATE TABLE made AS SELECT current_user::text AS name","role":"cloudbase_postgres"}`))
	r.Header.Set("Authorization", "Bearer key")
	d.ServeHTTP(rec, r)
	if got, want := w.rows("SELECT name FROM made"), `[{"name":"cloudbase_postgres"}]`; rec.Code != 200 || got != want {
		t.Errorf("got %d %s, then %s", rec.Code, rec.Body, got)
	}
	// The schema of somebody else, who has not let the owner's role in.
	admin(t, w.url, "ALTER SCHEMA "+schema+" OWNER TO CURRENT_USER; REVOKE ALL ON SCHEMA "+schema+" FROM cloudbase_postgres")
	if _, err := pgsql.New(pgsql.Config{Database: u.String()}); err == nil || !strings.Contains(err.Error(), "owns the schema") {
		t.Errorf("not the owner: got %v", err)
	}
	u.RawQuery = "search_path=" + name
	if _, err := pgsql.New(pgsql.Config{Database: u.String()}); err == nil || !strings.Contains(err.Error(), "search_path is there") {
		t.Errorf("no schema: got %v", err)
	}
}

// PostgreSQL has few connections, for all doors before it: calls wait for one, and each
// begins anew in it.
func TestMoreCallsThanConnectionsWaitForEachOther(t *testing.T) {
	w := newWorld(t, nil)
	u, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("wxrefund_test_%x", rand.Uint64())
	admin(t, w.url, "CREATE ROLE "+name+" LOGIN PASSWORD 'tiger' CONNECTION LIMIT 3 IN ROLE cloudbase_postgres, cloudbase_read_only_user; ALTER SCHEMA "+u.Query().Get("search_path")+" OWNER TO "+name)
	t.Cleanup(func() {
		admin(t, w.url, "ALTER SCHEMA "+u.Query().Get("search_path")+" OWNER TO CURRENT_USER; DROP OWNED BY "+name+"; DROP ROLE "+name)
	})
	u.User = url.UserPassword(name, "tiger")
	few, err := pgsql.New(pgsql.Config{Database: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	var wg sync.WaitGroup
	for n, d := range map[int]*pgsql.Door{100: w.door, 30: few} {
		for range n {
			wg.Go(func() {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pgsql.Path,
					strings.NewReader(`{"sql":"SELECT set_config('a.b', coalesce(current_setting('a.b', true), '') || 'x', false) AS here, pg_sleep(0.02)::text AS slept","role":"cloudbase_postgres"}`))
				r.Header.Set("Authorization", "Bearer key")
				rec := httptest.NewRecorder()
				d.ServeHTTP(rec, r)
				if got, want := rec.Body.String(), `[{"here":"x","slept":""}]`; rec.Code != 200 || got != want {
					t.Errorf("one of %d: got %d %s, want %s", n, rec.Code, got, want)
				}
			})
		}
	}
	wg.Wait()
}

// Whatever is sent, the answer is rows or a refusal with a code.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{`{"sql":"SELECT 1"}`, `{"sql":"SELECT $1::text","parameters":[1,"a",null,true,1e3]}`, `{"sql":1}`, `[]`, `{"sql":"a","sql":"b"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, code := pgsql.ReadRequest(body)
		switch {
		case code == "" && (strings.TrimSpace(q.SQL) == "" || q.Role != pgsql.RoleOwner && q.Role != pgsql.RoleReader):
			t.Errorf("%q was let in as %+v", body, q)
		case code != "" && code != "INVALID_PARAM":
			t.Errorf("%q: code %q", body, code)
		case code == "" && !json.Valid(body):
			t.Errorf("%q is no JSON", body)
		}
		if code == "" {
			if diff := cmp.Diff(len(q.Parameters), q.Values()); diff != "" {
				t.Error(diff)
			}
		}
	})
}
