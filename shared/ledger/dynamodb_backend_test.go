package ledger

import (
	"crypto/rand"
	"strings"
	"testing"
)

// dynamodbBackend needs DynamoDB Local, by a URL like
// dynamodb://any?endpoint=http://127.0.0.1:8000&create=true. It is gone with
// what it keeps in memory: nobody deletes the tables.
var dynamodbBackend = backend{
	name: "dynamodb", scheme: "dynamodb", env: "LEDGER_TEST_DYNAMODB", url: dynamodbURL, maxBody: 350 << 10, remote: true,
}

// dynamodbURL puts a table of the test's own into a URL.
func dynamodbURL(t testing.TB, env string) string {
	t.Helper()
	_, query, ok := strings.Cut(env, "?")
	if !ok || !strings.HasPrefix(env, "dynamodb://") {
		t.Fatalf("LEDGER_TEST_DYNAMODB is %q, want dynamodb://any?endpoint=URL&create=true", env)
	}
	return "dynamodb://test-" + rand.Text() + "?" + query
}
