package refund

import (
	"context"
	"errors"
	"fmt"
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

	// List returns up to limit items of an index, in its order, starting behind cursor
	// ("" for the beginning). next is "" when nothing follows. The answer may be stale:
	// Get an item again before acting on it.
	List(ctx context.Context, index Index, cursor string, limit int) (items []Item, next string, err error)

	// Count returns how many items List would return in all, without reading them. It
	// is for people and for figures: the answer may be stale, and takes time on a large ledger.
	Count(ctx context.Context, index Index) (int64, error)
}

// An Index says which items [Ledger.List] returns, and in which order. Make one with
// [DueBy], [Recent] or [Everything].
type Index struct {
	Kind    IndexKind
	Since   time.Time // IndexClass: At not before; zero: no bound
	Until   time.Time // IndexDue: Due not after; IndexClass: At before; zero: no bound
	Classes []string  // IndexClass: those wanted
}

// IndexKind is one of the orders in which a ledger lists items.
type IndexKind int

const (
	IndexDue   IndexKind = iota + 1 // items that are due, by time
	IndexClass                      // items of some classes, newest first
	IndexKey                        // every item, in an order of the ledger's own
)

// DueBy is what is due by a time. Where a list of it begins differs from time to time, so
// that several who work through it at once do not follow each other; what is in one place
// is listed earliest first.
func DueBy(at time.Time) Index { return Index{Kind: IndexDue, Until: at} }

// Recent is what is listed under any of the classes, the newest first, At from since on
// and before until; a zero time is no bound.
func Recent(since, until time.Time, classes ...string) Index {
	return Index{Kind: IndexClass, Since: since, Until: until, Classes: classes}
}

// Everything is every item of the ledger.
func Everything() Index { return Index{Kind: IndexKey} }

// Key names an item: at most [MaxKey] bytes of printable ASCII.
type Key string

// MaxKey is the greatest length of a key in bytes.
const MaxKey = 128

// MaxClass is the greatest length of a class in bytes.
const MaxClass = 24

// An Item is a versioned body that the ledger does not look into.
type Item struct {
	Key     Key
	Version int64
	Body    []byte
	Due     time.Time // when to look at it again, to the millisecond; zero: never
	Class   string    // what it is listed under, at most [MaxClass] bytes of [a-z_!]; "": nowhere
	At      time.Time // where it is listed there, to the millisecond
}

// CheckCommit refuses what is a mistake of the caller's in a commit, as every ledger does
// before it writes anything. The items are sorted by key.
func CheckCommit(items []Item) error {
	if len(items) == 0 {
		return errors.New("nothing to commit")
	}
	for i, item := range items {
		if err := item.Key.Check(); err != nil {
			return err
		}
		switch {
		case i > 0 && items[i-1].Key == item.Key:
			return fmt.Errorf("key %q occurs twice", item.Key)
		case item.Version < 0:
			return fmt.Errorf("key %q: version %d, want 0 or more", item.Key, item.Version)
		case item.Body == nil:
			return fmt.Errorf("key %q: no body", item.Key)
		case (item.Class == "") != item.At.IsZero():
			return fmt.Errorf("key %q: a class and the time under it, want both or neither", item.Key)
		}
		if item.Class != "" {
			if err := CheckClass(item.Class); err != nil {
				return fmt.Errorf("key %q: %w", item.Key, err)
			}
		}
	}
	return nil
}

// Check refuses a key that no ledger takes.
func (k Key) Check() error {
	if k == "" {
		return errors.New("empty key")
	}
	if len(k) > MaxKey {
		return fmt.Errorf("key of %d bytes, want at most %d", len(k), MaxKey)
	}
	for i := range len(k) {
		if k[i] < ' ' || k[i] > '~' {
			return fmt.Errorf("key %q: byte %d is not printable ASCII", k, i)
		}
	}
	return nil
}

// CheckClass refuses a class that no ledger lists an item under.
func CheckClass(class string) error {
	if class == "" {
		return errors.New("empty class")
	}
	if len(class) > MaxClass {
		return fmt.Errorf("class of %d bytes, want at most %d", len(class), MaxClass)
	}
	for i := range len(class) {
		if c := class[i]; (c < 'a' || c > 'z') && c != '_' && c != '!' {
			return fmt.Errorf("class %q: byte %d is none of a-z, _ and !", class, i)
		}
	}
	return nil
}
