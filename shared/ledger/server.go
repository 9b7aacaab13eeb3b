package ledger

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// What databases behind a network have in common. Our processes are functions:
// many at once, each with little to do, any of them frozen between two calls,
// or in the middle of one.
const (
	// defaultConns is how many connections a process has at most; the URL's
	// pool_max_conns says otherwise. One is made only if all others are in use: a
	// function that answers one call at a time has one or two. Who answers many at
	// once waits for a connection otherwise, and commits that come together are
	// flushed to the disk together. A server takes a few hundred in all.
	defaultConns = 8

	// maxIdle is how long an unused connection is kept. Gateways forget silent
	// connections without a word, the stingier ones after a minute or two.
	maxIdle = 50 * time.Second

	// maxLifetime brings connections to the new server after a failover that
	// changed a name's address.
	maxLifetime = 10 * time.Minute

	// maxDial bounds the making of a connection if the context does not.
	maxDial = 5 * time.Second

	// lockSeconds is how long a statement waits for another's lock before it
	// is tried again: MySQL does not notice that a waiting client has gone, and keeps
	// what that holds locked for so long.
	lockSeconds = 3

	// lockAttempts is how often a transaction is tried that meets a deadlock, a
	// conflict or another's lock.
	lockAttempts = 10
)

// A server is a table behind a network. Nothing is sent to it until the ledger is
// first used: a call that is refused before, or a forged notification, costs no
// connection, and a database that is down fails calls and not the start.
type server struct {
	*table
	write     committer
	migration once
}

// A committer writes all items, sorted by key, or none, in one statement: begun, written and
// ended one by one, each would be a round trip, and rows be locked for all of them.
type committer func(ctx context.Context, t *table, items []refund.Item) error

func newServer(connector sqldriver.Connector, conns int, d dialect, write committer) *server {
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(maxIdle)
	db.SetConnMaxLifetime(maxLifetime)
	return &server{table: newTable(db, d), write: write}
}

func (s *server) get(ctx context.Context, keys []refund.Key) (map[refund.Key]refund.Item, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.get(ctx, keys)
}

func (s *server) commit(ctx context.Context, items []refund.Item) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.write(ctx, s.table, items)
}

func (s *server) read(ctx context.Context, keys []refund.Key) (map[refund.Key]refund.Item, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.read(ctx, keys)
}

func (s *server) listDue(ctx context.Context, due int64, after position, limit int) ([]placed, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.listDue(ctx, due, after, limit)
}

func (s *server) listClasses(ctx context.Context, r classRange, limit int) ([]entry, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.listClasses(ctx, r, limit)
}

func (s *server) listKeys(ctx context.Context, after refund.Key, limit int) ([]refund.Item, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.listKeys(ctx, after, limit)
}

func (s *server) count(ctx context.Context, selected selection) (int64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	return s.table.count(ctx, selected)
}

func (s *server) schema(ctx context.Context) (have, want int, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, 0, err
	}
	return s.table.schema(ctx)
}

func (s *server) addIndexes(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.table.addIndexes(ctx)
}

// ready brings the schema up to date, once.
func (s *server) ready(ctx context.Context) error {
	return s.migration.do(ctx, func() error {
		if err := s.migrate(ctx); err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		return nil
	})
}

// schemaComment is the comment on our table, followed by the number of the
// schema's steps that it has. A comment changes together with the table, in one
// statement or transaction: the two cannot disagree after a crash.
const schemaComment = "wxrefund schema "

// commentVersion reads the comment of a table that exists.
func commentVersion(comment string, known int) (int, error) {
	number, ok := strings.CutPrefix(comment, schemaComment)
	version, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0, fmt.Errorf("the comment on table wxrefund_items is %q, want %q and a number: the table is not ours", comment, schemaComment)
	}
	return version, checkVersion(version, newestUsable(known))
}

// serverURL parses what follows the scheme, and takes out of it how many
// connections a process may have. A URL that cannot be parsed is not repeated in
// the error, not even in part: the cause may be a raw character in the password.
func serverURL(scheme, rest string) (u *url.URL, conns int, err error) {
	u, err = url.Parse(scheme + ":" + rest)
	if err != nil || !strings.HasPrefix(rest, "//") {
		return nil, 0, errors.New("the URL is malformed; special characters of the password must be percent-encoded")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, 0, errors.New("the parameters of the URL are malformed")
	}
	conns = defaultConns
	if query.Has("pool_max_conns") {
		conns, err = strconv.Atoi(query.Get("pool_max_conns"))
		if err != nil || conns < 1 {
			return nil, 0, fmt.Errorf("pool_max_conns is %q, want a number from 1", query.Get("pool_max_conns"))
		}
		query.Del("pool_max_conns")
	}
	u.RawQuery = query.Encode()
	return u, conns, nil
}

// isLoopback reports that what is sent to the host does not leave this machine.
func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback() || strings.HasPrefix(host, "/") // a Unix socket
}

// errLost marks a failure of the connection by which nothing has changed: of a
// query, or of a transaction's beginning. database/sql then repeats it over
// another connection, so that a server's restart between two calls is not noticed.
func errLost(err error) error {
	return fmt.Errorf("%w: %w", sqldriver.ErrBadConn, err)
}

// idleness drops connections that have lain unused for too long. database/sql
// does that too, but by a timer, which stands still while the process is frozen.
type idleness struct {
	used time.Time
}

// reset is called when a connection is used again.
func (i *idleness) reset(now time.Time) error {
	now = now.Round(0) // the wall's clock: the other one stands still too
	was := i.used
	i.used = now
	if !was.IsZero() && now.Sub(was) > maxIdle {
		return sqldriver.ErrBadConn
	}
	return nil
}
