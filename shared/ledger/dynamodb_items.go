//go:build dynamodb || !slim

package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"wxrefund/shared/refund"
)

// DynamoDB's limits, and ours below them: an item has at most 400 KB, its names
// and keys included, and a transaction 100 items and 4 MB.
const (
	dynamoItems = 100
	dynamoBody  = 350 << 10
	dynamoBytes = 4_000_000
)

// attributes is an item as DynamoDB has it.
type attributes = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func keyed(key refund.Key) attributes { return attributes{"item_key": text(string(key))} }

// stored returns the attributes of an item that a commit writes.
func stored(item refund.Item, commit string) attributes {
	a := keyed(item.Key)
	a["version"] = number(item.Version + 1)
	a["body"] = &types.AttributeValueMemberB{Value: item.Body}
	a["commit_id"] = text(commit)
	if !item.Due.IsZero() {
		due := item.Due.UnixMilli()
		a["due"] = number(due)
		a["due_shard"] = text(strconv.Itoa(shardOf(item.Key)))
		a["due_place"] = text(place(due, item.Key))
	}
	if item.Class != "" {
		a["class"] = text(item.Class)
		a["class_place"] = text(place(item.At.UnixMilli(), item.Key))
	}
	return a
}

var errNotWhole = errors.New("the table or its index holds what is not a whole item of a ledger")

// loaded undoes stored.
func loaded(a attributes) (item refund.Item, err error) {
	key, isKey := a["item_key"].(*types.AttributeValueMemberS)
	body, isBody := a["body"].(*types.AttributeValueMemberB)
	version, isVersion := integer(a["version"])
	if !isKey || !isBody || !isVersion {
		return item, errNotWhole
	}
	item = refund.Item{Key: refund.Key(key.Value), Version: version, Body: body.Value}
	if item.Body == nil {
		item.Body = []byte{}
	}
	if due, ok := integer(a["due"]); ok {
		item.Due = time.UnixMilli(due).UTC()
	}
	if class, ok := a["class"].(*types.AttributeValueMemberS); ok {
		e, err := entryOf(a)
		if err != nil {
			return item, err
		}
		item.Class, item.At = class.Value, time.UnixMilli(e.at).UTC()
	}
	return item, nil
}

func integer(v types.AttributeValue) (int64, bool) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	return i, err == nil
}

// get asks for one item by itself, for several in a transaction. More than a
// transaction takes are read in several, until nothing changed between them.
func (d *dynamo) get(ctx context.Context, keys []refund.Key) (map[refund.Key]refund.Item, error) {
	leave, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	chunks := slices.Collect(slices.Chunk(keys, dynamoItems))
	for attempt := 1; ; attempt++ {
		found := make(map[refund.Key]refund.Item, len(keys))
		for _, chunk := range chunks {
			if err := d.getChunk(ctx, chunk, found); err != nil {
				return nil, err
			}
		}
		// Versions only grow. If all but the last chunk are still as they were,
		// all were so when the last was read.
		again := make(map[refund.Key]refund.Item, len(keys))
		for _, chunk := range chunks[:len(chunks)-1] {
			if err := d.getChunk(ctx, chunk, again); err != nil {
				return nil, err
			}
		}
		same := true
		for _, chunk := range chunks[:len(chunks)-1] {
			for _, key := range chunk {
				same = same && found[key].Version == again[key].Version
			}
		}
		if same {
			return found, nil
		}
		if attempt == 10*callAttempts {
			return nil, fmt.Errorf("%d items, read %d at a time, changed meanwhile in each of %d attempts", len(keys), dynamoItems, attempt)
		}
		if err := backOff(ctx, 1); err != nil {
			return nil, err
		}
	}
}

