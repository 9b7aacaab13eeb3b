//go:build cloudbase || !slim

package ledger

import (
	"context"
	"fmt"
	"strconv"

	"wxrefund/shared/refund"
)

// listDue reads all shards by one statement.
func (c *cloud) listDue(ctx context.Context, due int64, after position, limit int) (found []placed, err error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	_, err = c.inParts(ctx, limit, func(ctx context.Context, n int) (int, error) {
		if len(found) > 0 {
			after = found[len(found)-1].place
		}
		rows, err := c.exec(ctx, cloudColumns+" p", c.dialect.listShards(), c.dialect.shardArgs(due, after, n)...)
		if err != nil {
			return 0, err
		}
		items, err := itemsOf(rows, n)
		if err != nil {
			return 0, err
		}
		parts := make([]int, len(rows))
		for i, row := range rows {
			if row["p"] == nil {
				return 0, errNoItem
			}
			if parts[i], err = strconv.Atoi(*row["p"]); err != nil {
				return 0, errNoItem
			}
		}
		got, err := inShards(after, items, parts)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errCloudAnswer, err)
		}
		found = append(found, got...)
		return len(got), nil
	})
	return found, err
}

func (c *cloud) listKeys(ctx context.Context, after refund.Key, limit int) (items []refund.Item, err error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	_, err = c.inParts(ctx, limit, func(ctx context.Context, n int) (int, error) {
		if len(items) > 0 {
			after = items[len(items)-1].Key
		}
		got, err := c.items(ctx, n, c.dialect.listKeys(), string(after), n)
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
	if c == nil || a == nil || k == nil || refund.CheckClass(*c) != nil || refund.Key(*k).Check() != nil {
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
