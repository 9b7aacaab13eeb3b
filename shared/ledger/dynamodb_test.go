//go:build dynamodb || !slim

package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// A wire is a RoundTripper that sees each request: what it asks for and its body.
// send passes it on.
type wire func(req *http.Request, op, body string, send func() (*http.Response, error)) (*http.Response, error)

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	_, op, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	return w(req, op, string(body), func() (*http.Response, error) {
		req := req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
		return http.DefaultTransport.RoundTrip(req)
	})
}

// onWire puts w between a ledger and its table.
func onWire(s *Store, w wire) *Store {
	s.store.(*dynamo).http.Transport = w
	s.store.(*dynamo).marker.done.Store(true) // the wire's script begins behind the look at the schema
	return s
}

// scripted is a ledger that no table stands behind: w answers.
func scripted(t *testing.T, w wire) *Store {
	t.Helper()
	return onWire(open(t, "dynamodb://scripted?endpoint=http://127.0.0.1:1"), w)
}

// virtually makes a test run by a virtual clock, whose waits take no time.
func virtually(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	}
}

func answer(status int, body string) (*http.Response, error) {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}, nil
}

// refusal is how DynamoDB says no.
func refusal(kind string) (*http.Response, error) {
	return answer(http.StatusBadRequest, fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}`, kind))
}

// cancellation is how it says no to a transaction.
func cancellation(codes ...string) (*http.Response, error) {
	reasons := []map[string]string{}
	for _, code := range codes {
		reasons = append(reasons, map[string]string{"Code": code})
	}
	text, _ := json.Marshal(reasons)
	return answer(http.StatusBadRequest, fmt.Sprintf(
		`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"no","CancellationReasons":%s}`, text))
}

func TestDynamoDBOpensByURLAloneAndRefusesBadOnes(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	for url, want := range map[string]string{
		"dynamodb:":                                       "want dynamodb://TABLE?region=REGION",
		"dynamodb:refunds?region=x":                       "want dynamodb://TABLE?region=REGION",
		"dynamodb://?region=x":                            "want dynamodb://TABLE?region=REGION",
		"dynamodb://ab?region=x":                          "want dynamodb://TABLE?region=REGION",
		"dynamodb://key:secret@refunds?region=x":          "want dynamodb://TABLE?region=REGION",
		"dynamodb://refunds/x?region=x":                   "want dynamodb://TABLE?region=REGION",
		"dynamodb://refunds":                              "the region is missing",
		"dynamodb://refunds?Region=x":                     `unknown parameter "Region"; known are region, endpoint and create`,
		"dynamodb://refunds?region=x&region=y":            `parameter "region" occurs 2 times`,
		"dynamodb://refunds?region=x&create=yes":          "create is neither true nor false",
		"dynamodb://refunds?region=x&endpoint=localhost":  "the endpoint is not an http or https URL",
		"dynamodb://refunds?region=x&endpoint=ftp://host": "the endpoint is not an http or https URL",
		"dynamodb://refunds?region=%zz":                   "parameters: ",
	} {
		if _, err := Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", url, err, want)
		}
	}

	t.Setenv("AWS_REGION", "eu-central-1")
	for url, want := range map[string]string{
		"dynamodb://my_refunds.v-1":                      "eu-central-1",
		"dynamodb://refunds?region=cn-north-1":           "cn-north-1",
		"dynamodb://refunds?endpoint=http://127.0.0.1:1": "eu-central-1",
	} {
		if got := open(t, url).store.(*dynamo).client.Options().Region; got != want {
			t.Errorf("%q: region %q, want %q", url, got, want)
		}
	}
}

func TestDynamoDBCredentialsComeFromTheEnvironment(t *testing.T) {
	var sent atomic.Value
	w := func(req *http.Request, _, _ string, _ func() (*http.Response, error)) (*http.Response, error) {
		sent.Store(req)
		return answer(http.StatusOK, "{}")
	}
	request := func(url string) (*http.Request, error) {
		s := onWire(open(t, url), w)
		_, err := s.Get(t.Context(), "a")
		req, _ := sent.Swap((*http.Request)(nil)).(*http.Request)
		return req, err
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	sent.Store((*http.Request)(nil))
	const aws, local = "dynamodb://refunds?region=cn-north-1", "dynamodb://refunds?region=x&endpoint=http://127.0.0.1:1"

	if req, err := request(aws); err == nil || req != nil || !strings.Contains(err.Error(), "the environment has no AWS credentials") {
		t.Errorf("none: got %v", err)
	}
	if req, err := request(local); err != nil || !strings.Contains(req.Header.Get("Authorization"), "Credential=local/") {
		t.Errorf("none are needed: got %v", err)
	}

	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"AccessKeyId":"AKIDCONTAINER","SecretAccessKey":"s","Token":%q,"Expiration":"2099-01-01T00:00:00Z"}`,
			"for "+r.Header.Get("Authorization"))
	}))
	defer container.Close()
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.URL+"/role")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token)
	if req, err := request(aws); err != nil || !strings.Contains(req.Header.Get("Authorization"), "Credential=AKIDCONTAINER/") ||
		req.Header.Get("X-Amz-Security-Token") != "for from a file" || req.URL.Host != "dynamodb.cn-north-1.amazonaws.com.cn" {
		t.Errorf("container: got %v, %v", req, err)
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	for _, url := range []string{aws, local} {
		if req, err := request(url); err != nil || !strings.Contains(req.Header.Get("Authorization"), "Credential=AKIDENV/") ||
			req.Header.Get("X-Amz-Security-Token") != "session" {
			t.Errorf("%s: got %v, %v", url, req, err)
		}
	}
}

