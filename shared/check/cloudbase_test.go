package check_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"wxrefund/functions/process"
	"wxrefund/shared/check"
	"wxrefund/shared/sandbox/pgsql"
)

// onCloudBase deploys with a ledger at CloudBase, on which the timer has run.
func onCloudBase(t *testing.T) (*deployment, *process.CloudBase) {
	t.Helper()
	c := process.StartCloudBase(t)
	d := deploy(t, "wecom", "")
	d.settings["LEDGER_URL"], d.settings["CLOUDBASE_APIKEY"] = c.URL, c.Key
	sys := d.load(d.settings)
	sys.Refunds.NoBill = true
	if _, err := sys.Refunds.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, c
}

// A ledger at CloudBase that is right is looked at with the key of the settings, which need
// not be the process's.
func TestALedgerAtCloudBaseIsLookedAt(t *testing.T) {
	d, c := onCloudBase(t)
	got := d.check(nil)
	t.Logf("\n%s", show(got))
	for _, line := range []string{"ledger", "ledger schema", "ledger speed", "timer"} {
		if r := find(got, line); len(r) != 1 || r[0].Status != check.OK {
			t.Errorf("%s: got %+v, want ok", line, r)
		}
	}
	if check.Problems(got) != 0 || strings.Contains(show(got), c.Key) {
		t.Errorf("got\n%s", show(got))
	}
}

// What is wrong with it has a line each, with what to do, and shows no key.
func TestWhatIsWrongAtCloudBaseHasItsLine(t *testing.T) {
	d, c := onCloudBase(t)
	conn, err := pgx.Connect(t.Context(), c.TCP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	run := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := conn.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	const commit = "wxrefund_commit(jsonb, text)"
	type finding struct{ says, do string }
	for _, f := range []struct {
		name   string
		change map[string]string
		before []string // statements
		after  []string
		fault  pgsql.Fault
		lines  []finding
	}{
		{name: "another key", change: map[string]string{"CLOUDBASE_APIKEY": "canary"}, lines: []finding{{"401", "server key of this environment"}}},
		{name: "the AI gateway's token", fault: pgsql.Unauthorized, lines: []finding{{"INVALID_ACCESS_TOKEN", "not to the token of its AI gateway"}}},
		{name: "no administrator", fault: pgsql.Forbidden, lines: []finding{{"the key is not an administrator's", "server key of this environment"}}},
		{name: "nothing listens", change: map[string]string{"LEDGER_URL": "cloudbase:env-test?endpoint=http://" + closed(t)},
			lines: []finding{{"connection refused", "nothing listens there: start the server, or correct host and port in LEDGER_URL"}}},
		{name: "it fails", fault: pgsql.ExecError, lines: []finding{{"DATABASE_EXEC_ERROR", "run this again in a minute"}}},
		{name: "it fails with 200", fault: pgsql.Object, lines: []finding{{"INTERNAL_ERROR", "run this again in a minute"}}},
		{name: "visitors are let in", before: []string{"GRANT SELECT ON wxrefund_items TO anon"}, after: []string{"REVOKE ALL ON wxrefund_items FROM anon"},
			lines: []finding{{"visitors of the app have access to the ledger: role anon", "REVOKE ALL ON TABLE wxrefund_items FROM PUBLIC, anon"}}},
		{name: "rights are taken away", before: []string{"REVOKE UPDATE ON wxrefund_items FROM cloudbase_postgres", "REVOKE EXECUTE ON FUNCTION " + commit + " FROM cloudbase_postgres"},
			after: []string{"GRANT UPDATE ON wxrefund_items TO cloudbase_postgres", "GRANT EXECUTE ON FUNCTION " + commit + " TO cloudbase_postgres"},
			lines: []finding{{"lacks UPDATE on table", "GRANT SELECT, INSERT, UPDATE"}, {"may not run function", "GRANT EXECUTE"}}},
		{name: "a newer version", before: []string{"COMMENT ON TABLE wxrefund_items IS 'wxrefund schema 99'"}, lines: []finding{{"newer", "a newer version has been at work"}}},
	} {
		t.Run(f.name, func(t *testing.T) {
			run(f.before...)
			if f.fault != "" {
				c.Strike(1, 1000, f.fault)
			}
			got := d.check(f.change)
			c.Heal()
			run(f.after...)
			t.Logf("\n%s", show(got))
			lines := find(got, "ledger")
			if len(lines) != len(f.lines) {
				t.Fatalf("got %d lines, want %d", len(lines), len(f.lines))
			}
			for i, want := range f.lines {
				r := lines[i]
				if r.Status != check.Problem || !strings.Contains(r.Text, want.says) || !strings.Contains(r.Do, want.do) || strings.Contains(r.Text, r.Do) {
					t.Errorf("got %+v, want a problem that says %q once and to do %q", r, want.says, want.do)
				}
			}
			if text := show(got); strings.Contains(text, c.Key) || strings.Contains(text, "canary") {
				t.Errorf("a key is shown:\n%s", text)
			}
		})
	}
}
