package process

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/ledger"
	"wxrefund/shared/needs"
	"wxrefund/shared/sandbox/pgsql"
	"wxrefund/shared/secret"
)

// A CloudBase is an environment at CloudBase as far as a ledger sees it: exec-pgsql of its
// HTTP API, over a PostgreSQL of its own.
type CloudBase struct {
	t    testing.TB
	Key  string // CLOUDBASE_APIKEY
	URL  string // LEDGER_URL
	TCP  string // of the same database as a ledger without the HTTP API
	Door *pgsql.Door

	mu      sync.Mutex
	calls   int // so far
	strikes []strike
	lent    []lentPair // that count
	slow    time.Duration
}

// A lentPair is a key pair that the platform has lent to a request.
type lentPair struct {
	id    string
	key   string
	token string
}

// A strike is a fault of the calls of a range, by their numbers.
type strike struct {
	first, last int
	fault       pgsql.Fault
}

// StartCloudBase makes one over the server that LEDGER_TEST_POSTGRES names, until the
// test ends. Its database is empty.
func StartCloudBase(t testing.TB) *CloudBase {
	t.Helper()
	return startCloudBase(t, httptest.NewServer)
}

func startCloudBase(t testing.TB, serve func(http.Handler) *httptest.Server) *CloudBase {
	t.Helper()
	k, err := keys() // the sandbox's gateway knows the same key
	if err != nil {
		t.Fatal(err)
	}
	c := &CloudBase{t: t, Key: k.CloudBaseKey.Reveal(), TCP: newDatabase(t)}
	door, err := pgsql.New(pgsql.Config{Database: c.TCP, Allow: c.isAdministrator})
	if err != nil {
		t.Fatal(err)
	}
	c.Door = door
	server := serve(c)
	t.Cleanup(func() {
		server.CloseClientConnections() // some may hang
		server.Close()
		if err := door.Close(); err != nil {
			t.Errorf("exec-pgsql: %v", err)
		}
	})
	c.URL = c.at(server.URL)
	return c
}

// startTLS serves TLS, as CloudBase does. The variable that it returns has a process trust it.
func startTLS(t testing.TB) (c *CloudBase, trust string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	c = startCloudBase(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewTLSServer(h)
		b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return s
	})
	return c, "SSL_CERT_FILE=" + file
}

// at is the ledger's URL where the HTTP API is at another address.
func (c *CloudBase) at(endpoint string) string { return "cloudbase:env-test?endpoint=" + endpoint }

// newDatabase makes a database and drops it when the test ends.
func newDatabase(t testing.TB) string {
	t.Helper()
	server := needs.Env(t, "LEDGER_TEST_POSTGRES")
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := "process_" + strings.ToLower(rand.Text())
	run := func(statement string) {
		conn, err := pgx.Connect(context.Background(), server)
		if err == nil {
			_, err = conn.Exec(context.Background(), statement)
			_ = conn.Close(context.Background()) // what was said of the statement counts
		}
		if err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	run("CREATE DATABASE " + name)
	t.Cleanup(func() { run("DROP DATABASE " + name + " WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

// ServeHTTP is exec-pgsql, with the faults that were asked for.
func (c *CloudBase) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls++
	for _, s := range c.strikes {
		if s.first <= c.calls && c.calls <= s.last {
			c.Door.Fail("", s.fault)
			break
		}
	}
	slow := c.slow
	c.mu.Unlock()
	time.Sleep(slow)
	c.Door.ServeHTTP(w, r)
}

// isAdministrator tells whether a call has the key, or is signed with what was lent.
func (c *CloudBase) isAdministrator(r *http.Request, body []byte) bool {
	authorization := r.Header.Get("Authorization")
	if strings.HasPrefix(authorization, "Bearer ") {
		return authorization == "Bearer "+c.Key
	}
	credential, err := cloudbase.ParseAPITC3(authorization)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lent {
		if l.id == credential.SecretID && l.token == credential.Token.Reveal() {
			u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}
			return credential.Verify(l.key, r.Method, u, r.Header, body, time.Now()) == nil
		}
	}
	return false
}

// Lend returns the variables of a key pair that the platform injects into a request. It
// counts until [CloudBase.Expire].
func (c *CloudBase) Lend() map[string]string {
	l := lentPair{"AKID" + rand.Text(), rand.Text(), rand.Text()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lent = append(c.lent, l)
	return map[string]string{"TENCENTCLOUD_SECRETID": l.id, "TENCENTCLOUD_SECRETKEY": l.key, "TENCENTCLOUD_SESSIONTOKEN": l.token}
}

// Expire takes back whatever was lent.
func (c *CloudBase) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lent = nil
}

// Strike has n calls suffer a fault, from the first-th from now on; the next one is 1.
func (c *CloudBase) Strike(first, n int, fault pgsql.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.strikes = append(c.strikes, strike{c.calls + first, c.calls + first + n - 1, fault})
}

// Slow has every call take so much longer.
func (c *CloudBase) Slow(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow = by
}

// Heal takes back what has not struck yet.
func (c *CloudBase) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.strikes = nil
}

// Calls returns how many calls there were.
func (c *CloudBase) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// Migrate brings the schema up to date, as the first call of a function would do.
func (c *CloudBase) Migrate() {
	c.t.Helper()
	server := httptest.NewServer(c) // whose certificate, if there is one, this process need not trust
	defer server.Close()
	store, err := ledger.Open(c.t.Context(), c.at(server.URL), ledger.WithCredentials(c.Credentials))
	if err != nil {
		c.t.Fatal(err)
	}
	defer store.Close()
	if _, _, err := store.Schema(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// Credentials are those with the key, for [ledger.WithCredentials].
func (c *CloudBase) Credentials(context.Context) (cloudbase.Credentials, error) {
	return cloudbase.Credentials{APIKey: secret.Text(c.Key)}, nil
}

// At moves a world's functions to a ledger at CloudBase, with the key for it.
func (w *World) At(c *CloudBase) {
	w.Ledger, w.store = "", c.TCP
	w.Env = w.With("LEDGER_URL="+c.URL, "CLOUDBASE_APIKEY="+c.Key)
}
