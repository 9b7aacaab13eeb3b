//go:build cloudbase || !slim

package ledger

import (
	"context"
	"fmt"
	"strconv"

	"wxrefund/shared/refund"
)

// listDue reads one shard of the index.
func (c *cloud) listDue(ctx context.Context, due int64, after position, limit int) ([]refund.Item, error) {
	return c.list(ctx, limit, func(last *refund.Item, n int) (string, []any) {
		if last != nil {
			after = after.at(*last)
		}
		return c.dialect.listDue(), c.dialect.dueArgs(due, after, n)
	})
}

func (c *cloud) listKeys(ctx context.Context, after refund.Key, limit int) ([]refund.Item, error) {
	return c.list(ctx, limit, func(last *refund.Item, n int) (string, []any) {
		if last != nil {
			after = last.Key
		}
		return c.dialect.listKeys(), []any{string(after), n}
	})
}

// list runs a statement that lists n items behind the last one; nil: from its beginning.
func (c *cloud) list(ctx context.Context, limit int, behind func(last *refund.Item, n int) (text string, args []any)) (items []refund.Item, err error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	_, err = c.inParts(ctx, limit, func(ctx context.Context, n int) (int, error) {
		var last *refund.Item
		if len(items) > 0 {
			last = &items[len(items)-1]
		}
		text, args := behind(last, n)
		got, err := c.items(ctx, n, text, args...)
		items = append(items, got...)
		return len(got), err
	})
	return items, err
}

// listClasses reads entries, which are small: one answer holds those of every class.
func (c *cloud) listClasses(ctx context.Context, r classRange, limit int) (entries []entry, err error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	text := `SELECT class AS c, class_at::text AS a, item_key AS k FROM (` + c.dialect.listClasses(len(r.classes)) + `) AS entries`
	err = c.retry(ctx, func(ctx context.Context, _ bool) error {
		rows, err := c.exec(ctx, "c a k", text, c.dialect.classArgs(r, limit)...)
		entries = nil
		for _, row := range rows {
			e, err := cloudEntry(row)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return err
	})
	return entries, err
}

func cloudEntry(row cloudRow) (e entry, err error) {
	c, a, k := row["c"], row["a"], row["k"]
	if c == nil || a == nil || k == nil || checkClass(*c) != nil || checkKey(refund.Key(*k)) != nil {
		return e, fmt.Errorf("%w: a row of it is not an entry of a class", errCloudAnswer)
	}
	e.class, e.key = *c, refund.Key(*k)
	if e.at, err = strconv.ParseInt(*a, 10, 64); err != nil {
		return e, fmt.Errorf("%w: an entry of a class has no time", errCloudAnswer)
	}
	return e, nil
}

func (c *cloud) count(ctx context.Context, s selection) (n int64, err error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	text, args := c.dialect.count(s)
	err = c.retry(ctx, func(ctx context.Context, _ bool) error {
		row, err := c.one(ctx, "n", `SELECT count::text AS n FROM (`+text+`) AS counted`, args...)
		if err != nil {
			return err
		}
		if row["n"] == nil {
			return fmt.Errorf("%w: it has no number", errCloudAnswer)
		}
		if n, err = strconv.ParseInt(*row["n"], 10, 64); err != nil {
			return fmt.Errorf("%w: it has no number", errCloudAnswer)
		}
		return nil
	})
	return n, err
}
