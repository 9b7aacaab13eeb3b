//go:build heavy

package ledger

import (
	"testing"
)

func TestProcessesSharingAServerLoseNothing(t *testing.T) {
	overServers(t, func(t *testing.T, url string) { raceProcesses(t, url) })
}

// Whoever comes first makes the schema; the others wait for that, and none fails.
func TestProcessesMayOpenAnEmptyDatabaseAtOnce(t *testing.T) {
	overServers(t, func(t *testing.T, url string) { openByProcesses(t, url, 16) })
}

// D2: after a process was killed, the server may still be at work on the commit that
// it sent last. The lock of a row that is in every commit waits for that.
func TestKilledProcessLosesNoAcknowledgedCommitOfAServer(t *testing.T) {
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