// What DynamoDB would not take is refused before it is asked.
func TestDynamoDBLimitsAreCheckedBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	calls := 0
	s := scripted(t, func(*http.Request, string, string, func() (*http.Response, error)) (*http.Response, error) {
		calls++
		return answer(http.StatusOK, "{}")
	})
	many := make([]refund.Item, dynamoItems+1)
	for i := range many {
		many[i] = item(fmt.Sprint(i), 0, "")
	}
	large := item("large", 0, strings.Repeat("x", dynamoBody))
	larger := item("larger", 0, strings.Repeat("x", dynamoBody+1))
	var heavy []refund.Item
	for i := range dynamoBytes/dynamoBody + 1 {
		heavy = append(heavy, item(fmt.Sprint(i), 0, string(large.Body)))
	}
	for want, items := range map[string][]refund.Item{
		"101 items, DynamoDB takes at most 100":                          many,
		`key "larger": body of 358401 bytes, DynamoDB takes at most 358`: {item("a", 0, ""), larger},
		"bodies of 4300800 bytes, DynamoDB takes at most 4000000":        heavy,
	} {
		if err := s.Commit(t.Context(), items...); err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if calls != 0 {
		t.Errorf("%d calls, want none", calls)
	}
	if err := s.Commit(t.Context(), large); err != nil || calls != 1 {
		t.Errorf("got %v, %d calls", err, calls)
	}
}

