// Package own is the one place for the merchant's own Go code.
package own

import (
	"context"
	"log/slog"

	"wxrefund/shared/refund"
)

// Subscribers are the merchant's code as a function that delivers events has it: none,
// or the one that OnSettled returns.
func Subscribers(getenv func(string) string, log *slog.Logger) ([]refund.Subscriber, error) {
	tell, err := OnSettled(getenv, log)
	if err != nil || tell == nil {
		return nil, err
	}
	return []refund.Subscriber{{Name: refund.OwnCode, Tell: tell}}, nil
}

// OnSettled returns what is called with every refund that has succeeded, was closed or
// has become abnormal, and, where buyers apply (REFUND_SELF) or two have to agree
// (REFUND_APPROVAL_FEN), with whatever becomes of an application: then event.Application is
// not nil, no money has moved by that, and the event's Status and Refund say nothing. nil:
// nothing is called, which is how it comes.
//
// It is called at least once for each event, and in order for one refund. event.ID is
// the same when an event is delivered again. If it returns an error, or does not return
// before ctx ends, the event is delivered again later, for three days. Calls about
// different refunds may run at once.
//
// The functions notify and reconcile and the sandbox call OnSettled once each, when they
// start. getenv reads their variables, a database's address for example; what is opened
// here stays open. Return what fails as an error: the function then serves nothing and is
// built anew by the next call. A nil function drops the events that wait for your code, so
// that the variables it needs must be set for notify and reconcile alike. Let the names of such variables begin with OWN_: those in .env become
// part of cloudbaserc.json by themselves; serverless.yml and template.yaml must name them.
//
//	return func(ctx context.Context, event refund.Event) error {
//		if a := event.Application; a != nil {
//			return orders.Applied(ctx, event.ID, a.ID, a.OutTradeNo, a.State)
//		}
//		return orders.Refunded(ctx, event.ID, event.Refund.OutTradeNo, event.Status)
//	}, nil
func OnSettled(getenv func(string) string, log *slog.Logger) (func(ctx context.Context, event refund.Event) error, error) {
	return nil, nil //nolint:nilnil // no code of the merchant's own
}
