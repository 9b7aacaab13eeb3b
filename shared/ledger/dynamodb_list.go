//go:build dynamodb || !slim

package ledger

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"wxrefund/shared/refund"
)

// dueIndex holds what is due at some time. One partition of it would take all
// writes there are; the items are spread over the shards of the list.
//
// classIndex holds keys by class, and nothing else of the items: what a refund changes
// beside its class costs nothing there, and a change of class two writes of a unit
// each. A class is one partition, which takes 1000 units a second, while WeChat Pay takes
// 150 refunds a second of a merchant. What is listed is read from the table.
const (
	dueIndex   = "due"
	classIndex = "class"
)

// dynamoRead is how many items one BatchGetItem asks for at most. It would take 100, but
// the largest items must arrive within callTimeout too.
const dynamoRead = 25

// place writes a time and a key so that they compare as one string.
func place(ms int64, key refund.Key) string {
	return fmt.Sprintf("%016x", uint64(ms)^1<<63) + string(key)
}

// placedAt undoes place.
func placedAt(place string) (ms int64, ok bool) {
	if len(place) < 16 {
		return 0, false
	}
	bits, err := strconv.ParseUint(place[:16], 16, 64)
	return int64(bits ^ 1<<63), err == nil // #nosec G115 -- the sign is the bit that place turned
}

// entryOf reads an entry of the index of classes, or those attributes of an item.
func entryOf(a attributes) (e entry, err error) {
	key, isKey := a["item_key"].(*types.AttributeValueMemberS)
	class, isClass := a["class"].(*types.AttributeValueMemberS)
	place, isPlace := a["class_place"].(*types.AttributeValueMemberS)
	if !isKey || !isClass || !isPlace {
		return e, errNotWhole
	}
	at, ok := placedAt(place.Value)
	if !ok {
		return e, errNotWhole
	}
	return entry{class.Value, spot{at, refund.Key(key.Value)}}, nil
}

// A dynamoRange is a part of an index that lies together: the places from and to are in it.
type dynamoRange struct {
	index, partitionKey, sortKey string
	partition, from, to          string
	newest                       bool // first
}

// dueRange is what is due by a time in the shard of a position, behind it.
func dueRange(due int64, after position) dynamoRange {
	// Every place of a key lies before that of '~'+1; none lies between that of
	// a position and the same with a byte behind it that no key has.
	return dynamoRange{
		index: dueIndex, partitionKey: "due_shard", sortKey: "due_place",
		partition: strconv.Itoa(after.shard), from: place(after.due, after.key) + "\x00", to: place(due, "\x7f"),
	}
}

// newestRange is what is listed under a class of a range.
func newestRange(class string, r classRange) dynamoRange {
	// The last place before another: the last byte less by one, and behind that what comes
	// after every key.
	to := []byte(place(r.before.at, r.before.key))
	to[len(to)-1]--
	return dynamoRange{
		index: classIndex, partitionKey: "class", sortKey: "class_place", newest: true,
		partition: class, from: place(r.since, ""), to: string(to) + "\x7f",
	}
}

// input asks for a part.
func (r dynamoRange) input(table *string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName:                table,
		IndexName:                &r.index,
		KeyConditionExpression:   aws.String("#partition = :partition AND #place BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#partition": r.partitionKey, "#place": r.sortKey},
		ExpressionAttributeValues: attributes{
			":partition": text(r.partition), ":from": text(r.from), ":to": text(r.to),
		},
		ScanIndexForward: aws.Bool(!r.newest),
	}
}

// query hands out what a range holds, up to limit of it, page by page. A page may be empty.
func (d *dynamo) query(ctx context.Context, r dynamoRange, limit int, each func(attributes) error) error {
	if r.from > r.to {
		return ctx.Err()
	}
	in := r.input(&d.table)
	for n := 0; n < limit; {
		in.Limit = aws.Int32(int32(limit - n)) // at most maxPage and one
		out, err := d.queryPage(ctx, in)
		if err != nil {
			return err
		}
		for _, a := range out.Items {
			if err := each(a); err != nil {
				return err
			}
		}
		n += len(out.Items)
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			break
		}
	}
	return nil
}

func (d *dynamo) queryPage(ctx context.Context, in *dynamodb.QueryInput) (out *dynamodb.QueryOutput, err error) {
	err = d.retry(ctx, func(ctx context.Context, _ bool) error {
		out, err = d.client.Query(ctx, in)
		return err
	})
	if err != nil && aws.ToString(in.IndexName) == classIndex {
		err = d.explainClasses(ctx, err)
	}
	return out, err
}

