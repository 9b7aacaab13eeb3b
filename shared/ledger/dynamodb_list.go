//go:build dynamodb || !(sqlite || postgres || mysql)

package ledger

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"wxrefund/shared/refund"
)

// dueIndex holds what is due at some time. One partition of it would take all
// writes there are; the items are spread over dueShards of them by their keys.
// The number must never change: items stay where they were put.
const (
	dueIndex  = "due"
	dueShards = 8
)

func shardOf(key refund.Key) string {
	h := fnv.New32a()
	h.Write([]byte(key))
	return strconv.Itoa(int(h.Sum32() % dueShards))
}

// place writes a position so that positions compare as strings.
func place(p position) string { return placeOf(p.due) + string(p.key) }

func placeOf(due int64) string { return fmt.Sprintf("%016x", uint64(due)^1<<63) }

// A shardReader reads one shard of the index in order, page by page.
type shardReader struct {
	shard, from, to string // places, both included
	page            int32

	items []refund.Item // read and not taken
	next  attributes    // where the next page begins
	ended bool          // no page follows
}

// list merges the shards. It reads no further in each than it has to.
func (d *dynamo) list(ctx context.Context, due int64, after position, limit int) ([]refund.Item, error) {
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	// Every place of a key lies before that of '~'+1; none lies between that of
	// a position and the same with a byte behind it that no key has.
	from, to := place(after)+"\x00", placeOf(due)+"\x7f"
	if from > to {
		return nil, ctx.Err()
	}
	var readers [dueShards]*shardReader
	var errs [dueShards]error
	var wg sync.WaitGroup
	for i := range readers {
		// Twice of what a shard has on average: mostly one page each does.
		readers[i] = &shardReader{shard: strconv.Itoa(i), from: from, to: to, page: int32(limit/dueShards*2 + 2)}
		wg.Go(func() { errs[i] = readers[i].fill(ctx, d) })
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var items []refund.Item
	for len(items) < limit {
		var first *shardReader
		for _, r := range readers {
			if err := r.fill(ctx, d); err != nil {
				return nil, err
			}
			if len(r.items) > 0 && (first == nil || before(r.items[0], first.items[0])) {
				first = r
			}
		}
		if first == nil {
			break
		}
		items = append(items, first.items[0])
		first.items = first.items[1:]
	}
	return items, nil
}

func before(a, b refund.Item) bool {
	return a.Due.Before(b.Due) || a.Due.Equal(b.Due) && a.Key < b.Key
}

// fill reads on until there is an item, or the shard ends. A page may be empty.
func (r *shardReader) fill(ctx context.Context, d *dynamo) error {
	for len(r.items) == 0 && !r.ended {
		var out *dynamodb.QueryOutput
		err := d.patiently(ctx, func(ctx context.Context, _ bool) (err error) {
			out, err = d.client.Query(ctx, &dynamodb.QueryInput{
				TableName:              &d.table,
				IndexName:              aws.String(dueIndex),
				KeyConditionExpression: aws.String("due_shard = :shard AND due_place BETWEEN :from AND :to"),
				ExpressionAttributeValues: attributes{
					":shard": text(r.shard), ":from": text(r.from), ":to": text(r.to),
				},
				Limit:             &r.page,
				ExclusiveStartKey: r.next,
			})
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range out.Items {
			item, err := loaded(a)
			if err != nil {
				return err
			}
			r.items = append(r.items, item)
		}
		r.next, r.ended = out.LastEvaluatedKey, len(out.LastEvaluatedKey) == 0
	}
	return nil
}