// What fails for a short time only is retried and never called stale; what cannot
// succeed is not repeated.
func TestDynamoDBCommitsAreRetriedUnlessRefused(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	for name, test := range map[string]struct {
		again bool
		one   func() (*http.Response, error) // nil: does not come up with one item
		two   func() (*http.Response, error)
	}{
		"conflict": {true,
			func() (*http.Response, error) { return refusal("TransactionConflictException") },
			func() (*http.Response, error) { return cancellation("None", "TransactionConflict") }},
		"conflicts and throttling": {true, nil,
			func() (*http.Response, error) { return cancellation("TransactionConflict", "ThrottlingError") }},
		"in progress": {true, nil,
			func() (*http.Response, error) { return refusal("TransactionInProgressException") }},
		"throttled": {true,
			func() (*http.Response, error) { return refusal("ProvisionedThroughputExceededException") },
			func() (*http.Response, error) { return cancellation("ProvisionedThroughputExceeded", "None") }},
		"request limit": {true,
			func() (*http.Response, error) { return refusal("RequestLimitExceeded") },
			func() (*http.Response, error) { return refusal("ThrottlingException") }},
		"server error": {true,
			func() (*http.Response, error) { return answer(500, `{"__type":"x#InternalServerError"}`) },
			func() (*http.Response, error) { return answer(503, "<html>busy</html>") }},
		"broken answer": {true,
			func() (*http.Response, error) { return answer(200, `{"Attr`) },
			func() (*http.Response, error) { return answer(200, `<html>`) }},
		"no answer": {true,
			func() (*http.Response, error) { return nil, lost },
			func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }},
		"denied": {false,
			func() (*http.Response, error) { return refusal("AccessDeniedException") },
			func() (*http.Response, error) { return refusal("AccessDeniedException") }},
		"invalid": {false,
			func() (*http.Response, error) { return refusal("ValidationException") },
			func() (*http.Response, error) { return cancellation("ValidationError", "TransactionConflict") }},
	} {
		for n, reply := range map[int]func() (*http.Response, error){1: test.one, 2: test.two} {
			if reply == nil {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", name, n), virtually(func(t *testing.T) {
				items := []refund.Item{item("a", 0, ""), item("b", 0, "")}[:n]
				bad, calls := 3, 0
				s := scripted(t, func(_ *http.Request, op, _ string, _ func() (*http.Response, error)) (*http.Response, error) {
					if op == "DescribeTable" { // asked to explain what is invalid
						return refusal("AccessDeniedException")
					}
					if calls++; calls <= bad {
						return reply()
					}
					return answer(http.StatusOK, "{}")
				})
				err := s.Commit(t.Context(), items...)
				switch {
				case test.again && (err != nil || calls != 4):
					t.Errorf("got %v after %d calls, want success after 4", err, calls)
				case !test.again && (err == nil || calls != 1 || errors.Is(err, refund.ErrStale)):
					t.Errorf("got %v after %d calls, want an error after 1", err, calls)
				}
				if !test.again {
					return
				}

				bad, calls = 1000, 0
				start := time.Now()
				err = s.Commit(t.Context(), items...)
				if err == nil || errors.Is(err, refund.ErrStale) || calls != callAttempts || !strings.Contains(err.Error(), "given up after 12 attempts") {
					t.Errorf("without end: got %v after %d calls", err, calls)
				}
				if took := time.Since(start); took < 780*time.Millisecond || took > 3130*time.Millisecond {
					t.Errorf("without end: given up after %v, want a quarter of 3.13 s at least, and no more than that", took)
				}

				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				start = time.Now()
				if err := s.Commit(ctx, items...); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
					t.Errorf("with a context: got %v after %v", err, time.Since(start))
				}
			}))
		}
	}
}

// A transaction keeps its token while an answer is lost, so that DynamoDB knows
// it again, and gets another once it was refused for certain.
func TestDynamoDBTransactionKeepsItsTokenWhileInDoubt(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	replies := []func() (*http.Response, error){
		func() (*http.Response, error) { return cancellation("None", "TransactionConflict") },
		func() (*http.Response, error) { return nil, lost },
		func() (*http.Response, error) { return refusal("TransactionInProgressException") },
		func() (*http.Response, error) { return cancellation("None", "TransactionConflict") },
		func() (*http.Response, error) { return answer(http.StatusOK, "{}") },
	}
	var tokens []string
	s := scripted(t, func(_ *http.Request, _, body string, _ func() (*http.Response, error)) (*http.Response, error) {
		var in struct {
			ClientRequestToken string
			TransactItems      []struct {
				Put struct{ Item map[string]map[string]any }
			}
		}
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			t.Error(err)
		}
		for _, i := range in.TransactItems {
			if id := i.Put.Item["commit_id"]["S"]; id != in.ClientRequestToken || id == "" {
				t.Errorf("commit_id %v, token %q", id, in.ClientRequestToken)
			}
		}
		tokens = append(tokens, in.ClientRequestToken)
		return replies[len(tokens)-1]()
	})
	commit(t, s, item("a", 0, ""), item("b", 0, ""))
	if len(tokens) != 5 || tokens[0] == tokens[1] || len(slices.Compact(tokens[1:])) != 1 {
		t.Errorf("tokens %q, want one, and another four times", tokens)
	}
}

