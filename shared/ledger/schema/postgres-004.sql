-- What a commit needs to be one statement, over HTTPS and over a connection: one function, and
-- in each item the commit that wrote it, so that a commit which is repeated because its
-- answer was lost knows itself.
ALTER TABLE wxrefund_items ADD COLUMN commit_id text COLLATE "C";

-- items is an array of objects: k the key, v the version that is expected (0: none), s the
-- shard, d due, c the class, a the time under it, b the body in Base64. All of them are
-- written, or none. The answer is
--
--     done       they were written, by this call or by an earlier one with the same id
--     stale      they were not, since one of them has another version
--     overtaken  the same if there was no earlier call; if there was, nobody can tell
--                any more, since each item has been written by others since
CREATE FUNCTION wxrefund_commit(items jsonb, id text) RETURNS text
    LANGUAGE plpgsql STRICT
    SET lock_timeout = '2s'
AS $function$
DECLARE
    one record;
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
    BEGIN
        -- The same order in every commit: no two of them wait for each other.
        FOR one IN
            SELECT * FROM jsonb_to_recordset(items) AS item (k text, v bigint, s smallint, d bigint, c text, a bigint, b text)
            ORDER BY k COLLATE "C"
        LOOP
            IF one.v = 0 THEN
                INSERT INTO wxrefund_items (item_key, version, due_shard, due, class, class_at, body, commit_id)
                VALUES (one.k, 1, one.s, one.d, one.c, one.a, decode(one.b, 'base64'), id)
                ON CONFLICT (item_key) DO NOTHING;
            ELSE
                UPDATE wxrefund_items
                SET version = version + 1, due_shard = one.s, due = one.d, class = one.c, class_at = one.a,
                    body = decode(one.b, 'base64'), commit_id = id
                WHERE item_key = one.k AND version = one.v;
            END IF;
            IF NOT FOUND THEN
                RAISE EXCEPTION USING ERRCODE = 'WXREF', MESSAGE = 'another version';
            END IF;
        END LOOP;
        RETURN 'done';
    EXCEPTION WHEN SQLSTATE 'WXREF' THEN
        NULL; -- the items before it are taken back
    END;
    -- Versions only grow, and a program that knows no commit_id leaves the one that is there.
    -- So an item whose next version is there without our id was not written by us.
    RETURN (
        SELECT CASE
            WHEN bool_or(stored.commit_id = id) THEN 'done'
            WHEN bool_and(coalesce(stored.version - 1 > item.v, false)) THEN 'overtaken'
            ELSE 'stale'
        END
        FROM jsonb_to_recordset(items) AS item (k text, v bigint)
        LEFT JOIN wxrefund_items AS stored ON stored.item_key = item.k
    );
END
$function$;

-- Nobody gets in by the function who does not by the table, and visitors of an app by neither:
-- some platforms let them into whatever is made.
REVOKE ALL ON FUNCTION wxrefund_commit(jsonb, text) FROM PUBLIC;

DO $roles$
DECLARE
    visitor name;
BEGIN
    FOR visitor IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON TABLE wxrefund_items FROM %I', visitor);
        EXECUTE format('REVOKE ALL ON FUNCTION wxrefund_commit(jsonb, text) FROM %I', visitor);
    END LOOP;
END
$roles$;
