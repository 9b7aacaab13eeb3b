package pgsql

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"wxrefund/shared/strictjson"
)

// A request is the body of a call.
type request struct {
	SQL        string `json:"sql"`
	Parameters []any  `json:"parameters"`
	Role       string `json:"role"`

	values [][]byte // the parameters as PostgreSQL takes them as text; nil: NULL
}

// readRequest reads and checks a body.
func readRequest(body []byte) (q request, no *refusal) {
	invalid := func(format string, args ...any) (request, *refusal) {
		return request{}, &refusal{http.StatusBadRequest, "INVALID_PARAM", fmt.Sprintf(format, args...)}
	}
	if _, err := strictjson.Parse(body, strictjson.Options{MaxDepth: 3}); err != nil {
		return invalid("the body is no JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&q); err != nil {
		return invalid("sql and role must be texts, parameters an array")
	}
	if strings.TrimSpace(q.SQL) == "" {
		return invalid("sql is missing")
	}
	if q.Role == "" {
		q.Role = RoleReader
	}
	if q.Role != RoleOwner && q.Role != RoleReader {
		return invalid("role must be %s or %s", RoleOwner, RoleReader)
	}
	for i, p := range q.Parameters {
		var text string
		switch p := p.(type) {
		case nil:
			q.values = append(q.values, nil)
			continue
		case string:
			text = p
		case bool:
			text = fmt.Sprint(p)
		case json.Number:
			text = p.String()
		default:
			return invalid("parameter %d is neither a text, a number, true, false nor null", i+1)
		}
		if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return invalid("parameter %d holds what no text of PostgreSQL does", i+1)
		}
		q.values = append(q.values, []byte(text))
	}
	return q, nil
}

var (
	errParameters = errors.New("the number of parameters is not that of the placeholders")
	errAnswer     = errors.New("pgsql: the answer is too large")
)

// statement runs one statement and returns its rows, each an object in the order of its
// columns. The extended protocol takes one statement alone.
func statement(ctx context.Context, conn *pgconn.PgConn, q request) ([]json.RawMessage, error) {
	described, err := conn.Prepare(ctx, "", q.SQL, nil)
	if err != nil {
		return nil, err
	}
	if len(described.ParamOIDs) != len(q.values) {
		return nil, fmt.Errorf("%w: %d and %d", errParameters, len(q.values), len(described.ParamOIDs))
	}
	reader := conn.ExecPrepared(ctx, "", q.values, nil, nil)
	rows, size := []json.RawMessage{}, 0
	for reader.NextRow() {
		row, err := object(reader.FieldDescriptions(), reader.Values())
		if size += len(row); size > maxAnswer {
			err = errAnswer
		}
		if err != nil {
			_, closed := reader.Close()
			return nil, errors.Join(err, closed)
		}
		rows = append(rows, row)
	}
	_, err = reader.Close()
	return rows, err
}

// object writes a row. Numbers are written with all their digits, so that who reads them
// as JavaScript does loses some; JSON comes as it is, all else as text.
func object(fields []pgconn.FieldDescription, values [][]byte) (json.RawMessage, error) {
	var b bytes.Buffer
	for i, f := range fields {
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		b.WriteByte(",{"[btoi(i == 0)])
		b.Write(name)
		b.WriteByte(':')
		value, err := jsonValue(f.DataTypeOID, values[i])
		if err != nil {
			return nil, err
		}
		b.Write(value)
	}
	if len(fields) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func jsonValue(oid uint32, text []byte) ([]byte, error) {
	switch {
	case text == nil:
		return []byte("null"), nil
	case oid == pgtype.BoolOID:
		return fmt.Append(nil, string(text) == "t"), nil
	case oid == pgtype.JSONOID, oid == pgtype.JSONBOID:
		return text, nil
	case isNumber(oid) && json.Valid(text): // NaN is none
		return text, nil
	default:
		return json.Marshal(string(text))
	}
}

func isNumber(oid uint32) bool {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return true
	}
	return false
}