// Of a transaction that was cancelled for several reasons, one failed condition
// makes it stale.
func TestDynamoDBFailedConditionAmongConflictsIsStale(t *testing.T) {
	t.Parallel()
	calls := 0
	s := scripted(t, func(*http.Request, string, string, func() (*http.Response, error)) (*http.Response, error) {
		calls++
		return cancellation("TransactionConflict", "ConditionalCheckFailed")
	})
	if err := s.Commit(t.Context(), item("a", 0, ""), item("b", 0, "")); !errors.Is(err, refund.ErrStale) || calls != 1 {
		t.Errorf("got %v after %d calls, want ErrStale after 1", err, calls)
	}
}

// Reads are repeated as well.
func TestDynamoDBReadsAreRetried(t *testing.T) {
	t.Parallel()
	for op, call := range map[string]func(*Store) error{
		"GetItem":          func(s *Store) error { _, err := s.Get(t.Context(), "a"); return err },
		"TransactGetItems": func(s *Store) error { _, err := s.Get(t.Context(), "a", "b"); return err },
		"Query":            func(s *Store) error { _, _, err := s.List(t.Context(), refund.DueBy(at(0)), "", 5); return err },
	} {
		var calls atomic.Int32
		s := scripted(t, func(_ *http.Request, got, _ string, _ func() (*http.Response, error)) (*http.Response, error) {
			switch n := calls.Add(1); {
			case got != op:
				t.Errorf("got %s, want %s", got, op)
			case n == 1 && op == "TransactGetItems":
				return cancellation("TransactionConflict", "None")
			case n == 1:
				return refusal("ThrottlingException")
			case n == 2:
				return answer(502, "")
			}
			return answer(http.StatusOK, "{}")
		})
		if err := call(s); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// dropping carries requests out and loses the answers to the first n of an op.
func dropping(op string, n int, afterwards func()) wire {
	return func(_ *http.Request, got, _ string, send func() (*http.Response, error)) (*http.Response, error) {
		if got != op || n == 0 {
			return send()
		}
		n--
		resp, err := send()
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if afterwards != nil {
			afterwards()
		}
		return nil, errors.New("connection reset by peer")
	}
}

// A commit whose answer is lost is repeated, and knows what it wrote itself.
func TestDynamoDBCommitWhoseAnswerIsLostKnowsItself(t *testing.T) {
	url := freshOf(t, "dynamodb")
	other := open(t, url)
	for _, test := range []struct {
		name string
		op   string
		keys []string
	}{
		{"one", "PutItem", []string{"one"}},
		{"two", "TransactWriteItems", []string{"two/a", "two/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := refund.Key(test.keys[0])
			at := func(version int64, body string) (items []refund.Item) {
				for _, k := range test.keys {
					items = append(items, item(k, version, body))
				}
				return items
			}
			read := func() []refund.Item {
				var keys []refund.Key
				for _, k := range test.keys {
					keys = append(keys, refund.Key(k))
				}
				return get(t, other, keys...)
			}
			s := onWire(open(t, url), dropping(test.op, 3, nil))
			commit(t, s, at(0, "1")...)
			same(t, "created", read(), at(1, "1"))
			onWire(s, dropping(test.op, 2, nil))
			commit(t, s, at(1, "2")...)
			same(t, "updated", read(), at(2, "2"))

			// It was stale in the first place.
			onWire(s, dropping(test.op, 2, nil))
			if err := s.Commit(t.Context(), at(1, "x")...); !errors.Is(err, refund.ErrStale) {
				t.Errorf("stale: got %v", err)
			}
			if err := s.Commit(t.Context(), at(7, "x")...); !errors.Is(err, refund.ErrStale) {
				t.Errorf("stale: got %v", err)
			}
			same(t, "stale", read(), at(2, "2"))

			// Another writes after what was written and before it is repeated. The
			// token shows it; where there is none, the outcome is called unknown: to
			// say stale would be a lie, and the caller would do everything twice.
			onWire(s, dropping(test.op, 1, func() { commit(t, other, item(string(key), 3, "4")) }))
			err := s.Commit(t.Context(), at(2, "3")...)
			if len(test.keys) > 1 && err != nil || len(test.keys) == 1 && (err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), "the outcome is unknown")) {
				t.Errorf("overwritten: got %v", err)
			}
			same(t, "overwritten", get(t, other, key), []refund.Item{item(string(key), 4, "4")})
		})
	}

	// The request is lost, not the answer, and another takes the version.
	t.Run("taken", func(t *testing.T) {
		for _, items := range [][]refund.Item{{item("taken", 0, "x")}, {item("taken/1", 0, "x"), item("taken/2", 0, "x")}} {
			first := true
			s := onWire(open(t, url), func(_ *http.Request, _, _ string, send func() (*http.Response, error)) (*http.Response, error) {
				if first {
					first = false
					commit(t, other, item(string(items[0].Key), 0, "other"))
					return nil, errors.New("connection refused")
				}
				return send()
			})
			if err := s.Commit(t.Context(), items...); !errors.Is(err, refund.ErrStale) {
				t.Errorf("got %v, want ErrStale", err)
			}
		}
	})

	// All at once: nothing is counted twice, though half of the answers are lost.
	t.Run("counter", func(t *testing.T) {
		var n atomic.Int32
		s := onWire(open(t, url), func(_ *http.Request, op, _ string, send func() (*http.Response, error)) (*http.Response, error) {
			resp, err := send()
			if err == nil && strings.Contains(op, "Write") && n.Add(1)%2 == 0 {
				resp.Body.Close()
				return nil, errors.New("connection reset by peer")
			}
			return resp, err
		})
		commit(t, other, item("order", 0, `{"total":32,"reserved":0}`))
		together(32, func(i int) {
			if ok, err := reserve(t.Context(), s, "order", refund.Key(fmt.Sprint("refund/", i)), 1); err != nil || !ok {
				t.Errorf("%d: got %t, %v", i, ok, err)
			}
		})
		same(t, "order", get(t, other, "order"), []refund.Item{item("order", 33, `{"total":32,"reserved":32}`)})
	})
}

