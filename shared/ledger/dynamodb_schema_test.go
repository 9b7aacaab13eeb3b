//go:build dynamodb || !slim

package ledger

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"wxrefund/shared/refund"
)

// openKnowing opens a table as a program does that knows another schema.
func openKnowing(t *testing.T, url string, known int) *Store {
	t.Helper()
	s := open(t, url)
	s.store.(*dynamo).known = known
	return s
}

// marked is the schema that a table says it has.
func marked(t *testing.T, url string) int {
	t.Helper()
	stored, err := open(t, url).store.(*dynamo).readSchema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// D12: a table from before there was a marker, or with an older one, gets that of
// the program which comes first, once, and keeps what is in it.
func TestOlderSchemaOfDynamoDBIsUpgradedOnce(t *testing.T) {
	url := freshOf(t, "dynamodb")
	before := open(t, url)
	before.store.(*dynamo).marker.done.Store(true) // the program from before there was a marker
	commit(t, before, dueItem("a", 0, "A", at(0)), item("b", 0, "B"))
	if got := marked(t, url); got != 0 {
		t.Fatalf("schema %d before anything has looked", got)
	}
	for schema := 1; schema <= 3; schema++ {
		var mu sync.Mutex
		written := 0
		children := []*child{}
		if schema == dynamoSchema {
			for range 3 {
				children = append(children, startChild(t, "first", url))
			}
		}
		together(6, func(i int) {
			if i < len(children) {
				children[i].start.Close()
				return
			}
			s := openKnowing(t, url, schema)
			s.store.(*dynamo).http.Transport = wire(func(_ *http.Request, op, body string, send func() (*http.Response, error)) (*http.Response, error) {
				response, err := send()
				if err == nil && op == "PutItem" && strings.Contains(body, schemaMarker) && response.StatusCode == http.StatusOK {
					mu.Lock()
					written++
					mu.Unlock()
				}
				return response, err
			})
			if err := s.Commit(t.Context(), item(fmt.Sprintf("%d/%d", schema, i), 0, "")); err != nil {
				t.Error(err)
			}
		})
		for _, c := range children {
			c.finish(t)
		}
		if got := marked(t, url); got != schema || written > 1 || written == 0 && len(children) == 0 {
			t.Errorf("schema %d, written %d times, want %d and once", got, written, schema)
		}
	}
	s := openKnowing(t, url, 3)
	same(t, "kept", get(t, s, "a", "b", "3/0"), []refund.Item{dueItem("a", 1, "A", at(0)), item("b", 1, "B"), item("3/0", 1, "")})
	// The program from before goes on; the marker is no item that is ever due.
	commit(t, before, dueItem("a", 1, "AA", at(1)))
	if got := pages(t, s, at(9), 10); len(got) != 1 || len(got[0]) != 1 || got[0][0] != "a" {
		t.Errorf("listed %v, want a", got)
	}
}

// D12: a newer one is a clear error, of every call, and is left as it is.
func TestNewerSchemaOfDynamoDBIsRefusedAndLeftAlone(t *testing.T) {
	url := freshOf(t, "dynamodb")
	commit(t, openKnowing(t, url, dynamoSchema+1), item("a", 0, "A"))
	want := fmt.Sprintf("the database has schema %d, this program works with schemas up to %d: it needs a newer program", dynamoSchema+1, dynamoSchema)
	for name, call := range everyCall {
		if err := call(t.Context(), open(t, url)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	if got := marked(t, url); got != dynamoSchema+1 {
		t.Errorf("schema %d, want it left", got)
	}
	same(t, "left as it was", get(t, openKnowing(t, url, dynamoSchema+1), "a", "b"), []refund.Item{item("a", 1, "A"), {Key: "b"}})
}

// A marker that is none, and a table that is none: both are said, and the next
// call looks again.
func TestDynamoDBBadMarkerIsRefusedUntilItIsGone(t *testing.T) {
	url := freshOf(t, "dynamodb")
	s := open(t, url)
	d := s.store.(*dynamo)
	put := func(schema string) {
		t.Helper()
		item := keyed(schemaMarker)
		item["schema"] = text(schema)
		if _, err := d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &d.table, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	for range 2 {
		if _, err := s.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "the table is not ours") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := d.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &d.table, Key: keyed(schemaMarker)}); err != nil {
		t.Fatal(err)
	}
	same(t, "then", get(t, s, "a"), []refund.Item{{Key: "a"}})
	if got := marked(t, url); got != dynamoSchema {
		t.Errorf("schema %d, want %d", got, dynamoSchema)
	}
}

// An answer to the marker's writing is lost, and another program writes one
// between our look and our writing.
func TestDynamoDBMarkerIsWrittenOnceDespiteRacesAndLosses(t *testing.T) {
	for _, op := range []string{"GetItem", "PutItem"} {
		url := dynamodbBackend.fresh(t)
		s := open(t, url)
		lost := false
		s.store.(*dynamo).http.Transport = wire(func(_ *http.Request, got, _ string, send func() (*http.Response, error)) (*http.Response, error) {
			if got == "PutItem" && op == "GetItem" && !lost {
				lost = true
				commit(t, open(t, url), item("faster", 0, ""))
			}
			response, err := send()
			if got == "PutItem" && op == "PutItem" && !lost {
				lost = true
				return nil, fmt.Errorf("the answer is lost")
			}
			return response, err
		})
		same(t, op, get(t, s, "a"), []refund.Item{{Key: "a"}})
		if got := marked(t, url); got != dynamoSchema || !lost {
			t.Errorf("%s: schema %d, want %d", op, got, dynamoSchema)
		}
	}
}
