//go:build dynamodb || !slim

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// classlessTable makes the table of a URL as it was before there were classes, and returns
// the URL by which functions open it.
func classlessTable(t testing.TB, url string) string {
	t.Helper()
	plain := strings.Replace(url, "create=true", "create=false", 1)
	d := open(t, plain).store.(*dynamo)
	_, err := d.client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &d.table, KeySchema: tableKeys, BillingMode: types.BillingModePayPerRequest, AttributeDefinitions: definitions(tableKeys, dueKeys),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("due"), KeySchema: dueKeys, Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// olderTable makes a table as it was before there were classes; plain opens it as
// functions do, creating with create=true.
func olderTable(t *testing.T) (plain, creating string) {
	t.Helper()
	creating = dynamodbBackend.fresh(t)
	return classlessTable(t, creating), creating
}

// What the index of classes costs in write units, by DynamoDB Local's account of
// transactions: two for an item's first class, four for another; nothing for a write that leaves it, and
// for an item without.
func TestDynamoDBClassCostsOnlyWhereItChanges(t *testing.T) {
	t.Parallel()
	with := open(t, dynamodbBackend.fresh(t))
	plain, _ := olderTable(t)
	without := open(t, plain)
	units := func(s *Store, items ...refund.Item) float64 {
		t.Helper()
		d := s.store.(*dynamo)
		var puts []types.TransactWriteItem
		for _, i := range items {
			puts = append(puts, types.TransactWriteItem{Put: &types.Put{TableName: &d.table, Item: stored(i, "commit")}})
		}
		out, err := d.client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{
			TransactItems: puts, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err != nil || len(out.ConsumedCapacity) != 1 {
			t.Fatal(out, err)
		}
		return aws.ToFloat64(out.ConsumedCapacity[0].CapacityUnits)
	}
	body := strings.Repeat("x", 900)
	for _, step := range []struct {
		name string
		item refund.Item
		want float64
	}{
		{"claimed", classItem("a", 0, body, "pending", at(0)), 2},
		{"asked about", classItem("a", 1, body+"x", "pending", at(0)), 0},
		{"settled", classItem("a", 2, body, "success", at(0)), 4},
		{"delivered", classItem("a", 3, body+"x", "success", at(0)), 0},
		{"an account", item("b", 0, body), 0},
	} {
		bare := step.item
		bare.Class, bare.At = "", never
		before := units(without, bare)
		if got := units(with, step.item) - before; got != step.want {
			t.Errorf("%s: %v units more than %v, want %v", step.name, got, before, step.want)
		}
	}
}

// schemaIs insists on what Schema answers.
func schemaIs(t *testing.T, s *Store, wantHave, wantWant int) {
	t.Helper()
	if have, want, err := s.Schema(t.Context()); have != wantHave || want != wantWant || err != nil {
		t.Errorf("schema %d of %d, %v; want %d of %d", have, want, err, wantHave, wantWant)
	}
}

// In a table from before there were classes everything works but to list by them,
// which says what to do; once the index is added, it has what was written meanwhile.
func TestOlderTableOfDynamoDBWorksAndGetsTheIndexOfClasses(t *testing.T) {
	t.Parallel()
	plain, _ := olderTable(t)
	s := open(t, plain)
	commit(t, s, classItem("a", 0, "A", "open", at(1)))
	commit(t, s, classItem("b", 0, "B", "shut", at(2)), dueItem("c", 0, "C", at(3)))
	commit(t, s, classItem("a", 1, "AA", "open!", at(1)))
	same(t, "written", get(t, s, "a", "b"), []refund.Item{classItem("a", 2, "AA", "open!", at(1)), classItem("b", 1, "B", "shut", at(2))})
	if got := pages(t, s, at(9), 5); !cmp.Equal(got, [][]string{{"c"}}) {
		t.Errorf("due: got %v", got)
	}
	if got := slices.Sorted(slices.Values(slices.Concat(pagesOf(t, s, refund.Everything(), 5)...))); !cmp.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("everything: got %v", got)
	}
	classes := refund.Recent(never, never, "open!", "shut")
	for _, err := range []error{
		third(s.List(t.Context(), classes, "", 1)),
		second(s.Count(t.Context(), classes)),
	} {
		if want := `has no index "class" yet: deploy template.yaml anew, or add it as shared/ledger/README.md says under "Upgrade"`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	schemaIs(t, s, 1, 2)

	// Several operators at once, and one again.
	together(3, func(int) {
		if err := open(t, plain).AddIndexes(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if err := s.AddIndexes(t.Context()); err != nil {
		t.Error(err)
	}
	schemaIs(t, s, 2, 2)
	if got := pagesOf(t, s, classes, 5); !cmp.Equal(got, [][]string{{"b", "a"}}) || counted(t, s, classes) != 2 {
		t.Errorf("got %v, want b and a", got)
	}
	if got := marked(t, plain); got != dynamoSchema {
		t.Errorf("the items have schema %d, want %d as before", got, dynamoSchema)
	}
}

// create=true adds the index too, and does not keep those who open the table waiting.
func TestOlderTableOfDynamoDBGetsTheIndexWhenItIsOpenedToBeCreated(t *testing.T) {
	t.Parallel()
	plain, creating := olderTable(t)
	commit(t, open(t, plain), classItem("a", 0, "A", "open", at(1)))
	together(4, func(int) {
		s, err := Open(t.Context(), creating)
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		if err := s.AddIndexes(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if got := pagesOf(t, open(t, plain), refund.Recent(never, never, "open"), 5); !cmp.Equal(got, [][]string{{"a"}}) {
		t.Errorf("got %v, want a", got)
	}
}

// description is what DescribeTable says of a table whose index of classes has a status.
func description(status string) string {
	index := func(name, status, partition, sort string) string {
		return fmt.Sprintf(`{"IndexName":%q,"IndexStatus":%q,"KeySchema":[{"AttributeName":%q,"KeyType":"HASH"},{"AttributeName":%q,"KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}}`,
			name, status, partition, sort)
	}
	indexes := index("due", "ACTIVE", "due_shard", "due_place")
	if status != "" {
		indexes += "," + index("class", status, "class", "class_place")
	}
	var kinds []string
	for _, name := range []string{"item_key", "due_shard", "due_place", "class", "class_place"} {
		kinds = append(kinds, fmt.Sprintf(`{"AttributeName":%q,"AttributeType":"S"}`, name))
	}
	return fmt.Sprintf(`{"Table":{"TableStatus":"UPDATING","KeySchema":[{"AttributeName":"item_key","KeyType":"HASH"}],"AttributeDefinitions":[%s],"GlobalSecondaryIndexes":[%s]}}`,
		strings.Join(kinds, ","), indexes)
}

// While the index is made, and for a function that may not look at the table, the error
// says what is known.
func TestDynamoDBIndexOfClassesThatCannotBeReadIsExplained(t *testing.T) {
	for name, test := range map[string]struct{ status, want string }{
		"being made":  {"CREATING", `index "class" of table "scripted" is still being made (CREATING)`},
		"missing":     {"", `table "scripted" has no index "class" yet`},
		"not looked":  {"denied", `index "class" of table "scripted", which shared/ledger/README.md says under "Upgrade" how to add: `},
		"not the why": {"ACTIVE", "ValidationException"},
	} {
		s := scripted(t, func(_ *http.Request, op, _ string, _ func() (*http.Response, error)) (*http.Response, error) {
			switch {
			case op == "Query":
				return refusal("ValidationException")
			case test.status == "denied":
				return refusal("AccessDeniedException")
			}
			return answer(http.StatusOK, description(test.status))
		})
		_, _, err := s.List(t.Context(), refund.Recent(never, never, "open"), "", 1)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "ValidationException") {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		// What is due has nothing to do with it.
		if _, _, err := s.List(t.Context(), refund.DueBy(at(0)), "", 1); err == nil || strings.Contains(err.Error(), `"class"`) {
			t.Errorf("%s, due: got %v", name, err)
		}
	}
}

// An index of classes takes hours on a large table, and nothing but the context ends the
// wait for it (twenty minutes stand for the hours, of which it looks every half second),
// and the index is asked for once. What is refused is an error.
func TestDynamoDBAddingTheIndexAsksOnceAndWaits(t *testing.T) {
	virtually(func(t *testing.T) {
		asked, refused := 0, ""
		var status atomic.Value // the transport reads it in goroutines of its own
		status.Store("")
		s := scripted(t, func(_ *http.Request, op, body string, _ func() (*http.Response, error)) (*http.Response, error) {
			if op != "UpdateTable" {
				return answer(http.StatusOK, description(status.Load().(string)))
			}
			if asked++; !strings.Contains(body, `"IndexName":"class"`) || !strings.Contains(body, `"ProjectionType":"KEYS_ONLY"`) {
				t.Errorf("asked for %s", body)
			}
			if refused != "" {
				return refusal(refused)
			}
			status.Store("CREATING")
			return answer(http.StatusOK, "{}")
		})
		refused = "AccessDeniedException"
		if err := s.AddIndexes(t.Context()); err == nil || !strings.Contains(err.Error(), `add index "class" to table "scripted": `) || asked != 1 {
			t.Errorf("got %v, asked %d times", err, asked)
		}
		refused = ""
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		start := time.Now()
		err := s.AddIndexes(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "is still being made") || time.Since(start) < 20*time.Minute || asked != 2 {
			t.Errorf("got %v after %v, asked %d times", err, time.Since(start), asked)
		}
		time.AfterFunc(10*time.Minute, func() { status.Store("ACTIVE") })
		if err := s.AddIndexes(t.Context()); err != nil || asked != 2 {
			t.Errorf("got %v, asked %d times", err, asked)
		}
		schemaIs(t, s, 2, 2)
	})(t)
}

// The index lags behind the table: what has left the range since is not listed, what has
// moved within it is listed once, and the page is filled up from behind.
func TestDynamoDBIndexOfClassesMayLag(t *testing.T) {
	s := open(t, freshOf(t, "dynamodb"))
	var items []refund.Item
	for i := range 8 {
		items = append(items, classItem(fmt.Sprint("k", i), 0, "", "open", at(10-i)))
	}
	commit(t, s, items...)
	index := refund.Recent(at(0), at(100), "open", "shut")
	var old [][]byte // of one class and the other, as they were
	record := true
	onWire(s, func(_ *http.Request, op, body string, send func() (*http.Response, error)) (*http.Response, error) {
		if op != "Query" {
			return send()
		}
		response, err := send()
		if err != nil || !record && len(old) == 0 {
			return response, err
		}
		got, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		if response.Body.Close(); record {
			old = append(old, got)
		} else {
			got, old = old[0], old[1:]
		}
		return answer(http.StatusOK, string(got))
	})
	if got := pagesOf(t, s, index, 4); !cmp.Equal(got, [][]string{{"k0", "k1", "k2", "k3"}, {"k4", "k5", "k6", "k7"}}) {
		t.Fatalf("got %v", got)
	}
	old, record = old[:2], false // the first page's two
	commit(t, s,
		classItem("k0", 1, "", "gone", at(10)),  // out of the classes
		classItem("k1", 1, "", "open", at(200)), // out of the time
		classItem("k2", 1, "new", "shut", at(8)))
	listed, next, err := s.List(t.Context(), index, "", 4)
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	same(t, "a page of what was", listed, []refund.Item{
		classItem("k2", 2, "new", "shut", at(8)), classItem("k3", 1, "", "open", at(7)), classItem("k4", 1, "", "open", at(6)), classItem("k5", 1, "", "open", at(5)),
	})
	if len(old) != 0 {
		t.Error("the old answers were not used")
	}
	rest, next, err := s.List(t.Context(), index, next, 4)
	if err != nil || next != "" {
		t.Fatal(next, err)
	}
	same(t, "and behind it", rest, []refund.Item{classItem("k6", 1, "", "open", at(4)), classItem("k7", 1, "", "open", at(3))})
}

// What DynamoDB leaves out of an answer is asked for again, and not without end.
func TestDynamoDBAsksAgainForWhatABatchLeavesOut(t *testing.T) {
	virtually(func(t *testing.T) {
		entry := func(i int) string {
			return fmt.Sprintf(`{"item_key":{"S":"k%02d"},"class":{"S":"open"},"class_place":{"S":%q},"version":{"N":"1"},"body":{"B":"eA=="}}`, i, place(int64(i), refund.Key(fmt.Sprintf("k%02d", i))))
		}
		var all []string
		for i := range 10 {
			all = append(all, entry(9-i))
		}
		var answers int
		stuck := false
		s := scripted(t, func(_ *http.Request, op, body string, _ func() (*http.Response, error)) (*http.Response, error) {
			if op == "Query" {
				return answer(http.StatusOK, fmt.Sprintf(`{"Count":10,"Items":[%s]}`, strings.Join(all, ",")))
			}
			answers++
			var ask struct {
				RequestItems map[string]struct {
					Keys []map[string]map[string]string
				}
			}
			if err := json.Unmarshal([]byte(body), &ask); err != nil {
				t.Error(err)
			}
			keys := ask.RequestItems["scripted"].Keys
			give := (len(keys) + 1) / 2
			if stuck {
				give = 0
			}
			var given []string
			for _, k := range keys[:give] {
				var i int
				if _, err := fmt.Sscanf(k["item_key"]["S"], "k%d", &i); err != nil {
					t.Error(err)
				}
				given = append(given, entry(i))
			}
			left := "{}"
			if give < len(keys) {
				text, _ := json.Marshal(keys[give:])
				left = fmt.Sprintf(`{"scripted":{"ConsistentRead":true,"Keys":%s}}`, text)
			}
			return answer(http.StatusOK, fmt.Sprintf(`{"Responses":{"scripted":[%s]},"UnprocessedKeys":%s}`, strings.Join(given, ","), left))
		})
		items, next, err := s.List(t.Context(), refund.Recent(never, never, "open"), "", 10)
		if err != nil || next != "" || len(items) != 10 || items[0].Key != "k09" || answers != 4 {
			t.Errorf("got %d items, next %q, %v after %d answers", len(items), next, err, answers)
		}
		stuck, answers = true, 0
		if _, _, err := s.List(t.Context(), refund.Recent(never, never, "open"), "", 10); err == nil || !strings.Contains(err.Error(), "left out 10 items") || answers != callAttempts {
			t.Errorf("got %v after %d answers", err, answers)
		}
	})(t)
}

// Of what is too much for the time of one answer half is asked for, and no more again
// within the same page: also a single item of the largest can be read on a slow line.
func TestDynamoDBAsksForLessOfWhatDoesNotComeInTime(t *testing.T) {
	for _, fits := range []int{1, 3, 10} {
		t.Run(fmt.Sprint(fits, " fit"), virtually(func(t *testing.T) {
			var all, got []string
			for i := range 10 {
				key := fmt.Sprintf("k%d", 9-i)
				all = append(all, fmt.Sprintf(`{"item_key":{"S":%q},"class":{"S":"open"},"class_place":{"S":%q},"version":{"N":"1"},"body":{"B":"eA=="}}`,
					key, place(int64(9-i), refund.Key(key))))
			}
			var late atomic.Int32
			s := scripted(t, func(req *http.Request, op, body string, _ func() (*http.Response, error)) (*http.Response, error) {
				if op == "Query" {
					return answer(http.StatusOK, fmt.Sprintf(`{"Count":10,"Items":[%s]}`, strings.Join(all, ",")))
				}
				var given []string
				for i, item := range all {
					if strings.Contains(body, fmt.Sprintf(`"k%d"`, 9-i)) {
						given = append(given, item)
					}
				}
				if len(given) > fits {
					late.Add(1)
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return answer(http.StatusOK, fmt.Sprintf(`{"Responses":{"scripted":[%s]},"UnprocessedKeys":{}}`, strings.Join(given, ",")))
			})
			items, next, err := s.List(t.Context(), refund.Recent(never, never, "open"), "", 10)
			for _, item := range items {
				got = append(got, string(item.Key))
			}
			want := []string{"k9", "k8", "k7", "k6", "k5", "k4", "k3", "k2", "k1", "k0"}
			lates := map[int]int32{1: 4, 3: 2, 10: 0}[fits] // 10, 5, 3, 2
			if err != nil || next != "" || !cmp.Equal(want, got) || late.Load() != lates {
				t.Errorf("%d fit: got %q, next %q, %v after %d that were late, want %d", fits, got, next, err, late.Load(), lates)
			}
		}))
	}
}

// The largest items there are come within the time for one answer, since few are asked
// for at once.
func TestDynamoDBListsTheLargestItemsOfAClass(t *testing.T) {
	s := open(t, freshOf(t, "dynamodb"))
	body := strings.Repeat("x", dynamoBody)
	var want []string
	for i := range dynamoRead + 1 {
		key := fmt.Sprintf("%03d", dynamoRead-i)
		commit(t, s, classItem(key, 0, body, "open", at(0)))
		want = append(want, key)
	}
	var batches atomic.Int32
	onWire(s, func(_ *http.Request, op, _ string, send func() (*http.Response, error)) (*http.Response, error) {
		if op == "BatchGetItem" {
			batches.Add(1)
		}
		return send()
	})
	if got := slices.Concat(pagesOf(t, s, refund.Recent(never, never, "open"), 100)...); !cmp.Equal(want, got) {
		t.Errorf("got %q", got)
	}
	if batches.Load() < 2 {
		t.Error("all were in one batch: the test proves nothing")
	}
}

// A range of the index holds the places that it should, whatever the keys' last bytes are.
func TestDynamoDBRangesOfClassesAreExact(t *testing.T) {
	t.Parallel()
	times := []int64{-1 << 63, -1, 0, 9, 10, 15, 16, 159, 160, 1767323045000, 1<<63 - 1}
	keys := []refund.Key{" ", "  ", " ~", "A", "a", "a ", "a~", "b", "~", "~ ", "~~"}
	var spots []spot
	for _, at := range times {
		for _, key := range keys {
			spots = append(spots, spot{at, key})
			if got, ok := placedAt(place(at, key)); got != at || !ok {
				t.Errorf("%d comes back as %d, %t", at, got, ok)
			}
		}
	}
	befores := append(slices.Clone(spots), spot{1<<63 - 1, "\x7f"})
	for _, at := range times {
		befores = append(befores, spot{at: at})
	}
	for _, before := range befores {
		for _, since := range []int64{-1 << 63, 10, 1767323045000} {
			r := newestRange("open", classRange{since: since, before: before})
			for _, p := range spots {
				place := place(p.at, p.key)
				if got, want := r.from <= place && place <= r.to, p.at >= since && less(p, before); got != want {
					t.Fatalf("%+v in the range from %d before %+v: %t, want %t", p, since, before, got, want)
				}
			}
		}
	}
	for _, bad := range []string{"", "8000019b7ca98c8", "x000019b7ca98c88a", "-000019b7ca98c88a", "+000019b7ca98c88a", "0x00019b7ca98c88a"} {
		if at, ok := placedAt(bad); ok {
			t.Errorf("%q is read as %d", bad, at)
		}
	}
}
