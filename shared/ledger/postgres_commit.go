//go:build postgres || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"

	"wxrefund/shared/refund"
)

// errAnswerLost reports that a connection was lost: what was sent over it may have been carried out.
var errAnswerLost = errors.New("the connection was lost before the answer")

// commitPostgres writes all items by one call of the function that CloudBase's ledger calls too.
// It is the cheapest of the ways that take one round trip, on both sides: its plans stay in the
// connection, where statements of ours would be parsed and planned each time, since behind
// PgBouncer in transaction mode they cannot be prepared.
//
// If the connection is lost, the same commit is sent again over another one, and says whether
// it was carried out. So neither a server's restart between two calls is noticed, nor a gateway that
// forgets connections.
//
// Each statement is a transaction of the isolation that is the server's default. Any will do: the
// function's conditions decide under READ COMMITTED, and the others refuse to write over what they did not
// see, upon which it is called again.
func commitPostgres(ctx context.Context, t *table, items []refund.Item) error {
	commit, err := newFunctionCommit(items)
	if err != nil {
		return err
	}
	inDoubt := false
	for lost := 0; ; lost++ {
		var outcome string
		err := t.dialect.retry(ctx, func() (err error) {
			outcome, err = callPostgres(ctx, t, commit)
			return err
		})
		switch {
		case err == nil:
			return functionOutcome(outcome, inDoubt)
		case !errors.Is(err, errAnswerLost) || lost >= t.db.Stats().MaxOpenConnections: // all that were kept, and a new one
			return err
		}
		inDoubt = true
	}
}

func callPostgres(ctx context.Context, t *table, commit functionCommit) (outcome string, err error) {
	conn, err := t.db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	// database/sql's own calls repeat a query by themselves, and do not say so.
	err = conn.Raw(func(driver any) (err error) {
		outcome, err = driver.(*pgConn).commit(ctx, t.dialect.rebind(callCommit), commit)
		return err
	})
	return outcome, err
}

// commitHint says what to do about an error by its SQLSTATE; "": nothing is known.
func commitHint(code string) string {
	switch code {
	case "42501":
		return "run as the owner: GRANT SELECT, INSERT, UPDATE ON TABLE wxrefund_items TO this account, and GRANT EXECUTE ON FUNCTION wxrefund_commit(jsonb, text) TO it"
	case "42883":
		return "restore the function from shared/ledger/schema/postgres-004.sql: a copy of the table alone lacks it"
	case "25006":
		return "name the primary; if transactions of this account only read by default, put default_transaction_read_only=off into the URL, or behind PgBouncer: ALTER ROLE this account SET default_transaction_read_only = off"
	}
	return ""
}

func (c *pgConn) commit(ctx context.Context, text string, commit functionCommit) (outcome string, err error) {
	err = c.conn.QueryRow(ctx, text, commit.items, commit.id).Scan(&outcome)
	if err == nil {
		return outcome, nil
	}
	code := postgresCode(err)
	if hint := commitHint(code); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	switch {
	case code == "25006": // a primary until lately
		err = errors.Join(err, c.Close())
	case c.conn.IsClosed() && ctx.Err() == nil:
		err = fmt.Errorf("%w: %w", errAnswerLost, err)
	}
	return "", err
}