func (d *dynamo) listDue(ctx context.Context, due int64, after position, limit int) ([]placed, error) {
	leave, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return shardByShard(after, limit, func(after position, n int) (items []refund.Item, err error) {
		err = d.query(ctx, dueRange(due, after), n, func(a attributes) error {
			item, err := loaded(a)
			items = append(items, item)
			return err
		})
		return items, err
	})
}

func (d *dynamo) listClasses(ctx context.Context, r classRange, limit int) (entries []entry, err error) {
	leave, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for _, class := range r.classes {
		err := d.query(ctx, newestRange(class, r), limit, func(a attributes) error {
			e, err := entryOf(a)
			entries = append(entries, e)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// read asks for many items at once; what DynamoDB leaves out of an answer is asked for
// again. Of what did not come in time half is asked for from then on: a small function
// takes longer for the largest items than an answer is waited for.
func (d *dynamo) read(ctx context.Context, keys []refund.Key) (map[refund.Key]refund.Item, error) {
	leave, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found := make(map[refund.Key]refund.Item, len(keys))
	var left []attributes
	for _, key := range keys {
		left = append(left, keyed(key))
	}
	most, idle := dynamoRead, 0
	for len(left) > 0 {
		most = min(most, len(left))
		var out *dynamodb.BatchGetItemOutput
		err := d.retry(ctx, func(ctx context.Context, lost bool) (err error) {
			if lost {
				most = (most + 1) / 2
			}
			ask := types.KeysAndAttributes{ConsistentRead: aws.Bool(true), Keys: left[:most]}
			out, err = d.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{d.table: ask},
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, a := range out.Responses[d.table] {
			item, err := loaded(a)
			if err != nil {
				return nil, err
			}
			found[item.Key] = item
		}
		omitted := out.UnprocessedKeys[d.table].Keys
		left = slices.Concat(left[most:], omitted)
		if len(omitted) < most {
			idle = 0
			continue
		}
		if idle++; idle == callAttempts {
			return nil, fmt.Errorf("DynamoDB left out %d items of each of %d answers", most, idle)
		}
		if err := backOff(ctx, idle); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// listKeys reads the table in DynamoDB's order, which every key has a place in, whether
// there is an item or not. The marker of the schema is no item of the ledger's.
func (d *dynamo) listKeys(ctx context.Context, after refund.Key, limit int) (items []refund.Item, err error) {
	in := &dynamodb.ScanInput{ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit))}
	if after != "" {
		in.ExclusiveStartKey = keyed(after)
	}
	err = d.scan(ctx, in, func(out *dynamodb.ScanOutput) (more bool, err error) {
		for _, a := range out.Items {
			item, err := loaded(a)
			if err != nil {
				return false, err
			}
			items = append(items, item)
		}
		in.Limit = aws.Int32(int32(limit - len(items))) // at most maxPage and one
		return len(items) < limit, nil
	})
	return items, err
}

// scan reads the table page by page while more are wanted.
func (d *dynamo) scan(ctx context.Context, in *dynamodb.ScanInput, page func(*dynamodb.ScanOutput) (more bool, err error)) error {
	leave, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	in.TableName = &d.table
	in.FilterExpression = aws.String("item_key <> :marker")
	in.ExpressionAttributeValues = attributes{":marker": text(schemaMarker)}
	for {
		var out *dynamodb.ScanOutput
		err := d.retry(ctx, func(ctx context.Context, _ bool) (err error) {
			out, err = d.client.Scan(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		more, err := page(out)
		if in.ExclusiveStartKey = out.LastEvaluatedKey; err != nil || !more || len(in.ExclusiveStartKey) == 0 {
			return err
		}
	}
}

func (d *dynamo) count(ctx context.Context, s selection) (n int64, err error) {
	if s.kind == refund.IndexKey {
		in := &dynamodb.ScanInput{Select: types.SelectCount}
		err := d.scan(ctx, in, func(out *dynamodb.ScanOutput) (more bool, err error) {
			n += int64(out.Count)
			return true, nil
		})
		return n, err
	}
	leave, err := d.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	var ranges []dynamoRange
	for shard := 0; shard < shards && s.kind == refund.IndexDue; shard++ {
		ranges = append(ranges, dueRange(s.due, position{shard: shard, due: math.MinInt64}))
	}
	for _, class := range s.classes {
		ranges = append(ranges, newestRange(class, s.classRange))
	}
	for _, r := range ranges {
		in := r.input(&d.table)
		in.Select = types.SelectCount
		for more := r.from <= r.to; more; more = len(in.ExclusiveStartKey) > 0 {
			out, err := d.queryPage(ctx, in)
			if err != nil {
				return 0, err
			}
			n += int64(out.Count)
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
	return n, nil
}
