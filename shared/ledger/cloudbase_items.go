//go:build cloudbase || !slim

package ledger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// What one commit may hold: as much as in DynamoDB, so that a ledger fits into either.
const (
	cloudItems = 100
	cloudBytes = 4_000_000
)

// cloudFew is how many items are not too many for one answer to come in time.
const cloudFew = 25

// cloudItem writes the columns of an item as texts, under the names of cloudColumns.
const (
	cloudItem    = `item_key AS k, version::text AS v, due::text AS d, class AS c, class_at::text AS a, encode(body, 'base64') AS b`
	cloudColumns = "k v d c a b"
)

// commit writes all items by one call of one function, which is repeated if its answer is lost.
func (c *cloud) commit(ctx context.Context, items []refund.Item) error {
	if err := checkCloud(items); err != nil {
		return err
	}
	commit, err := newFunctionCommit(items)
	if err != nil {
		return err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return c.retry(ctx, func(ctx context.Context, inDoubt bool) error {
		row, err := c.one(ctx, "outcome", callCommit, commit.items, commit.id)
		if err != nil {
			return err
		}
		if row["outcome"] == nil {
			return fmt.Errorf("%w: it is none of the function's", errCloudAnswer)
		}
		return functionOutcome(*row["outcome"], inDoubt)
	})
}

// checkCloud refuses what is too large for one call.
func checkCloud(items []refund.Item) error {
	if len(items) > cloudItems {
		return fmt.Errorf("%d items, CloudBase is given at most %d in one commit", len(items), cloudItems)
	}
	total := 0
	for _, item := range items {
		total += len(item.Body)
	}
	if total > cloudBytes {
		return fmt.Errorf("bodies of %d bytes, CloudBase is given at most %d in one commit", total, cloudBytes)
	}
	return nil
}

var errNoItem = fmt.Errorf("%w: a row of it is not a whole item of a ledger", errCloudAnswer)

// itemOf reads a row of cloudColumns.
func itemOf(row cloudRow) (item refund.Item, err error) {
	wrong := errNoItem
	k, v, b := row["k"], row["v"], row["b"]
	if k == nil || v == nil || b == nil || refund.Key(*k).Check() != nil {
		return item, wrong
	}
	item.Key = refund.Key(*k)
	item.Version, err = strconv.ParseInt(*v, 10, 64)
	if err != nil || item.Version < 1 {
		return item, wrong
	}
	if item.Body, err = base64.StdEncoding.Strict().DecodeString(*b); err != nil { // line breaks are skipped
		return item, wrong
	}
	if item.Due, err = timeOf(row["d"]); err != nil {
		return item, wrong
	}
	if row["c"] != nil && row["a"] != nil {
		item.Class = *row["c"]
		if item.At, err = timeOf(row["a"]); err != nil || item.At.IsZero() || refund.CheckClass(item.Class) != nil {
			return item, wrong
		}
	}
	return item, nil
}

// timeOf undoes milliText.
func timeOf(ms *string) (t time.Time, err error) {
	if ms == nil {
		return t, nil
	}
	n, err := strconv.ParseInt(*ms, 10, 64)
	return time.UnixMilli(n).UTC(), err
}

// items runs a statement that begins with the dialect's selectItem, once.
func (c *cloud) items(ctx context.Context, most int, text string, args ...any) (items []refund.Item, err error) {
	rows, err := c.exec(ctx, cloudColumns, text, args...)
	if err != nil {
		return nil, err
	}
	return itemsOf(rows, most)
}

// itemsOf reads rows that have cloudColumns.
func itemsOf(rows []cloudRow, most int) (items []refund.Item, err error) {
	if len(rows) > most {
		return nil, fmt.Errorf("%w: %d rows, want at most %d", errCloudAnswer, len(rows), most)
	}
	for _, row := range rows {
		item, err := itemOf(row)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// inParts asks for n things, all at once. After an answer that was too large, or one of many
// things that did not come in time, it asks for half as many from then on: a small function may take longer
// for the largest items than an answer is waited for. ask returns how many things are
// done with; fewer than it was asked for mean that there are no more.
func (c *cloud) inParts(ctx context.Context, n int, ask func(ctx context.Context, n int) (int, error)) (calls int, err error) {
	for most := n; n > 0; {
		most = min(most, n)
		got := 0
		err := c.retry(ctx, func(ctx context.Context, _ bool) (err error) {
			asked := most
			if got, err = ask(ctx, asked); errors.Is(err, wxpay.ErrTooLarge) || ctx.Err() != nil && asked > cloudFew {
				most = (asked + 1) / 2
			}
			if err == nil && got < asked {
				n = 0
			}
			return err
		})
		if calls++; err != nil {
			return calls, err
		}
		n -= got
	}
	return calls, nil
}

const byKeys = `item_key = ANY (ARRAY(SELECT jsonb_array_elements_text(?::jsonb)))`

// fetch returns those of the keyed items that exist, whose keys are sorted; in several calls if they are too large
// for one.
func (c *cloud) fetch(ctx context.Context, keys []refund.Key) (found map[refund.Key]refund.Item, calls int, err error) {
	found = make(map[refund.Key]refund.Item, len(keys))
	rest := keys
	calls, err = c.inParts(ctx, len(keys), func(ctx context.Context, n int) (int, error) {
		text, err := json.Marshal(rest[:n])
		if err != nil {
			return 0, err
		}
		items, err := c.items(ctx, n, c.dialect.selectItem()+byKeys, string(text))
		if err != nil {
			return 0, err
		}
		for _, item := range items {
			if _, asked := slices.BinarySearch(rest[:n], item.Key); !asked {
				return 0, fmt.Errorf("%w: it has what was not asked for", errCloudAnswer)
			}
			found[item.Key] = item
		}
		rest = rest[n:]
		return n, nil
	})
	return found, calls, err
}

// get asks for all keys in one call, which sees one instant. What is too large for that is
// read in several, until nothing has changed between them.
func (c *cloud) get(ctx context.Context, keys []refund.Key) (found map[refund.Key]refund.Item, err error) {
	err = c.reading(ctx, func(ctx context.Context) error {
		for attempt := 1; ; attempt++ {
			some, calls, err := c.fetch(ctx, keys)
			if found = some; err != nil || calls == 1 {
				return err
			}
			// Versions only grow. What is still as it was, was so all the time.
			if same, err := c.unchanged(ctx, keys, found); err != nil || same {
				return err
			}
			if attempt == callAttempts {
				return fmt.Errorf("%d items, too large for one answer, changed meanwhile in each of %d attempts", len(keys), attempt)
			}
		}
	})
	return found, err
}

// unchanged reports whether the keyed items have the versions that were found.
func (c *cloud) unchanged(ctx context.Context, keys []refund.Key, found map[refund.Key]refund.Item) (same bool, err error) {
	text, err := json.Marshal(keys)
	if err != nil {
		return false, err
	}
	err = c.retry(ctx, func(ctx context.Context, _ bool) error {
		rows, err := c.exec(ctx, "k v", `SELECT item_key AS k, version::text AS v FROM wxrefund_items WHERE `+byKeys, string(text))
		same = len(rows) == len(found)
		for _, row := range rows {
			k, v := row["k"], row["v"]
			same = same && k != nil && v != nil && *v == strconv.FormatInt(found[refund.Key(*k)].Version, 10)
		}
		return err
	})
	return same, err
}

func (c *cloud) read(ctx context.Context, keys []refund.Key) (found map[refund.Key]refund.Item, err error) {
	err = c.reading(ctx, func(ctx context.Context) error {
		some, _, err := c.fetch(ctx, keys)
		found = some
		return err
	})
	return found, err
}
