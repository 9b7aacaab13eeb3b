//go:build cloudbase || !slim

package ledger

import (
	"context"
	"errors"
)

var cloudbaseDriver = []driver{{"cloudbase", "cloudbase:ENV_ID", openCloudBase}}

// openCloudBase takes ENV_ID?endpoint=URL.
func openCloudBase(_ context.Context, _ string, _ options) (store, error) {
	return nil, errors.New("not there yet")
}

// A Migration is one step of the schema as a file that CloudBase's own command applies:
// its name begins with 14 digits. What it finds done it leaves alone.
type Migration struct{ Name, SQL string }

// Migrations are all steps of the schema of a ledger at CloudBase, in order.
func Migrations() ([]Migration, error) { return nil, nil }
