//go:build postgres || !slim

package ledger

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgConnector gives database/sql connections of pgx. The adapter that pgx has
// brings a second pool along, and cannot begin a transaction the way that we need.
type pgConnector struct {
	config *pgx.ConnConfig
}

func (c pgConnector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, c.config)
	if err != nil {
		return nil, err
	}
	return &pgConn{conn: conn}, nil
}

// Driver is asked for by sql.DB.Driver only, which nobody calls.
func (pgConnector) Driver() sqldriver.Driver { return nil }

// A pgConn is one connection, used by one goroutine at a time.
type pgConn struct {
	conn *pgx.Conn
	idle idleness
}

var errUnused = errors.New("not used by this package")

func (*pgConn) Prepare(string) (sqldriver.Stmt, error) { return nil, errUnused }
func (*pgConn) Begin() (sqldriver.Tx, error)           { return nil, errUnused }

func (c *pgConn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // to say good-bye
	defer cancel()
	return c.conn.Close(ctx)
}

// IsValid is asked before the connection goes back to the pool.
func (c *pgConn) IsValid() bool { return !c.conn.IsClosed() && !c.inTx() }

func (c *pgConn) ResetSession(context.Context) error {
	if !c.IsValid() {
		return sqldriver.ErrBadConn
	}
	return c.idle.reset(time.Now())
}

func (c *pgConn) inTx() bool { return c.conn.PgConn().TxStatus() != 'I' }

// pgLimits follows the beginning of each transaction, in the same round trip.
// A process that is frozen within a transaction must not keep its rows locked
// for longer than a call takes. What is set ends with the transaction.
var pgLimits = fmt.Sprintf(`;
set local lock_timeout = '%ds';
set local idle_in_transaction_session_timeout = '10s';
select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'`, lockSeconds)

// BeginTx begins a snapshot, or else a transaction that sees what others have
// committed, whatever the server's default is: a step of the schema that waited for another's
// finds it done.
func (c *pgConn) BeginTx(ctx context.Context, opts sqldriver.TxOptions) (sqldriver.Tx, error) {
	begin := "begin isolation level read committed read write"
	if opts.Isolation == sqldriver.IsolationLevel(sql.LevelRepeatableRead) {
		begin = "begin isolation level repeatable read read only"
	}
	tx, err := c.conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin + pgLimits})
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	return &pgTx{ctx: ctx, tx: tx}, nil
}

func (c *pgConn) ExecContext(ctx context.Context, text string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	tag, err := c.conn.Exec(ctx, text, pgArgs(args)...)
	if err != nil {
		if postgresCode(err) == "25006" { // read-only: a primary until lately
			err = errors.Join(err, c.Close())
		}
		return nil, err
	}
	return sqldriver.RowsAffected(tag.RowsAffected()), nil
}

func (c *pgConn) QueryContext(ctx context.Context, text string, args []sqldriver.NamedValue) (sqldriver.Rows, error) {
	inTx := c.inTx()
	rows, err := c.conn.Query(ctx, text, pgArgs(args)...)
	if err == nil {
		// The columns are known, and most errors too, once a row is.
		r := &pgRows{rows: rows, ahead: rows.Next()}
		if err = rows.Err(); err == nil {
			return r, nil
		}
		rows.Close()
	}
	if inTx {
		return nil, err
	}
	return nil, c.lost(ctx, err)
}

// lost marks an error by which the connection was lost.
func (c *pgConn) lost(ctx context.Context, err error) error {
	if c.conn.IsClosed() && ctx.Err() == nil {
		return errLost(err)
	}
	return err
}

func pgArgs(values []sqldriver.NamedValue) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v.Value
	}
	return args
}

// A pgTx ends under the context that it began under; database/sql hands none on.
type pgTx struct {
	ctx context.Context
	tx  pgx.Tx
}

func (t *pgTx) Commit() error { return t.tx.Commit(t.ctx) }

// Rollback after the context's end closes the connection instead.
func (t *pgTx) Rollback() error { return t.tx.Rollback(t.ctx) }

// pgRows are rows, of which one may have been read ahead.
type pgRows struct {
	rows  pgx.Rows
	ahead bool
}

func (r *pgRows) Columns() []string {
	var names []string
	for _, field := range r.rows.FieldDescriptions() {
		names = append(names, field.Name)
	}
	return names
}

func (r *pgRows) Next(dest []sqldriver.Value) error {
	if !r.ahead && !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	r.ahead = false
	values, err := r.rows.Values()
	if err != nil {
		return err
	}
	for i, v := range values {
		dest[i] = v
	}
	return nil
}

func (r *pgRows) Close() error {
	r.rows.Close()
	return r.rows.Err()
}
