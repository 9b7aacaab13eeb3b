//go:build cloudbase || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// cloudMigration is after how long the answer to a step of the schema is taken for lost. A
// repeat waits for the first one, and finds it done.
const cloudMigration = 30 * time.Second

// cloudFunction is the schema's step from which on there is the function that commits.
const cloudFunction = 4

// cloudLook proves in one call what nothing documents well enough, and looks at the schema
// and at who is let in. It reads pg_class as [postgresVersion] does.
const cloudLook = `SELECT
    ?::text AS number, encode(decode(?, 'base64'), 'base64') AS bytes, current_user::text AS role,
    (pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on')::text AS readonly,
    CASE WHEN items.oid IS NOT NULL THEN coalesce(obj_description(items.oid, 'pg_class'), '') END AS comment,
    (fn.oid IS NOT NULL)::text AS committer,
    (SELECT string_agg(wanted, ', ') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS wanted WHERE NOT has_table_privilege(items.oid, wanted)) AS lacks,
    (NOT has_function_privilege(fn.oid, 'EXECUTE'))::text AS barred,
    (SELECT string_agg(rolname, ', ' ORDER BY rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') AND (
        has_table_privilege(pg_roles.oid, items.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(pg_roles.oid, items.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        OR has_function_privilege(pg_roles.oid, fn.oid, 'EXECUTE'))) AS visitors
FROM (SELECT) AS one
LEFT JOIN pg_class AS items ON items.oid = to_regclass('wxrefund_items')
LEFT JOIN pg_proc AS fn ON fn.oid = to_regprocedure('wxrefund_commit(jsonb, text)')`

const cloudLookColumns = "number bytes role readonly comment committer lacks barred visitors"

// What goes there and must come back: a number that is none of JavaScript's, and bytes that
// are no text.
const (
	probeNumber = int64(1)<<53 + 1
	probeBytes  = "AP8nIlyA"
)

// ready looks at the database, and brings the schema up to date. Each look takes a read
// with it, if there is one, since a call is much time; been says that this has been done,
// in a database that is as it must be.
func (c *cloud) ready(ctx context.Context, read func(context.Context) error) (been bool, err error) {
	have, been, err := c.lookAndRead(ctx, read)
	if err != nil || have >= len(c.steps) {
		return been, err
	}
	last := 0
	for first := have + 1; first <= len(c.steps); first = last + 1 {
		last = first
		if first == 1 { // they have nothing to do in a new ledger
			last = len(c.steps)
		}
		err := c.retryWithin(ctx, cloudMigration, func(ctx context.Context, _ bool) error {
			_, err := c.exec(ctx, "", cloudSteps(c.steps, first, last))
			return err
		})
		if err != nil {
			if e, ok := errors.AsType[*cloudError](err); ok && e.code == "DATABASE_42501" {
				e.do = "apply the files in migrations of the package by CloudBase's own command (tcb db pg migration), whose role may change tables"
			}
			return false, fmt.Errorf("schema: step %d: %w", first, err)
		}
	}
	have, been, err = c.lookAndRead(ctx, read)
	if err == nil && have < len(c.steps) {
		err = fmt.Errorf("schema: the database has schema %d after its steps, want %d", have, len(c.steps))
	}
	return been, err
}

// lookAndRead looks while it reads, unless read is nil. What was read counts only if nothing
// was found that is not as it must be.
func (c *cloud) lookAndRead(ctx context.Context, read func(context.Context) error) (have int, been bool, err error) {
	early, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := errors.New("there is nothing to read")
	var reading sync.WaitGroup
	if read != nil {
		reading.Go(func() { failed = read(early) })
	}
	have, err = c.look(ctx)
	current := err == nil && have >= len(c.steps)
	if !current {
		cancel()
	}
	reading.Wait()
	return have, current && failed == nil, err
}

