package ledger

import (
	"context"

	"wxrefund/shared/refund"
)

func (t *table) listDue(ctx context.Context, due int64, after position, limit int) (found []placed, err error) {
	if !t.dialect.atOnce {
		return shardByShard(after, limit, func(after position, n int) (items []refund.Item, err error) {
			err = t.dialect.retry(ctx, func() error {
				items, err = t.query(ctx, nil, t.due, t.dialect.dueArgs(due, after, n)...)
				return err
			})
			return items, err
		})
	}
	err = t.dialect.retry(ctx, func() error {
		var parts []int
		items, err := t.queryWith(ctx, nil, t.due, &parts, t.dialect.shardArgs(due, after, limit)...)
		if err == nil {
			found, err = inShards(after, items, parts)
		}
		return err
	})
	return found, err
}

func (t *table) listKeys(ctx context.Context, after refund.Key, limit int) (items []refund.Item, err error) {
	err = t.dialect.retry(ctx, func() error {
		items, err = t.query(ctx, nil, t.everything, string(after), limit)
		return err
	})
	return items, err
}

func (t *table) listClasses(ctx context.Context, r classRange, limit int) (entries []entry, err error) {
	text := t.dialect.rebind(t.dialect.listClasses(len(r.classes)))
	err = t.dialect.retry(ctx, func() error {
		entries, err = t.entries(ctx, text, t.dialect.classArgs(r, limit)...)
		return err
	})
	return entries, err
}

func (t *table) entries(ctx context.Context, text string, args ...any) (entries []entry, err error) {
	rows, err := t.db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.class, &e.at, &e.key); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

func (t *table) read(ctx context.Context, keys []refund.Key) (found map[refund.Key]refund.Item, err error) {
	err = t.dialect.retry(ctx, func() error {
		found = make(map[refund.Key]refund.Item, len(keys))
		for rest := keys; len(rest) > 0; rest = rest[min(len(rest), maxKeys):] {
			if err := t.getChunk(ctx, nil, rest[:min(len(rest), maxKeys)], found); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

func (t *table) count(ctx context.Context, s selection) (n int64, err error) {
	text, args := t.dialect.count(s)
	err = t.dialect.retry(ctx, func() error {
		return t.db.QueryRowContext(ctx, t.dialect.rebind(text), args...).Scan(&n)
	})
	return n, err
}

// migrate brings the schema up to date.
func (t *table) migrate(ctx context.Context) error {
	steps, err := schema(t.dialect.name)
	if err != nil {
		return err
	}
	return t.dialect.retry(ctx, func() error { return t.dialect.migrate(ctx, t.db, steps) })
}

func (t *table) schema(ctx context.Context) (have, want int, err error) {
	steps, err := schema(t.dialect.name)
	if err != nil {
		return 0, 0, err
	}
	err = t.dialect.retry(ctx, func() error {
		have, err = t.dialect.version(ctx, t.db, len(steps))
		return err
	})
	return have, len(steps), err
}

// addIndexes has nothing to add: the schema's steps make every index.
func (t *table) addIndexes(ctx context.Context) error { return ctx.Err() }
