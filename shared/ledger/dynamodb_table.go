//go:build dynamodb || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// dynamoCreation is how long a table may take to be made.
const dynamoCreation = time.Minute

var errNoLedger = errors.New("not a ledger's")

// dynamoKeys are the keys of the table and of its index; all are strings.
var (
	tableKeys = []types.KeySchemaElement{{AttributeName: aws.String("item_key"), KeyType: types.KeyTypeHash}}
	indexKeys = []types.KeySchemaElement{
		{AttributeName: aws.String("due_shard"), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String("due_place"), KeyType: types.KeyTypeRange},
	}
)

// create makes the table unless it is there, and waits until it can be used.
// Several processes may do so at once.
func (d *dynamo) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dynamoCreation)
	defer cancel()
	for n := 1; ; n++ {
		var ready bool
		err := d.retry(ctx, func(ctx context.Context, _ bool) (err error) {
			ready, err = d.describe(ctx)
			return err
		})
		var missing *types.ResourceNotFoundException
		switch {
		case errors.As(err, &missing):
			if err := d.createTable(ctx); err != nil {
				return fmt.Errorf("create table %q: %w", d.table, err)
			}
		case err != nil:
			return err
		case ready:
			return nil
		}
		if err := backOff(ctx, n); err != nil {
			return fmt.Errorf("table %q is not ready: %w", d.table, err)
		}
	}
}

func (d *dynamo) createTable(ctx context.Context) error {
	in := &dynamodb.CreateTableInput{
		TableName:   &d.table,
		KeySchema:   tableKeys,
		BillingMode: types.BillingModePayPerRequest,
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(dueIndex),
			KeySchema:  indexKeys,
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	}
	for _, keys := range [][]types.KeySchemaElement{tableKeys, indexKeys} {
		for _, k := range keys {
			in.AttributeDefinitions = append(in.AttributeDefinitions,
				types.AttributeDefinition{AttributeName: k.AttributeName, AttributeType: types.ScalarAttributeTypeS})
		}
	}
	return d.retry(ctx, func(ctx context.Context, _ bool) error {
		_, err := d.client.CreateTable(ctx, in)
		var exists *types.ResourceInUseException
		if errors.As(err, &exists) { // another was faster
			return nil
		}
		return err
	})
}

// describe reports whether the table can be used; errNoLedger if it never can.
func (d *dynamo) describe(ctx context.Context) (ready bool, err error) {
	out, err := d.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &d.table})
	if err != nil {
		return false, err
	}
	kinds := map[string]types.ScalarAttributeType{}
	for _, a := range out.Table.AttributeDefinitions {
		kinds[aws.ToString(a.AttributeName)] = a.AttributeType
	}
	if keys := keyText(out.Table.KeySchema, kinds); keys != "item_key S HASH" {
		return false, fmt.Errorf("table %q is %w: its key is %s, want item_key S HASH", d.table, errNoLedger, keys)
	}
	for _, index := range out.Table.GlobalSecondaryIndexes {
		if aws.ToString(index.IndexName) != dueIndex {
			continue
		}
		if keys := keyText(index.KeySchema, kinds); keys != "due_shard S HASH, due_place S RANGE" {
			return false, fmt.Errorf("table %q is %w: the keys of its index %q are %s, want due_shard S HASH, due_place S RANGE",
				d.table, errNoLedger, dueIndex, keys)
		}
		if p := index.Projection; p == nil || p.ProjectionType != types.ProjectionTypeAll {
			return false, fmt.Errorf("table %q is %w: its index %q lacks attributes, want the projection ALL", d.table, errNoLedger, dueIndex)
		}
		return out.Table.TableStatus == types.TableStatusActive && index.IndexStatus == types.IndexStatusActive, nil
	}
	return false, fmt.Errorf("table %q is %w: it has no index %q", d.table, errNoLedger, dueIndex)
}

// keyText writes keys as the errors above name them.
func keyText(keys []types.KeySchemaElement, kinds map[string]types.ScalarAttributeType) string {
	var parts []string
	for _, k := range keys {
		name := aws.ToString(k.AttributeName)
		parts = append(parts, fmt.Sprintf("%s %s %s", name, kinds[name], k.KeyType))
	}
	return strings.Join(parts, ", ")
}
