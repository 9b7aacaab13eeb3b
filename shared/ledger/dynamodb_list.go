//go:build dynamodb || !slim

package ledger

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"wxrefund/shared/refund"
)

// dueIndex holds what is due at some time. One partition of it would take all
// writes there are; the items are spread over the shards of the list.
const dueIndex = "due"

// place writes a position so that positions compare as strings.
func place(p position) string { return placeOf(p.due) + string(p.key) }

func placeOf(due int64) string { return fmt.Sprintf("%016x", uint64(due)^1<<63) }

// list reads one shard of the index, page by page. A page may be empty.
func (d *dynamo) list(ctx context.Context, due int64, after position, limit int) ([]refund.Item, error) {
	leave, err := d.enter(ctx)
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
	var items []refund.Item
	for next := (attributes)(nil); len(items) < limit; {
		var out *dynamodb.QueryOutput
		err := d.retry(ctx, func(ctx context.Context, _ bool) (err error) {
			out, err = d.client.Query(ctx, &dynamodb.QueryInput{
				TableName:              &d.table,
				IndexName:              aws.String(dueIndex),
				KeyConditionExpression: aws.String("due_shard = :shard AND due_place BETWEEN :from AND :to"),
				ExpressionAttributeValues: attributes{
					":shard": text(strconv.Itoa(after.shard)), ":from": text(from), ":to": text(to),
				},
				Limit:             aws.Int32(int32(limit - len(items))), // at most maxPage and one
				ExclusiveStartKey: next,
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, a := range out.Items {
			item, err := loaded(a)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		if next = out.LastEvaluatedKey; len(next) == 0 {
			break
		}
	}
	return items, nil
}
