package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

func setComment(t testing.TB, url, comment string) {
	t.Helper()
	text := "COMMENT ON TABLE wxrefund_items IS '" + comment + "'"
	if strings.HasPrefix(url, "mysql") {
		text = "ALTER TABLE wxrefund_items COMMENT '" + comment + "'"
	}
	if _, err := database(t, url).ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// checkPlan returns what is wrong with the plan of a statement: it must find its
// rows by an index and need no sorting, so that its cost does not grow with the ledger.
func checkPlan(t *testing.T, url string, db *sql.DB, text string, args ...any) error {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN "+text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), []any{}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(url, "postgres") {
			plan = append(plan, values[0].String)
			continue
		}
		column := func(name string) string { return values[slices.Index(names, name)].String }
		if strings.HasPrefix(column("table"), "<derived") {
			continue // the few rows of a part, all of which are wanted
		}
		plan = append(plan, fmt.Sprint(column("type"), " of ", column("key"), ", ", column("Extra")))
		if !slices.Contains([]string{"const", "range"}, column("type")) || column("key") == "" {
			err = errors.Join(err, fmt.Errorf("no index: %s", plan))
		}
		if n := len(column("rows")); n > 2 { // 100 and more, of thousands
			err = errors.Join(err, fmt.Errorf("%s rows: %s", column("rows"), plan))
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	all := strings.Join(plan, "\n")
	if strings.HasPrefix(url, "postgres") && (!strings.Contains(all, "Index Scan") && !strings.Contains(all, "Index Only Scan") || strings.Contains(all, "Seq Scan")) {
		err = errors.Join(err, fmt.Errorf("no index: %s", all))
	}
	if strings.Contains(all, "Sort") || strings.Contains(all, "filesort") || strings.Contains(all, "temporary") {
		err = errors.Join(err, fmt.Errorf("sorted: %s", all))
	}
	return err
}

// selections are what may be counted without looking at everything.
func selections() map[string]selection {
	return map[string]selection{
		"count due":     {kind: refund.IndexDue, due: at(80).UnixMilli()},
		"count classes": {kind: refund.IndexClass, classRange: classRange{[]string{"closed", "success"}, at(7950).UnixMilli(), spot{at: at(8000).UnixMilli()}}},
	}
}

func TestServerStatementsUseIndexes(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		s := open(t, url)
		fill(t, s, url, 16_000, 8000)
		tab := s.store.(*server).table
		// The page is deep in the shard's thousand, so that a scan up to it shows.
		listArgs := tab.dialect.dueArgs
		if tab.dialect.atOnce {
			listArgs = tab.dialect.shardArgs
		}
		deep := listArgs(at(8000).UnixMilli(), position{shard: 3, left: 4, due: at(7500).UnixMilli(), key: "refund/00007500"}, 20)
		check := func() map[string]error {
			found := map[string]error{
				"list":   checkPlan(t, url, tab.db, tab.due.text, deep...),
				"update": checkPlan(t, url, tab.db, tab.update.text, 3, nil, nil, nil, []byte("x"), "refund/00000001", int64(1)),
			}
			// As deep in each class; of everything, near the end.
			recent := classRange{growthClasses(), at(1900).UnixMilli(), spot{at(2000).UnixMilli(), "refund/00002000"}}
			found["list classes"] = checkPlan(t, url, tab.db, tab.dialect.rebind(tab.dialect.listClasses(3)), tab.dialect.classArgs(recent, 20)...)
			found["list everything"] = checkPlan(t, url, tab.db, tab.everything.text, "refund/00007950", 20)
			for name, selected := range selections() {
				text, args := tab.dialect.count(selected)
				found[name] = checkPlan(t, url, tab.db, tab.dialect.rebind(text), args...)
			}
			for i, statement := range tab.byKey {
				keys := make([]any, 1<<(2*i))
				for j := range keys {
					keys[j] = fmt.Sprintf("account/%08d", 17*j)
				}
				found[fmt.Sprint("get ", len(keys))] = checkPlan(t, url, tab.db, statement.text, keys...)
			}
			return found
		}
		for name, err := range check() {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Without the indexes, the same check finds every statement at fault.
		drop := []string{"DROP INDEX wxrefund_items_due", "DROP INDEX wxrefund_items_class", "ALTER TABLE wxrefund_items DROP CONSTRAINT wxrefund_items_pkey"}
		if strings.HasPrefix(url, "mysql") {
			drop = []string{"ALTER TABLE wxrefund_items DROP KEY wxrefund_items_due, DROP KEY wxrefund_items_class, DROP PRIMARY KEY"}
		}
		for _, text := range drop {
			if _, err := tab.db.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		for name, err := range check() {
			if err == nil {
				t.Errorf("%s: no fault found without an index", name)
			}
		}
	})
}
