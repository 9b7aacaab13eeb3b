//go:build cloudbase || !slim

package ledger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/wxpay"
)

const (
	cloudPath = "/v1/rdb/exec-pgsql"
	// cloudRole is named by every call. Without it the statement could only read, without
	// a right to our table, and perhaps from a replica, which is not up to date.
	cloudRole = "cloudbase_postgres"
	// cloudAnswer is how many bytes an answer may have.
	cloudAnswer = 32 << 20
)

// A cloudRequest is one statement. Every parameter is a text, and is cast in the statement:
// how the gateway would send a number on is nowhere written.
type cloudRequest struct {
	SQL        string   `json:"sql"`
	Parameters []string `json:"parameters,omitempty"` // exactly as many as the statement has
	Role       string   `json:"role"`
}

// A cloudRow is a row of an answer. Every column is made a text by the statement; nil: NULL.
type cloudRow map[string]*string

// bind writes the parameters of a statement the gateway's way: numbers are cast to bigint.
func (d dialect) bind(text string, args []any) cloudRequest {
	r := cloudRequest{Role: cloudRole}
	d.placeholder = func(n int) string {
		if _, ok := args[n-1].(string); ok {
			return fmt.Sprintf("$%d::text", n)
		}
		return fmt.Sprintf("$%d::text::bigint", n)
	}
	for _, arg := range args {
		r.Parameters = append(r.Parameters, fmt.Sprint(arg))
	}
	r.SQL = d.rebind(text)
	return r
}

// exec sends a statement with ? for parameters, once, and returns its rows, each with the
// given columns and no others.
func (c *cloud) exec(ctx context.Context, columns, text string, args ...any) ([]cloudRow, error) {
	body, err := json.Marshal(c.dialect.bind(text, args))
	if err != nil {
		return nil, err
	}
	reply, err := c.api.Post(ctx, cloudPath, body, c.largest)
	if err != nil {
		return nil, err
	}
	return decodeCloud(reply.Status, reply.Body, columns)
}

// one is exec for a statement that has one row.
func (c *cloud) one(ctx context.Context, columns, text string, args ...any) (cloudRow, error) {
	rows, err := c.exec(ctx, columns, text, args...)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("%w: %d rows, want 1", errCloudAnswer, len(rows))
	}
	return rows[0], nil
}

// retry repeats op after a conflict, throttling, or a failure of the gateway or the network.
func (c *cloud) retry(ctx context.Context, op func(ctx context.Context, inDoubt bool) error) error {
	return c.retryWithin(ctx, callTimeout, op)
}

func (c *cloud) retryWithin(ctx context.Context, timeout time.Duration, op func(ctx context.Context, inDoubt bool) error) error {
	return repeater{timeout: timeout, judge: judgeCloud}.do(ctx, op)
}

// errCloudAnswer reports an answer that is not the statement's: it says nothing of what was
// carried out.
var errCloudAnswer = errors.New("the answer of CloudBase is not that of the statement")

// decodeCloud reads an answer: an array of objects that have just the given columns,
// whose values are texts or NULL; an error else.
func decodeCloud(status int, body []byte, columns string) ([]cloudRow, error) {
	if status != http.StatusOK || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		return nil, refusedByCloud(status, body)
	}
	var rows []cloudRow
	if err := json.Unmarshal(body, &rows); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", errCloudAnswer) // the cause would quote it
	}
	want := strings.Fields(columns)
	for _, row := range rows {
		for _, column := range want {
			if _, ok := row[column]; !ok || len(row) != len(want) {
				return nil, fmt.Errorf("%w: a row of it has not the columns %s", errCloudAnswer, columns)
			}
		}
	}
	return rows, nil
}

// A cloudError is an answer that is no result, or what the look at the database has found.
type cloudError struct {
	code    string // as CloudBase wrote it; "": none
	message string
	status  int
	cloudMeaning
}

// A cloudMeaning is what a code means.
type cloudMeaning struct {
	again   bool   // the same may succeed a little later
	unknown bool   // it may have been carried out
	what    string // is wrong
	do      string // about it
}

func (e *cloudError) Error() string {
	s := cmp.Or(e.what, "CloudBase refused the statement")
	if e.status != 0 {
		s += fmt.Sprintf(" (%d", e.status)
		if e.code != "" {
			s += fmt.Sprintf(" %.64q", e.code)
		}
		if e.message != "" {
			s += fmt.Sprintf(": %.200q", e.message)
		}
		s += ")"
	}
	if e.do != "" {
		s += "; " + e.do
	}
	return s
}