// look returns which schema the database has; an error if anything is not as the ledger
// needs it.
func (c *cloud) look(ctx context.Context) (have int, err error) {
	var row cloudRow
	err = c.retry(ctx, func(ctx context.Context, _ bool) error {
		row, err = c.one(ctx, cloudLookColumns, cloudLook, probeNumber, probeBytes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look at the database: %w", err)
	}
	column := func(name string) string {
		if v := row[name]; v != nil {
			return *v
		}
		return ""
	}
	if row["comment"] != nil {
		if have, err = commentVersion(column("comment"), len(c.steps)); err != nil {
			return 0, err
		}
	}
	var findings []error
	found := func(wrong bool, code, what, do string) {
		if wrong {
			findings = append(findings, &cloudError{code: code, cloudMeaning: cloudMeaning{what: what, do: do}})
		}
	}
	role := column("role")
	found(column("number") != fmt.Sprint(probeNumber) || column("bytes") != probeBytes, "PARAMETERS",
		"parameters do not come back as they were sent", "do not use this ledger here: amounts could be changed on their way")
	found(column("readonly") != "false", "READ_ONLY",
		"the database that answers role "+role+" takes no writes", "check whether the environment's database is a replica, or stopped for want of payment")
	found(have >= cloudFunction && column("committer") != "true", "NO_FUNCTION",
		"function wxrefund_commit is gone", "restore it from shared/ledger/schema/postgres-004.sql")
	found(column("lacks") != "", "NO_RIGHT", "role "+role+" lacks "+column("lacks")+" on table wxrefund_items",
		"run as its owner: GRANT SELECT, INSERT, UPDATE ON TABLE wxrefund_items TO "+role)
	found(column("barred") == "true", "NO_RIGHT", "role "+role+" may not run function wxrefund_commit",
		"run as its owner: GRANT EXECUTE ON FUNCTION wxrefund_commit(jsonb, text) TO "+role)
	found(have >= cloudFunction && column("visitors") != "", "EXPOSED", "visitors of the app have access to the ledger: role "+column("visitors"), revokeFrom(column("visitors")))
	return have, errors.Join(findings...)
}

// revokeFrom is what shuts visitors out.
func revokeFrom(visitors string) string {
	return "run as the owner: REVOKE ALL ON TABLE wxrefund_items FROM PUBLIC, " + visitors +
		" and REVOKE ALL ON FUNCTION wxrefund_commit(jsonb, text) FROM PUBLIC, " + visitors
}

// cloudSteps makes some steps of the schema one statement, and so one transaction, that does
// not do what is done. Whoever comes first does it, under the lock that the ledger over a
// connection takes too. From the first step on visitors of the app are shut out, whom the
// platform may let into whatever is made.
func cloudSteps(steps []string, first, last int) string {
	var body strings.Builder
	for step := first; step <= last; step++ {
		fmt.Fprintf(&body, "    IF have < %d THEN\n%s;\n    END IF;\n", step, strings.TrimRight(steps[step-1], "; \n"))
	}
	return fmt.Sprintf(`DO $wxrefund$
DECLARE
    visitor name;
    have int;
BEGIN
    PERFORM pg_advisory_xact_lock(%d);
    have := coalesce((SELECT substring(obj_description(oid, 'pg_class') FROM '^%s(\d+)$')::int
        FROM pg_class WHERE oid = to_regclass('wxrefund_items')), 0);
    IF have >= %d THEN
        RETURN;
    END IF;

%s
    COMMENT ON TABLE wxrefund_items IS '%s%d';
    FOR visitor IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON TABLE wxrefund_items FROM %%I', visitor);
    END LOOP;
END
$wxrefund$`, schemaLock, schemaComment, last, body.String(), schemaComment, last)
}

// schema looks at the database anew.
func (c *cloud) schema(ctx context.Context) (have, want int, err error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	have, err = c.look(ctx)
	return have, len(c.steps), err
}

// addIndexes has nothing to add: the schema's steps make every index.
func (c *cloud) addIndexes(ctx context.Context) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	leave()
	return ctx.Err()
}
