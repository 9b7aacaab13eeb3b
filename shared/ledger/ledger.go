package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
)

// maxPage bounds what one List holds in memory, whatever the caller asks for.
const maxPage = 1000

// A store is one database: what the drivers provide below [Store], which owns
// all that is the same for them.
type store interface {
	// get returns those of the keyed items that exist, all as of one instant. Keys differ.
	get(ctx context.Context, keys []refund.Key) (map[refund.Key]refund.Item, error)
	// read returns them too, but each as of some instant within the call.
	read(ctx context.Context, keys []refund.Key) (map[refund.Key]refund.Item, error)
	// commit writes all items, sorted by key, or none; [refund.ErrStale] if a version differs.
	commit(ctx context.Context, items []refund.Item) error
	// listDue returns up to limit items that are due by the given Unix millisecond, behind
	// the position: of its shard, and then of those that follow it, in each the earliest
	// first and by key.
	listDue(ctx context.Context, due int64, after position, limit int) ([]placed, error)
	// listClasses returns the entries of a range: of each class the limit newest, in any order.
	listClasses(ctx context.Context, r classRange, limit int) ([]entry, error)
	// listKeys returns up to limit items that follow a key in the store's own order.
	listKeys(ctx context.Context, after refund.Key, limit int) ([]refund.Item, error)
	// count returns how many items are selected.
	count(ctx context.Context, s selection) (int64, error)
	// schema returns the schema that the database has, brought up to date as far as
	// a program does that by itself, and the one that this program would have.
	schema(ctx context.Context) (have, want int, err error)
	// addIndexes adds what the schema lacks and no program adds by itself.
	addIndexes(ctx context.Context) error
	close() error
}

// A driver opens the databases of one URL scheme. rest is what follows "scheme:".
type driver struct {
	scheme, form string
	open         func(ctx context.Context, rest string, o options) (store, error)
}

// drivers lists what was built in: all of them or, with the build tag slim, those
// that the tags sqlite, postgres, mysql, dynamodb and cloudbase name.
func drivers() []driver {
	return slices.Concat(sqliteDriver, postgresDriver, mysqlDriver, dynamodbDriver, cloudbaseDriver)
}

// Schemes lists the URL schemes that this program can open.
func Schemes() []string {
	var all []string
	for _, d := range drivers() {
		all = append(all, d.scheme)
	}
	return all
}

// A Store is an open ledger; it implements [refund.Ledger]. It is safe for
// concurrent use. Make one with [Open].
type Store struct {
	store store
}

// An Option says what a URL cannot.
type Option func(*options)

type options struct {
	credentials func(context.Context) (cloudbase.Credentials, error)
}

// WithCredentials says with what a ledger at CloudBase is called, on behalf of the request
// that a context belongs to. Without it that is CLOUDBASE_APIKEY of the process's environment.
func WithCredentials(of func(context.Context) (cloudbase.Credentials, error)) Option {
	return func(o *options) { o.credentials = of }
}

// Open opens the ledger that url names, and brings its schema up to date. It
// refuses a database whose schema is newer than this program. Nothing is sent to a
// database server before the first call on the ledger, which does this then.
func Open(ctx context.Context, url string, with ...Option) (*Store, error) {
	var o options
	for _, set := range with {
		set(&o)
	}
	// A URL may hold a password: errors name the scheme, nothing behind it.
	scheme, rest, ok := strings.Cut(url, ":")
	var known []string
	for _, d := range drivers() {
		if ok && d.scheme == scheme {
			s, err := d.open(ctx, rest, o)
			if err != nil {
				return nil, failure(ctx, "open "+scheme, err)
			}
			return &Store{store: s}, nil
		}
		known = append(known, d.form)
	}
	if !ok {
		return nil, fmt.Errorf("ledger: the URL has no scheme; known are %s", strings.Join(known, ", "))
	}
	return nil, fmt.Errorf("ledger: unknown or uncompiled scheme %q; known are %s", scheme, strings.Join(known, ", "))
}

// Close waits for running calls and releases the database. Later calls fail.
func (s *Store) Close() error { return s.store.close() }

// Get returns the items of the given keys, in the order of the keys, as they
// were at one instant. A key may be asked for twice. An item that does not exist
// has version 0 and no body; one that exists has a body that is not nil.
func (s *Store) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	for _, key := range keys {
		if err := key.Check(); err != nil {
			return nil, failure(ctx, "get", err)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	unique := slices.Compact(slices.Sorted(slices.Values(keys)))
	found, err := s.store.get(ctx, unique)
	if err != nil {
		return nil, failure(ctx, "get", err)
	}
	items := make([]refund.Item, len(keys))
	for i, key := range keys {
		items[i] = refund.Item{Key: key}
		if item, ok := found[key]; ok {
			items[i] = item
			if len(unique) < len(keys) { // answers do not share memory
				items[i].Body = bytes.Clone(item.Body)
			}
		}
	}
	return items, nil
}

// Commit writes all items or none, each only over the version that it names.
// [refund.ErrStale] means that one of them has another version by now and that
// nothing was written. A commit that is a mistake in itself (no items, a key
// twice, no body) is refused and writes nothing either. After any other error,
// one of the context included, the outcome is unknown.
func (s *Store) Commit(ctx context.Context, items ...refund.Item) error {
	// The same order in every commit: databases that lock row by row do not
	// come to deadlocks then.
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b refund.Item) int { return strings.Compare(string(a.Key), string(b.Key)) })
	if err := refund.CheckCommit(items); err != nil {
		return failure(ctx, "commit", err)
	}
	return failure(ctx, "commit", s.store.commit(ctx, items))
}

// failure gives an error its place. ErrStale stays as it is, for callers act on
// it. Drivers report a context's end in words of their own; the context's error
// is put back, so that errors.Is finds it.
func failure(ctx context.Context, verb string, err error) error {
	switch ended := ctx.Err(); {
	case err == nil || errors.Is(err, refund.ErrStale):
		return err
	case ended != nil && !errors.Is(err, ended):
		return fmt.Errorf("ledger: %s: %w: %w", verb, ended, err)
	default:
		return fmt.Errorf("ledger: %s: %w", verb, err)
	}
}