// An answer that does not come is not waited for without end.
func TestDynamoDBAnswerThatDoesNotComeIsGivenUp(t *testing.T) {
	virtually(func(t *testing.T) {
		calls := 0
		s := scripted(t, func(req *http.Request, _, _ string, _ func() (*http.Response, error)) (*http.Response, error) {
			if calls++; calls == 1 {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return answer(http.StatusOK, "{}")
		})
		start := time.Now()
		if err := s.Commit(t.Context(), item("a", 0, "")); err != nil || calls != 2 || time.Since(start) < callTimeout || time.Since(start) > callTimeout+firstPause {
			t.Errorf("got %v after %d calls and %v", err, calls, time.Since(start))
		}
	})(t)
}

// No request reads the whole table but one for everything, and lists come from the index.
func TestDynamoDBIsAskedWithoutScans(t *testing.T) {
	url := freshOf(t, "dynamodb")
	var mu sync.Mutex
	var seen []string
	var queries []string
	s := onWire(open(t, url), func(_ *http.Request, op, body string, send func() (*http.Response, error)) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, op)
		if op == "Query" {
			queries = append(queries, body)
		}
		if (op == "GetItem" || op == "BatchGetItem" || op == "Scan") && !strings.Contains(body, `"ConsistentRead":true`) {
			t.Errorf("a read that may be stale: %s", body)
		}
		return send()
	})
	ops := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		seen = nil
	}
	commit(t, s, dueItem("a", 0, "", at(1)))
	ops("PutItem")
	commit(t, s, dueItem("a", 1, "", at(2)), item("b", 0, ""))
	ops("TransactWriteItems")
	get(t, s, "a")
	ops("GetItem")
	get(t, s, "a", "b")
	ops("TransactGetItems")
	var items []refund.Item
	for i := range 100 {
		items = append(items, dueItem(fmt.Sprint("due/", i), 0, "", at(3)))
	}
	commit(t, s, items...)
	seen = nil
	if got := pages(t, s, at(9), 101); len(got) != 1 || len(got[0]) != 101 {
		t.Errorf("got %v", got)
	}
	asked := map[string]bool{}
	for _, body := range queries {
		var q struct {
			IndexName                 string
			Limit                     int
			ExpressionAttributeValues map[string]map[string]string
		}
		if err := json.Unmarshal([]byte(body), &q); err != nil || q.IndexName != "due" || q.Limit > 102 {
			t.Errorf("query %s: %v", body, err)
		}
		asked[q.ExpressionAttributeValues[":partition"]["S"]] = true
	}
	if len(asked) != shards {
		t.Errorf("%d shards were asked, want %d", len(asked), shards)
	}
	if i := slices.IndexFunc(seen, func(op string) bool { return op != "Query" }); i >= 0 {
		t.Errorf("a list asks for %s", seen[i])
	}
	if len(seen) > shards {
		t.Errorf("%d queries for one list", len(seen))
	}
	seen = nil
	commit(t, s, classItem("a", 2, "", "open", at(1)), classItem("b", 1, "", "shut", at(1)))
	ops("TransactWriteItems")
	if got := pagesOf(t, s, refund.Recent(never, never, "open", "shut"), 10); len(got) != 1 || len(got[0]) != 2 {
		t.Errorf("got %v", got)
	}
	ops("Query", "Query", "BatchGetItem")
	if got := counted(t, s, refund.Recent(never, never, "open", "shut")); got != 2 {
		t.Errorf("counted %d", got)
	}
	ops("Query", "Query")
	if got := pagesOf(t, s, refund.Everything(), 200); len(got) != 1 || len(got[0]) != 102 {
		t.Errorf("everything: got %v", got)
	}
	ops("Scan")
}