// Code is CloudBase's own, or names what the look at the database has found.
func (e *cloudError) Code() string { return e.code }

// Do says what to do about it; "": nothing is known.
func (e *cloudError) Do() string { return e.do }

const cloudKey = "set CLOUDBASE_APIKEY to a server key of this environment (console: 环境配置 → API Key 管理)"

// The codes of the HTTP API, and the SQLSTATEs that it hands on with DATABASE_ before them.
// A statement that PostgreSQL has refused is rolled back.
var cloudCodes = map[string]cloudMeaning{
	"ACTION_FORBIDDEN":    {what: "the key is not an administrator's", do: cloudKey},
	"DATABASE_EXEC_ERROR": {again: true, unknown: true, what: "the gateway could not say what became of the statement"},
	"INTERNAL_ERROR":      {again: true, unknown: true, what: "the gateway failed"},
	"DATABASE_23505":      {again: true, what: "another statement made the same at the same time"},
	"DATABASE_40001":      {again: true, what: "another statement was at work on the same rows"},
	"DATABASE_40P01":      {again: true, what: "another statement was at work on the same rows"},
	"DATABASE_55P03":      {again: true, what: "another statement kept the rows locked"},
	"DATABASE_57014":      {again: true, what: "the statement took too long"},
	"DATABASE_40003":      {again: true, unknown: true, what: "the database could not say what became of the statement"},
	"DATABASE_42501":      {what: "role " + cloudRole + " has no right to that"},
	"DATABASE_25006":      {what: "the database takes no writes from here"},
}

// cloudClasses are classes of SQLSTATEs that say that the server is in trouble: a lost
// connection, a lack of resources, an operator's hand, a fault of its own.
var cloudClasses = []string{"08", "53", "57", "58", "XX"}

var cloudStatuses = map[int]cloudMeaning{
	http.StatusUnauthorized:    {what: "CloudBase does not know the key", do: cloudKey + ", not to the token of its AI gateway"},
	http.StatusForbidden:       {what: "CloudBase does not let the key in", do: cloudKey},
	http.StatusNotFound:        {what: "the environment has no PostgreSQL at this address", do: "check the ID of the environment, and that it was created with PostgreSQL"},
	http.StatusTooManyRequests: {again: true, what: "CloudBase takes no more calls for the moment"},
	http.StatusRequestTimeout:  {again: true, unknown: true, what: "the gateway did not wait for the answer"},
}

// refusedByCloud reads an answer that is no array. Some come with status 200.
func refusedByCloud(status int, body []byte) *cloudError {
	var answer struct {
		Code    any `json:"code"`
		Message any `json:"message"`
	}
	_ = json.Unmarshal(body, &answer) // what cannot be read has neither
	e := &cloudError{status: status}
	e.code, _ = answer.Code.(string)
	e.message, _ = answer.Message.(string)
	e.cloudMeaning = cloudMeaningOf(status, e.code)
	return e
}

func cloudMeaningOf(status int, code string) cloudMeaning {
	if m, ok := cloudCodes[code]; ok {
		return m
	}
	if m, ok := cloudStatuses[status]; ok {
		return m
	}
	trouble := cloudMeaning{again: true, unknown: true, what: "the gateway gave no result"}
	state, isDatabase := strings.CutPrefix(code, "DATABASE_")
	switch {
	case isDatabase && len(state) == 5:
		for _, class := range cloudClasses {
			if strings.HasPrefix(state, class) {
				return trouble
			}
		}
		return cloudMeaning{what: "the database refused the statement"}
	case status >= 300 && status < 500:
		return cloudMeaning{}
	default:
		return trouble
	}
}

// judgeCloud reports whether the same statement may succeed a little later, and whether
// this one may have been carried out all the same.
func judgeCloud(err error) (again, unknown bool) {
	if e, ok := errors.AsType[*cloudError](err); ok {
		return e.again, e.unknown
	}
	if errors.Is(err, errOvertaken) {
		return false, false
	}
	unsent := errors.Is(err, wxpay.ErrUnsent)
	if _, ok := errors.AsType[*cloudbase.Error](err); ok && unsent { // as for want of credentials
		return false, false
	}
	// No connection, or no answer that can be made out.
	return true, !unsent
}
