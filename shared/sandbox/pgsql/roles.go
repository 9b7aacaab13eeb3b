package pgsql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
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
    FOR role IN
        SELECT * FROM (VALUES ('cloudbase_postgres', 'BYPASSRLS'), ('cloudbase_read_only_user', ''), ('anon', ''), ('authenticated', ''), ('service_role', 'BYPASSRLS')) AS wanted (name, attribute)
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
    LOOP
        EXECUTE format('CREATE ROLE %I NOLOGIN %s', role.name, role.attribute);
    END LOOP;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
        GRANT cloudbase_postgres, cloudbase_read_only_user TO SESSION_USER;
    END IF;
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO cloudbase_postgres', current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO cloudbase_read_only_user, anon, authenticated, service_role', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE cloudbase_postgres IN SCHEMA %I GRANT ALL ON TABLES TO anon, authenticated, service_role', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE cloudbase_postgres IN SCHEMA %I GRANT SELECT ON TABLES TO cloudbase_read_only_user', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE cloudbase_postgres IN SCHEMA %I GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role', current_schema());
END
$roles$`

// makeRoles needs a user who may make roles the first time, and later one who is a member
// of them and may grant in the schema.
func (d *Door) makeRoles(ctx context.Context) (err error) {
	conn, err := pgx.ConnectConfig(ctx, d.database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	// Roles are the whole server's: somebody else may be making them, or granting in the
	// same catalogue rows, for another database of it.
	for try := 1; ; try++ {
		_, err = conn.Exec(ctx, makeRoles)
		code := ""
		if e, ok := errors.AsType[interface {
			error
			SQLState() string
		}](err); ok {
			code = e.SQLState()
		}
		if again := code == "XX000" || code == "42710" || code == "23505"; err == nil || !again || try == 10 { // tuple concurrently updated, duplicate_object, unique_violation
			if err != nil {
				err = fmt.Errorf("its user must be one who may make roles: %w", err)
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
