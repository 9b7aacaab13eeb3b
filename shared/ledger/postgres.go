//go:build postgres || !slim

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var postgresDriver = []driver{{"postgres", "postgres://USER:PASSWORD@HOST/DATABASE", openPostgres}}

// openPostgres takes what libpq's URLs have, and pool_max_conns. It sends
// nothing yet; see [server].
//
// The URL must name the primary: from a replica, reads are not up to date.
// synchronous_commit is raised from off, which loses acknowledged commits when
// the server crashes, but a server with fsync=off cannot be helped, and if
// replication is asynchronous a failover may lose the last commits.
func openPostgres(_ context.Context, rest string, _ options) (store, error) {
	config, conns, err := postgresConfig(rest)
	if err != nil {
		return nil, err
	}
	d := dialect{
		name: "postgres", migrate: migratePostgres, version: postgresVersion,
		placeholder: func(n int) string { return fmt.Sprintf("$%d", n) },
		atOnce:      true,
		snapshot:    sql.LevelRepeatableRead,
		locked: func(err error) bool {
			// A serialization failure, a deadlock, the end of lock_timeout. Not 40003:
			// after it the transaction's outcome is unknown.
			return slices.Contains([]string{"40001", "40P01", "55P03"}, postgresCode(err))
		},
		attempts: lockAttempts,
	}
	return newServer(pgConnector{config}, conns, d, commitPostgres), nil
}

// postgresConfig parses a URL. Unless it has an sslmode, a server on another
// machine must prove by its certificate to be the one that the URL names.
//
// Statements are sent as text in an unnamed statement, with their parameters
// apart from it: one round trip, and nothing stays behind in a connection. Named
// prepared statements would not be found behind PgBouncer in transaction mode,
// where the next transaction meets another connection of the server's, and
// preparing costs each new process a round trip a statement. For the same reason
// nothing is set for a session, and no parameter is sent at its start that the
// URL does not have: PgBouncer would refuse it.
func postgresConfig(rest string) (config *pgx.ConnConfig, conns int, err error) {
	u, conns, err := serverURL("postgres", rest)
	if err != nil {
		return nil, 0, err
	}
	query := u.Query()
	if !query.Has("connect_timeout") {
		query.Set("connect_timeout", fmt.Sprint(int(maxDial.Seconds())))
	}
	bare := !query.Has("sslmode") // a default of the environment's is not asked
	if bare {
		query.Set("sslmode", "disable")
	}
	for {
		u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // as libpq has it, a plus is a plus
		config, err = pgx.ParseConfig(u.String())
		if err != nil {
			// The error itself repeats the URL; the one within says what is wrong.
			if err = errors.Unwrap(err); err == nil {
				err = errors.New("the URL is not one that PostgreSQL understands")
			}
			return nil, 0, err
		}
		far := !isLoopback(config.Host) || slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool { return !isLoopback(f.Host) })
		if !bare || !far {
			break
		}
		bare = false
		query.Set("sslmode", "verify-full")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	return config, conns, nil
}

// migratePostgres applies the steps of the schema that the database does not
// have yet, all or none. Whoever comes first does it, under a lock that ends with
// the transaction, for one of a session would be left behind in a pooler; the
// others then find it done. A database that has more steps than we know is refused.
func migratePostgres(ctx context.Context, db *sql.DB, steps []string) error {
	// Almost always there is nothing to do, and this is the one round trip.
	done, err := postgresVersion(ctx, db, len(steps))
	if err != nil || done >= len(steps) {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a commit
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", schemaLock); err != nil {
		return err
	}
	if done, err = postgresVersion(ctx, tx, len(steps)); err != nil || done >= len(steps) {
		return err
	}
	for i, step := range steps[done:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("step %d: %w", done+i+1, err)
		}
	}
	comment := fmt.Sprintf("COMMENT ON TABLE wxrefund_items IS '%s%d'", schemaComment, len(steps))
	if _, err := tx.ExecContext(ctx, comment); err != nil {
		return err
	}
	return tx.Commit()
}

// postgresVersion returns how many steps of the schema the database has, which
// is at most known.
func postgresVersion(ctx context.Context, q querier, known int) (int, error) {
	// To read pg_class makes the server's process look for what others have
	// created meanwhile. A bare to_regclass is answered from its cache, which after
	// the wait for the lock still says that there is no such table.
	var comment string
	err := q.QueryRowContext(ctx, `SELECT coalesce(obj_description(oid, 'pg_class'), '')
		FROM pg_class WHERE oid = to_regclass('wxrefund_items')`).Scan(&comment)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return commentVersion(comment, known)
}

// postgresCode returns the SQLSTATE; "" if err is no answer of the server's.
func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
