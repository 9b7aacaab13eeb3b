//go:build dynamodb || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// retry repeats op after a conflict, throttling, or a failure of the service or the
// network.
func (d *dynamo) retry(ctx context.Context, op func(ctx context.Context, inDoubt bool) error) error {
	return repeater{timeout: callTimeout, judge: transient, explain: d.explain}.do(ctx, op)
}

// transient reports whether the same request may succeed a little later, and whether
// this one may have been carried out all the same.
func transient(err error) (again, unknown bool) {
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		for _, r := range cancelled.CancellationReasons {
			switch code(r) {
			case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
				again = true
			case "None": // nothing was wrong with this one
			default:
				return false, false
			}
		}
		return again, false
	}
	var answer *smithyhttp.ResponseError
	answered := errors.As(err, &answer)
	var refused smithy.APIError
	if answered && errors.As(err, &refused) && answer.HTTPStatusCode() < 500 {
		switch refused.ErrorCode() {
		case "TransactionConflictException", "TransactionInProgressException",
			"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException":
			return true, false
		}
		return false, false
	}
	// It was sent, and no answer can be made out. What fails before that, as for
	// want of credentials, would fail again.
	var lost *smithyhttp.RequestSendError
	var late *smithy.CanceledError
	unknown = answered || errors.As(err, &lost) || errors.As(err, &late)
	return unknown, unknown
}

// explain says what is wrong with the table, if that is why a request failed.
func (d *dynamo) explain(ctx context.Context, err error) error {
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.ErrorCode() {
	case "ResourceNotFoundException":
		return fmt.Errorf("there is no table %q in %s: %w", d.table, d.client.Options().Region, err)
	case "ValidationException", "TransactionCanceledException":
		// Asked only now: not every function that may use a table may look at it.
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if _, wrong := d.describe(ctx); errors.Is(wrong, errNoLedger) {
			return fmt.Errorf("%w: %w", wrong, err)
		}
	}
	return err
}

// explainClasses says what the table's index of classes lacks, if that is why it could not
// be read: tables from before it go on without.
func (d *dynamo) explainClasses(ctx context.Context, err error) error {
	var refused smithy.APIError
	if ctx.Err() != nil || !errors.As(err, &refused) {
		return err
	}
	switch found, wrong := d.look(ctx); {
	case wrong != nil: // as of a function, which may not look
		return fmt.Errorf("index %q of table %q, which shared/ledger/README.md says under \"Upgrade\" how to add: %w", classIndex, d.table, err)
	case found.classes == "":
		return fmt.Errorf("table %q has no index %q yet: deploy template.yaml anew, or add it as shared/ledger/README.md says under \"Upgrade\": %w",
			d.table, classIndex, err)
	case found.classes != types.IndexStatusActive:
		return fmt.Errorf("index %q of table %q is still being made (%s): %w", classIndex, d.table, found.classes, err)
	}
	return err
}
