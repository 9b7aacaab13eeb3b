//go:build !heavy

package ledger

import "testing"

func heavyConformance() map[string]func(*testing.T) { return nil }