// getChunk adds the items of up to dynamoItems keys to found.
func (d *dynamo) getChunk(ctx context.Context, keys []refund.Key, found map[refund.Key]refund.Item) error {
	var all []attributes
	err := d.retry(ctx, func(ctx context.Context, _ bool) error {
		if len(keys) == 1 {
			out, err := d.client.GetItem(ctx, &dynamodb.GetItemInput{
				TableName:      &d.table,
				Key:            keyed(keys[0]),
				ConsistentRead: aws.Bool(true),
			})
			if err == nil {
				all = []attributes{out.Item}
			}
			return err
		}
		in := &dynamodb.TransactGetItemsInput{}
		for _, key := range keys {
			in.TransactItems = append(in.TransactItems, types.TransactGetItem{Get: &types.Get{TableName: &d.table, Key: keyed(key)}})
		}
		out, err := d.client.TransactGetItems(ctx, in)
		if err == nil {
			all = nil
			for _, r := range out.Responses {
				all = append(all, r.Item)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range all {
		if len(a) == 0 { // no such item
			continue
		}
		item, err := loaded(a)
		if err != nil {
			return err
		}
		found[item.Key] = item
	}
	return nil
}

// commit writes one item by a conditional put, several by a transaction.
//
// An answer may be lost and the request be repeated although it was carried
// out. DynamoDB knows a transaction again by its token, for ten minutes; a put
// it does not. Each item names the commit that wrote it, so that a commit which
// meets its own item knows itself.
func (d *dynamo) commit(ctx context.Context, items []refund.Item) error {
	if err := checkDynamoDB(items); err != nil {
		return err
	}
	leave, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var id string
	return d.retry(ctx, func(ctx context.Context, inDoubt bool) error {
		if !inDoubt { // a refused attempt left nothing to be recognised
			id = rand.Text()
		}
		refused, err := d.write(ctx, items, id)
		if len(refused) > 0 {
			return conflictError(items, refused, id, inDoubt)
		}
		return err
	})
}

// checkDynamoDB refuses what DynamoDB would not take.
func checkDynamoDB(items []refund.Item) error {
	if len(items) > dynamoItems {
		return fmt.Errorf("%d items, DynamoDB takes at most %d in one commit", len(items), dynamoItems)
	}
	total := 0
	for _, item := range items {
		if len(item.Body) > dynamoBody {
			return fmt.Errorf("key %q: body of %d bytes, DynamoDB takes at most %d", item.Key, len(item.Body), dynamoBody)
		}
		total += len(item.Body)
	}
	if total > dynamoBytes {
		return fmt.Errorf("bodies of %d bytes, DynamoDB takes at most %d in one commit", total, dynamoBytes)
	}
	return nil
}

// write tries to write the items. refused holds, by their place among items,
// those whose version is another: what is stored of them.
func (d *dynamo) write(ctx context.Context, items []refund.Item, id string) (refused map[int]attributes, err error) {
	puts := make([]types.TransactWriteItem, len(items))
	for i, item := range items {
		put := &types.Put{
			TableName:                           &d.table,
			Item:                                stored(item, id),
			ConditionExpression:                 aws.String("attribute_not_exists(item_key)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}
		if item.Version > 0 {
			put.ConditionExpression = aws.String("#version = :version")
			put.ExpressionAttributeNames = map[string]string{"#version": "version"}
			put.ExpressionAttributeValues = attributes{":version": number(item.Version)}
		}
		puts[i].Put = put
	}
	if len(puts) == 1 {
		put := puts[0].Put
		_, err = d.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName:                           put.TableName,
			Item:                                put.Item,
			ConditionExpression:                 put.ConditionExpression,
			ExpressionAttributeNames:            put.ExpressionAttributeNames,
			ExpressionAttributeValues:           put.ExpressionAttributeValues,
			ReturnValuesOnConditionCheckFailure: put.ReturnValuesOnConditionCheckFailure,
		})
		var failed *types.ConditionalCheckFailedException
		if errors.As(err, &failed) {
			return map[int]attributes{0: failed.Item}, err
		}
		return nil, err
	}
	_, err = d.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: puts, ClientRequestToken: &id})
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		for i, r := range cancelled.CancellationReasons {
			if code(r) == "ConditionalCheckFailed" && i < len(items) {
				if refused == nil {
					refused = map[int]attributes{}
				}
				refused[i] = r.Item
			}
		}
	}
	return refused, err
}

func code(r types.CancellationReason) string { return aws.ToString(r.Code) }

// conflictError is what it means that the stored versions are not the expected ones:
// nil if the commit itself has written them.
func conflictError(items []refund.Item, refused map[int]attributes, id string, inDoubt bool) error {
	for i, a := range refused {
		if by, ok := a["commit_id"].(*types.AttributeValueMemberS); ok && by.Value == id {
			return nil // all or nothing: so all were written
		}
		// Was an earlier put carried out, and its item overwritten since? Not if
		// the version that would be ours is another's. If that is not to be seen, it
		// must not be called stale: the caller would do everything twice.
		if version, _ := integer(a["version"]); inDoubt && len(items) == 1 && version > items[i].Version+1 {
			return errors.New("the answer to an attempt was lost, and others have written since: the outcome is unknown")
		}
	}
	return refund.ErrStale
}
