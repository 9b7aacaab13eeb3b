package ledger

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/pgsql"
)

// cloudbaseBackend is the stand-in of CloudBase's HTTP API over a real PostgreSQL.
var cloudbaseBackend = backend{
	name: "cloudbase", scheme: "cloudbase", schema: "postgres", env: "LEDGER_TEST_POSTGRES", url: freshCloudBase, remote: true, slow: true,
}

const cloudbaseKey = "the-stand-in-s-own-key"

// freshCloudBase makes a schema for one test, and a stand-in before it.
func freshCloudBase(t testing.TB, env string) string {
	url, _ := cloudbaseDoor(t, env)
	return url
}

// cloudbaseDoor returns the URL of an empty ledger, and the stand-in that it goes to. The
// endpoint's path says which database is behind it.
func cloudbaseDoor(t testing.TB, env string) (string, *pgsql.Door) {
	t.Helper()
	return cloudbaseOver(t, freshPostgres(t, env))
}

// cloudbaseOver is a stand-in before the database of a URL.
func cloudbaseOver(t testing.TB, database string) (string, *pgsql.Door) {
	t.Helper()
	door, err := pgsql.New(pgsql.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	path := "/" + hex.EncodeToString([]byte(database))
	server := httptest.NewServer(http.StripPrefix(path, door))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := door.Close(); err != nil {
			t.Error(err)
		}
	})
	return "cloudbase:stand-in?endpoint=" + server.URL + path, door
}

// overConnection is the URL of the same ledger over a connection, as the role that the
// HTTP API has.
func overConnection(t testing.TB, address string) string {
	t.Helper()
	return withQuery(t, behind(t, address), "role", "cloudbase_postgres")
}

// behind is the URL of the database behind a stand-in, as the one who made it.
func behind(t testing.TB, address string) string {
	t.Helper()
	_, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := values.Get("endpoint")
	database, err := hex.DecodeString(endpoint[strings.LastIndex(endpoint, "/")+1:])
	if err != nil {
		t.Fatal(err)
	}
	return string(database)
}
