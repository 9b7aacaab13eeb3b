// Package pgsql plays exec-pgsql, the call by which CloudBase's HTTP API runs SQL in the
// PostgreSQL of an environment (docs.cloudbase.net, HTTP API, PostgreSQL, ExecPgSQL), over
// a real PostgreSQL: one statement a call, each in a session and a transaction of its
// own, as a role. Calls beyond a few at once wait for each other, as do those that the
// server has no connection left for.
//
// Documented are the request, the array of row objects, the roles, the codes of errors
// and that only administrators may call. Users have measured that several statements are
// refused, that the number of parameters must be that of the placeholders, that the two
// roles below are the only ones, and that a call fails now and then for no reason of its
// own. How a value is written, the status of DATABASE_EXEC_ERROR, that the statement of a
// client who has gone is cancelled if it is not done yet, and all bounds are choices of
// this package.
package pgsql

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Path is where the real one is.
const Path = "/v1/rdb/exec-pgsql"

// The roles that a call may name. Without one it is [RoleReader]'s.
const (
	RoleOwner  = "cloudbase_postgres"
	RoleReader = "cloudbase_read_only_user"
)

// tooManyConnections is PostgreSQL's code for want of a connection.
const tooManyConnections = "53300"

const (
	maxRequest = 16 << 20         // bytes of a request
	maxAnswer  = 64 << 20         // bytes of all values of an answer
	maxTime    = 15 * time.Second // of a call
	maxOpen    = 16               // connections at once; who comes meanwhile waits
	maxIdle    = 2                // connections that are kept for the next calls
)

// A Config says what a [Door] stands before.
type Config struct {
	Database string // URL of a PostgreSQL; a search_path in it is kept to

	// Allow says whether a call is an administrator's; nil: every call with a Bearer is.
	Allow func(r *http.Request, body []byte) bool

	// Fault is asked what each call is to suffer that no armed fault strikes; nil: nothing.
	Fault func() Fault

	Seed uint64
	Rate float64 // of calls that fail by themselves, from 0 to 1, as the real one's do now and then
}

// A Door serves [Path]. Make one with [New]; it is safe for concurrent use.
type Door struct {
	config   Config
	database *pgx.ConnConfig
	faults   faults
	open     chan struct{} // holds one for each connection in use
	idle     chan *pgx.Conn

	ctx    context.Context // ends when the door closes
	close  context.CancelFunc
	mu     sync.Mutex
	closed bool
	calls  int
	wg     sync.WaitGroup
}

// New opens the door, and makes the roles that databases of CloudBase have, if they lack.
// An error does not show the URL.
func New(c Config) (*Door, error) {
	config, err := pgx.ParseConfig(c.Database)
	if err != nil {
		if err = errors.Unwrap(err); err == nil {
			err = errors.New("not a URL that PostgreSQL understands")
		}
		return nil, fmt.Errorf("pgsql: the database: %w", err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	d := &Door{config: c, database: config, faults: newFaults(c.Seed, c.Rate), open: make(chan struct{}, maxOpen), idle: make(chan *pgx.Conn, maxIdle)}
	d.ctx, d.close = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(d.ctx, maxTime)
	defer cancel()
	if err := d.makeRoles(ctx); err != nil {
		return nil, fmt.Errorf("pgsql: the roles: %w", err)
	}
	return d, nil
}

// Close ends the calls that run, waits for them, and refuses others. It never fails.
func (d *Door) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.close()
	d.wg.Wait()
	for {
		select {
		case conn := <-d.idle:
			closeNow(context.Background(), conn)
		default:
			return nil
		}
	}
}

// Calls returns how many calls there were, refused ones included.
func (d *Door) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// enter begins a call; false: the door is closed.
func (d *Door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.calls++
	d.wg.Add(1)
	return true
}

// A refusal is an answer that is not rows.
type refusal struct {
	status        int
	code, message string
}

// ServeHTTP answers a call.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.enter() {
		panic(http.ErrAbortHandler)
	}
	defer d.wg.Done()
	ctx, cancel := context.WithTimeout(r.Context(), maxTime)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()

	id := rand.Text()
	w.Header().Set("X-Request-Id", id)
	rows, no := d.call(ctx, w, r)
	if no == nil {
		writeJSON(w, http.StatusOK, rows)
		return
	}
	writeJSON(w, no.status, map[string]string{"code": no.code, "message": no.message, "requestId": id})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // neither rows nor texts have what cannot be written
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; that is its affair
}

