package refund

import (
	"context"
	"errors"
	"time"
)

// ErrStale reports that an item no longer has the version that a change
// expected. Nothing of the commit was written; read again and repeat.
var ErrStale = errors.New("refund: an item has changed meanwhile")

// A Ledger remembers items, durably, under versions. It knows nothing of money:
// all arithmetic is this package's. A key, a body or a number of items that it
// cannot take is refused before anything is written; any other failure but
// [ErrStale] means that the outcome of the call is unknown.
type Ledger interface {
	// Get returns the items of the given keys, in the order of the keys, as they
	// were at one moment. An item that does not exist has version 0 and no body.
	// Reads are strongly consistent: what a finished Commit wrote is seen.
	Get(ctx context.Context, keys ...Key) ([]Item, error)

	// Commit writes all items or none. Each is written only if the stored version
	// is the item's Version (0: it must not exist); it is then stored under
	// Version+1. Otherwise Commit returns [ErrStale]. Keys within one commit differ.
	Commit(ctx context.Context, items ...Item) error

	// List returns up to limit items whose Due is set and not after the given
	// time, starting behind cursor ("" for the beginning). next is "" when nothing
	// follows. Where it begins differs from time to time, so that several who work
	// through it at once do not follow each other; what is in one place is listed
	// earliest first. The answer may be stale: Get an item again before acting on it.
	List(ctx context.Context, due time.Time, cursor string, limit int) (items []Item, next string, err error)
}

// Key names an item: at most [MaxKey] bytes of printable ASCII.
type Key string

// MaxKey is the greatest length of a key in bytes.
const MaxKey = 128

// An Item is a versioned body that the ledger does not look into.
type Item struct {
	Key     Key
	Version int64
	Body    []byte
	Due     time.Time // when to look at it again, to the millisecond; zero: never
}