// Pages of DynamoDB's end after a megabyte; lists do not.
func TestDynamoDBListsMoreThanOneOfItsPages(t *testing.T) {
	s := open(t, freshOf(t, "dynamodb"))
	var items []refund.Item
	body := strings.Repeat("x", dynamoBody)
	for i := 0; len(items) < 9; i++ { // all in one shard
		if it := dueItem(fmt.Sprintf("%03d", i), 0, body, at(i/30)); shardOf(it.Key) == 3 {
			items = append(items, it)
			commit(t, s, it)
		}
	}
	if diff := cmp.Diff(listPages(at(9), 100, items...), pages(t, s, at(9), 100)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Nor does a count, or a list of everything.
	for _, index := range []refund.Index{refund.DueBy(at(9)), refund.Everything()} {
		if got := counted(t, s, index); got != len(items) {
			t.Errorf("%v: counted %d, want %d", index, got, len(items))
		}
	}
	if got := slices.Concat(pagesOf(t, s, refund.Everything(), 5)...); len(got) != len(items) {
		t.Errorf("everything is %d items, want %d", len(got), len(items))
	}
}

// The shards and places that items were stored under must be found for ever.
func TestDynamoDBShardsAndPlacesNeverChange(t *testing.T) {
	t.Parallel()
	for key, want := range map[refund.Key]int{"refund/R1": 5, "order/out_trade_no/O1": 6, "a": 4} {
		if got := shardOf(key); got != want {
			t.Errorf("%s: shard %d, want %d", key, got, want)
		}
	}
	var places []string
	for _, due := range []int64{-1 << 63, -62135596800000, -1, 0, 1, 1767323045000, 1<<63 - 1} {
		for _, key := range []refund.Key{"", " ", "A", "a", "a ", "b", "~~"} {
			places = append(places, place(due, key))
		}
	}
	if !slices.IsSorted(places) {
		t.Errorf("not in order: %q", places)
	}
	if got, want := place(1767323045000, "a"), "8000019b7ca98c88a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Many keys are spread over all.
	count := map[int]int{}
	for i := range 8000 {
		count[shardOf(refund.Key(fmt.Sprintf("refund/2026%06d", i)))]++
	}
	for shard, n := range count {
		if n < 800 || n > 1200 || len(count) != shards {
			t.Errorf("shard %d of %d has %d of 8000 keys", shard, len(count), n)
		}
	}
}

func TestDynamoDBTableOfAnotherIsRefused(t *testing.T) {
	url := freshOf(t, "dynamodb")
	d := open(t, url).store.(*dynamo)
	base, creating, _ := strings.Cut(url, "?")
	plain := strings.Replace(creating, "create=true", "create=false", 1)

	// A table that is not there.
	missing := open(t, base+"-missing?"+plain)
	for name, call := range everyCall {
		err := call(t.Context(), missing)
		if want := fmt.Sprintf("there is no table %q in ", d.table+"-missing"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}

	// Tables of another's.
	other := func(name string, keys, index []types.KeySchemaElement, p types.ProjectionType) {
		in := &dynamodb.CreateTableInput{TableName: aws.String(d.table + name), KeySchema: keys, BillingMode: types.BillingModePayPerRequest}
		if index != nil {
			in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{{
				IndexName: aws.String("due"), KeySchema: index, Projection: &types.Projection{ProjectionType: p},
			}}
		}
		for _, k := range slices.Concat(keys, index) {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: k.AttributeName, AttributeType: "S"})
		}
		if _, err := d.client.CreateTable(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(name string) []types.KeySchemaElement {
		return []types.KeySchemaElement{{AttributeName: aws.String(name), KeyType: types.KeyTypeHash}}
	}
	other("-id", hash("id"), nil, "")
	other("-bare", tableKeys, nil, "")
	other("-index", tableKeys, hash("due_place"), types.ProjectionTypeAll)
	other("-part", tableKeys, dueKeys, types.ProjectionTypeKeysOnly)
	for name, want := range map[string]string{
		"-id":    "its key is id S HASH, want item_key S HASH",
		"-bare":  `it has no index "due"`,
		"-index": `the keys of its index "due" are due_place S HASH, want due_shard S HASH, due_place S RANGE`,
		"-part":  `its index "due" lacks attributes, want the projection ALL`,
	} {
		_, err := Open(t.Context(), base+name+"?"+creating)
		errs := map[string]error{"open": err}
		l := open(t, base+name+"?"+plain)
		for what, call := range everyCall {
			if name == "-id" || what == "list" && name != "-part" {
				errs[what] = call(t.Context(), l)
			}
		}
		for call, err := range errs {
			if want := fmt.Sprintf("table %q is not a ledger's: %s", d.table+name, want); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", call, err, want)
			}
		}
	}
	part := open(t, base+"-part?"+plain)
	commit(t, part, dueItem("a", 0, "", at(0)))
	if _, _, err := part.List(t.Context(), refund.DueBy(at(0)), "", 1); err == nil || !strings.Contains(err.Error(), "not a whole item") {
		t.Errorf("part: got %v", err)
	}
}