// call does what is asked. A fault that leaves no answer ends the connection by a panic.
func (d *Door) call(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]json.RawMessage, *refusal) {
	if r.Method != http.MethodPost {
		return nil, &refusal{http.StatusMethodNotAllowed, "INVALID_PARAM", "the method must be POST"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "INVALID_PARAM", "the body is too large, or broke off"}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	allowed := d.config.Allow
	switch {
	case token == "":
		return nil, &refusal{http.StatusUnauthorized, "UNAUTHORIZED", "no credentials"}
	case allowed == nil && scheme != "Bearer", allowed != nil && !allowed(r, body):
		return nil, &refusal{http.StatusUnauthorized, "UNAUTHORIZED", "invalid credentials"}
	}
	q, no := readRequest(body)
	if no != nil {
		return nil, no
	}
	fault := d.faults.next(q.SQL)
	if fault == "" && d.config.Fault != nil {
		fault = d.config.Fault()
	}
	if no := fault.before(ctx, d.ctx); no != nil {
		return nil, no
	}
	rows, no := d.run(ctx, q)
	if after := fault.after(ctx, d.ctx); after != nil {
		return nil, after
	}
	return rows, no
}

// connect returns a connection for one call, which ends with done.
func (d *Door) connect(ctx context.Context) (conn *pgx.Conn, done func(), err error) {
	select {
	case d.open <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	for {
		if conn = d.reuse(ctx); conn != nil {
			err = nil
			break
		}
		conn, err = pgx.ConnectConfig(ctx, d.database)
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != tooManyConnections {
			break
		}
		select { // others have them all, for a call each
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err != nil {
		<-d.open
		return nil, nil, err
	}
	return conn, func() { d.disconnect(ctx, conn) }, nil
}

// reuse takes a connection that an earlier call has left, as if it were new; nil: there is
// none, or it is lost.
func (d *Door) reuse(ctx context.Context) *pgx.Conn {
	select {
	case conn := <-d.idle:
		if _, err := conn.Exec(ctx, "DISCARD ALL"); err == nil {
			return conn
		}
		closeNow(ctx, conn)
	default:
	}
	return nil
}

// disconnect ends a call's use of a connection.
func (d *Door) disconnect(ctx context.Context, conn *pgx.Conn) {
	defer func() { <-d.open }()
	if !conn.IsClosed() && conn.PgConn().TxStatus() == 'I' && d.ctx.Err() == nil {
		select {
		case d.idle <- conn:
			return
		default:
		}
	}
	closeNow(ctx, conn)
}

func closeNow(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // what it was for is done
	// A statement that was broken off is being cancelled, for seconds at most.
	<-conn.PgConn().CleanupDone()
}

// run runs the statement of a request in a transaction of its own.
func (d *Door) run(ctx context.Context, q request) (rows []json.RawMessage, no *refusal) {
	conn, done, err := d.connect(ctx)
	if err != nil {
		return nil, failed(err)
	}
	defer done()
	begin := "BEGIN READ WRITE"
	if q.Role == RoleReader {
		begin = "BEGIN READ ONLY"
	}
	for _, text := range []string{begin, "SET LOCAL ROLE " + q.Role, fmt.Sprintf("SET LOCAL statement_timeout = %d", maxTime.Milliseconds())} {
		if _, err := conn.Exec(ctx, text); err != nil {
			return nil, failed(err)
		}
	}
	rows, err = statement(ctx, conn.PgConn(), q)
	if err != nil {
		return nil, failed(err)
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		return nil, failed(err)
	}
	return rows, nil
}

// failed is the answer to what PostgreSQL, or the way to it, did not like.
func failed(err error) *refusal {
	switch e, ok := errors.AsType[*pgconn.PgError](err); {
	case ok:
		return &refusal{http.StatusBadRequest, "DATABASE_" + e.Code, e.Message}
	case errors.Is(err, errParameters):
		return &refusal{http.StatusBadRequest, "DATABASE_EXEC_ERROR", err.Error()}
	default:
		return &refusal{http.StatusInternalServerError, "INTERNAL_ERROR", "the database cannot be reached, or the answer is too large"}
	}
}
