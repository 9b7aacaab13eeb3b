//go:build mysql || !slim

package ledger

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlConnector adds to the driver's connections what it lacks.
type mysqlConnector struct {
	sqldriver.Connector
}

// Connect sets the isolation: what others have committed is seen, and no gaps
// between keys are locked, which would block other orders' claims. It is a
// statement of its own because the variable's name is not the same in MySQL and
// MariaDB.
func (c mysqlConnector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(mysqlDriverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T cannot do what we need", conn), conn.Close())
	}
	if _, err := whole.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &mysqlConn{mysqlDriverConn: whole}, nil
}

// mysqlDriverConn is what the driver's connection can do and database/sql asks for.
type mysqlDriverConn interface {
	sqldriver.Conn
	sqldriver.ConnBeginTx
	sqldriver.ConnPrepareContext
	sqldriver.ExecerContext
	sqldriver.QueryerContext
	sqldriver.NamedValueChecker
	sqldriver.Pinger
	sqldriver.SessionResetter
	sqldriver.Validator
}

// A mysqlConn is one connection, used by one goroutine at a time.
type mysqlConn struct {
	mysqlDriverConn
	inTx bool
	idle idleness
}

func (c *mysqlConn) ResetSession(ctx context.Context) error {
	if err := c.idle.reset(time.Now()); err != nil {
		return err
	}
	return c.mysqlDriverConn.ResetSession(ctx)
}

func (c *mysqlConn) BeginTx(ctx context.Context, opts sqldriver.TxOptions) (sqldriver.Tx, error) {
	if _, err := c.mysqlDriverConn.BeginTx(ctx, opts); err != nil {
		return nil, lostMySQL(ctx, err)
	}
	c.inTx = true
	return &mysqlTx{ctx: ctx, conn: c}, nil
}

func (c *mysqlConn) QueryContext(ctx context.Context, text string, args []sqldriver.NamedValue) (sqldriver.Rows, error) {
	rows, err := c.mysqlDriverConn.QueryContext(ctx, text, args)
	if err != nil && !c.inTx {
		err = lostMySQL(ctx, err)
	}
	return rows, err
}

// lostMySQL marks an error by which the connection was lost.
func lostMySQL(ctx context.Context, err error) error {
	if errors.Is(err, mysql.ErrInvalidConn) && ctx.Err() == nil {
		return errLost(err)
	}
	return err
}

// A mysqlTx ends under the context that it began under. The driver's own knows
// none at its end: a server that does not answer would hold it for ever.
type mysqlTx struct {
	ctx  context.Context
	conn *mysqlConn
}

func (t *mysqlTx) Commit() error { return t.end("COMMIT") }

func (t *mysqlTx) Rollback() error { return t.end("ROLLBACK") }

// end closes the connection if the transaction cannot be ended in any other way.
func (t *mysqlTx) end(text string) error {
	_, err := t.conn.ExecContext(t.ctx, text, nil)
	t.conn.inTx = false
	if err != nil {
		return errors.Join(err, t.conn.Close())
	}
	return nil
}
