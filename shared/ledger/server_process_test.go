package ledger

import (
	"testing"
)

// overServers runs a test over the backends that are a [server].
func overServers(t *testing.T, test func(t *testing.T, url string)) {
	t.Parallel()
	for _, b := range backends() {
		if b.scheme == "postgres" || b.scheme == "mysql" {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				test(t, b.fresh(t))
			})
		}
	}
}

func TestProcessesShareAServer(t *testing.T) {
	overServers(t, func(t *testing.T, url string) { raceProcesses(t, url) })
}

// Whoever comes first makes the schema; the others wait for that, and none fails.
func TestProcessesOpenAnEmptyDatabase(t *testing.T) {
	overServers(t, func(t *testing.T, url string) { openByProcesses(t, url, 16) })
}

// After a process was killed, the server may still be at the commit that it
// sent last. The lock of a row that is in every commit waits for that.
func TestKilledWhileWritingToAServer(t *testing.T) {
	overServers(t, func(t *testing.T, url string) {
		db := database(t, url)
		killWriters(t, url, (*kills+1)/2, func() {
			var version int
			if err := db.QueryRowContext(t.Context(), `SELECT version FROM wxrefund_items WHERE item_key = 'count' FOR UPDATE`).Scan(&version); err != nil {
				t.Fatal(err)
			}
		})
	})
}
