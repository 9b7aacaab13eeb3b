//go:build dynamodb || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// dynamoSchema is the schema that this program writes: what the attributes of an
// item mean, and in which shard and place of the index it stands. It grows when a
// program that knows only the old one would do harm in the table.
const dynamoSchema = 1

// schemaMarker is the key of the item that says which schema a table has. Tables
// from before there was one have none, and schema 1.
const schemaMarker = "wxrefund/schema"

// upgradeSchema looks at the marker, and has it say the schema of this program if it says
// less. Whoever comes first does it, by a condition of the write; the others then
// find it done. A table with a schema that we do not know is refused.
func (d *dynamo) upgradeSchema(ctx context.Context) error {
	for range callAttempts {
		stored, err := d.readSchema(ctx)
		if err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		if err := checkVersion(stored, d.known); err != nil {
			return err
		}
		if stored == d.known {
			return nil
		}
		err = d.retry(ctx, func(ctx context.Context, _ bool) error {
			item := keyed(schemaMarker)
			item["schema"] = number(int64(d.known))
			_, err := d.client.PutItem(ctx, &dynamodb.PutItemInput{
				TableName:                 &d.table,
				Item:                      item,
				ConditionExpression:       aws.String("attribute_not_exists(item_key) OR #schema = :stored"),
				ExpressionAttributeNames:  map[string]string{"#schema": "schema"},
				ExpressionAttributeValues: attributes{":stored": number(int64(stored))},
			})
			return err
		})
		// Another was faster, or our own answer was lost: what is there now?
		var failed *types.ConditionalCheckFailedException
		if err != nil && !errors.As(err, &failed) {
			return fmt.Errorf("schema: %w", err)
		}
	}
	return errors.New("schema: other programs keep changing it")
}

// readSchema reads the marker; 0 if there is none.
func (d *dynamo) readSchema(ctx context.Context) (stored int, err error) {
	var item attributes
	err = d.retry(ctx, func(ctx context.Context, _ bool) error {
		out, err := d.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.table, Key: keyed(schemaMarker), ConsistentRead: aws.Bool(true)})
		if err == nil {
			item = out.Item
		}
		return err
	})
	if err != nil || len(item) == 0 {
		return 0, err
	}
	n, ok := integer(item["schema"])
	if !ok || n < 1 {
		return 0, fmt.Errorf("the item %q has no number: the table is not ours", schemaMarker)
	}
	return int(n), nil
}
