//go:build heavy && (dynamodb || !slim)

package ledger

import (
	"testing"
	"time"
)

// D2: a process is killed again and again while it writes: what it was at is there as a
// whole or not at all, and what was acknowledged is there.
func TestKilledProcessLosesNoAcknowledgedCommitOfDynamoDB(t *testing.T) {
	url := newDynamoURL(t)
	// The request that it sent last may still be under way. It is soon done with.
	killWriters(t, url, (*kills+1)/2, func() {
		s := open(t, url)
		defer s.Close()
		for was := int64(-1); ; {
			count := get(t, s, "count")[0].Version
			if count == was {
				return
			}
			was = count
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestProcessesSharingADynamoDBTableLoseNothing(t *testing.T) {
	raceProcesses(t, newDynamoURL(t))
}

func TestProcessesMayMakeADynamoDBTableAtOnce(t *testing.T) {
	openByProcesses(t, newDynamoURL(t), 4)
}
