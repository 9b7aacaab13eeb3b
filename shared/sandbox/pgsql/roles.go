package pgsql

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// makeRoles has the roles in the database that CloudBase's have (docs.cloudbase.net,
// PostgreSQL, roles and permissions), and lets them into the schema. A new table or
// function is open to visitors, which not every platform does and some do: who keeps
// secrets there must close it.
const makeRoles = `DO $roles$
DECLARE
    role record;
BEGIN
    PERFORM pg_advisory_xact_lock(7523094288207667809);
    IF current_schema() IS NULL THEN
        RAISE EXCEPTION 'no schema of the search_path is there' USING ERRCODE = 'invalid_schema_name';
    END IF;
    FOR role IN
        SELECT * FROM (VALUES ('cloudbase_postgres', 'BYPASSRLS'), ('cloudbase_read_only_user', ''), ('anon', ''), ('authenticated', ''), ('service_role', 'BYPASSRLS')) AS wanted (name, attribute)
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
    LOOP
        EXECUTE format('CREATE ROLE %I NOLOGIN %s', role.name, role.attribute);
    END LOOP;
    IF NOT (pg_has_role(session_user, 'cloudbase_postgres', 'MEMBER') AND pg_has_role(session_user, 'cloudbase_read_only_user', 'MEMBER')) THEN
        GRANT cloudbase_postgres, cloudbase_read_only_user TO SESSION_USER;
    END IF;
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO cloudbase_postgres', current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO cloudbase_read_only_user, anon, authenticated, service_role', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE cloudbase_postgres IN SCHEMA %I GRANT ALL ON TABLES TO anon, authenticated, service_role', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE cloudbase_postgres IN SCHEMA %I GRANT SELECT ON TABLES TO cloudbase_read_only_user', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE cloudbase_postgres IN SCHEMA %I GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role', current_schema());
    IF NOT has_schema_privilege('cloudbase_postgres', current_schema(), 'CREATE') THEN -- to grant what one may not is no error
        RAISE EXCEPTION 'cloudbase_postgres may create nothing in schema %', current_schema() USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$roles$`

// takeRoles is what each call does with them.
const takeRoles = "BEGIN; SET LOCAL ROLE " + RoleReader + "; SET LOCAL ROLE " + RoleOwner + "; ROLLBACK"

// makeRoles needs a superuser the first time, and later anybody who is a member of the two
// roles that calls name, and owns the schema.
func (d *Door) makeRoles(ctx context.Context) (err error) {
	conn, done, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	// Roles are the whole server's: somebody else may be making them, or granting in the
	// same catalogue rows, for another database of it.
	for try := 1; ; try++ {
		if _, err = conn.Exec(ctx, makeRoles); err == nil {
			_, err = conn.Exec(ctx, takeRoles)
		}
		code := ""
		if e, ok := errors.AsType[interface {
			error
			SQLState() string
		}](err); ok {
			code = e.SQLState()
		}
		if again := code == "XX000" || code == "42710" || code == "23505"; err == nil || !again || try == 10 { // tuple concurrently updated, duplicate_object, unique_violation
			if code == "42501" { // insufficient_privilege
				err = fmt.Errorf("the user must be a superuser, or a member of %s and %s who owns the schema: %w", RoleOwner, RoleReader, err)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}
