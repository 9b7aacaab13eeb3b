//go:build dynamodb || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// dynamoCreation is how long a table may take to be made.
const dynamoCreation = time.Minute

var errNoLedger = errors.New("not a ledger's")

// The keys of the table and of its indexes; all are strings.
var (
	tableKeys = []types.KeySchemaElement{{AttributeName: aws.String("item_key"), KeyType: types.KeyTypeHash}}
	dueKeys   = indexKeys("due_shard", "due_place")
	classKeys = indexKeys("class", "class_place")
)

func indexKeys(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &partition, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

// create makes the table unless it is there, and waits until it can be used. One that is
// there gets the index of classes if it lacks it, and is used without meanwhile. Several
// processes may do so at once.
func (d *dynamo) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dynamoCreation)
	defer cancel()
	for n := 1; ; n++ {
		found, err := d.look(ctx)
		var missing *types.ResourceNotFoundException
		switch {
		case errors.As(err, &missing):
			if err := d.createTable(ctx); err != nil {
				return fmt.Errorf("create table %q: %w", d.table, err)
			}
		case err != nil:
			return err
		case found.ready && found.classes == "":
			return d.addClassIndex(ctx)
		case found.ready:
			return nil
		}
		if err := backOff(ctx, n); err != nil {
			return fmt.Errorf("table %q is not ready: %w", d.table, err)
		}
	}
}

func (d *dynamo) createTable(ctx context.Context) error {
	in := &dynamodb.CreateTableInput{
		TableName:            &d.table,
		KeySchema:            tableKeys,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: definitions(tableKeys, dueKeys, classKeys),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String(dueIndex), KeySchema: dueKeys, Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String(classIndex), KeySchema: classKeys, Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}},
		},
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

// definitions says of keys that they are strings.
func definitions(all ...[]types.KeySchemaElement) (found []types.AttributeDefinition) {
	for _, k := range slices.Concat(all...) {
		found = append(found, types.AttributeDefinition{AttributeName: k.AttributeName, AttributeType: types.ScalarAttributeTypeS})
	}
	return found
}

// addClassIndex has the index of classes made, and does not wait for it.
func (d *dynamo) addClassIndex(ctx context.Context) error {
	err := d.retry(ctx, func(ctx context.Context, _ bool) error {
		_, err := d.client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
			TableName:            &d.table,
			AttributeDefinitions: definitions(tableKeys, dueKeys, classKeys),
			GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
				IndexName: aws.String(classIndex), KeySchema: classKeys,
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			}}},
		})
		return err
	})
	if err == nil {
		return nil
	}
	// Another may have been faster, or the answer to an attempt have been lost.
	if found, wrong := d.look(ctx); wrong == nil && found.classes != "" {
		return nil
	}
	return fmt.Errorf("add index %q to table %q: %w", classIndex, d.table, err)
}

// addIndexes adds the index of classes, and waits until it can be used.
func (d *dynamo) addIndexes(ctx context.Context) error {
	leave, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for n := 1; ; n++ {
		found, err := d.look(ctx)
		switch {
		case err != nil:
			return err
		case found.classes == types.IndexStatusActive:
			return nil
		case found.classes == "" && found.ready:
			if err := d.addClassIndex(ctx); err != nil {
				return err
			}
		}
		if err := backOff(ctx, n); err != nil {
			return fmt.Errorf("index %q of table %q is still being made: %w", classIndex, d.table, err)
		}
	}
}

// schema tells whether the table has the index of classes, from which on it counts as 2.
// The marker says which schema the items have, which is the same with and without.
func (d *dynamo) schema(ctx context.Context) (have, want int, err error) {
	leave, err := d.enter(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	found, err := d.look(ctx)
	have, want = 1, 2
	if found.classes == types.IndexStatusActive {
		have = want
	}
	return have, want, err
}

// A dynamoTable is what a table is like.
type dynamoTable struct {
	ready   bool              // it can be used, but for the index of classes
	classes types.IndexStatus // of that; "" if there is none
}

// look describes the table, with as many attempts as it takes.
func (d *dynamo) look(ctx context.Context) (found dynamoTable, err error) {
	err = d.retry(ctx, func(ctx context.Context, _ bool) error {
		found, err = d.describe(ctx)
		return err
	})
	return found, err
}

// describe tells what the table is like; errNoLedger if it can never be used.
func (d *dynamo) describe(ctx context.Context) (found dynamoTable, err error) {
	out, err := d.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &d.table})
	if err != nil {
		return found, err
	}
	kinds := map[string]types.ScalarAttributeType{}
	for _, a := range out.Table.AttributeDefinitions {
		kinds[aws.ToString(a.AttributeName)] = a.AttributeType
	}
	if keys, want := keyText(out.Table.KeySchema, kinds), "item_key S HASH"; keys != want {
		return found, fmt.Errorf("table %q is %w: its key is %s, want %s", d.table, errNoLedger, keys, want)
	}
	due := false
	for _, index := range out.Table.GlobalSecondaryIndexes {
		keys, name, projection := "", aws.ToString(index.IndexName), types.ProjectionTypeAll
		switch name {
		case dueIndex:
			keys, due = "due_shard S HASH, due_place S RANGE", true
			found.ready = out.Table.TableStatus != types.TableStatusCreating && index.IndexStatus == types.IndexStatusActive
		case classIndex:
			keys, projection = "class S HASH, class_place S RANGE", ""
			found.classes = index.IndexStatus
		default:
			continue
		}
		if got := keyText(index.KeySchema, kinds); got != keys {
			return found, fmt.Errorf("table %q is %w: the keys of its index %q are %s, want %s", d.table, errNoLedger, name, got, keys)
		}
		if p := index.Projection; projection != "" && (p == nil || p.ProjectionType != projection) {
			return found, fmt.Errorf("table %q is %w: its index %q lacks attributes, want the projection %s", d.table, errNoLedger, name, projection)
		}
	}
	if !due {
		return found, fmt.Errorf("table %q is %w: it has no index %q", d.table, errNoLedger, dueIndex)
	}
	return found, nil
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
