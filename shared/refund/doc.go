// Package refund decides what may happen to a refund.
//
// A refund learns its fate on three roads: the upstream's reply, a notification
// and a query. All three become one value, an [Outcome], and pass through one
// method that holds the state machine, so that hearing the same event twice
// changes nothing.
//
// The ledger comes first. [Service.Refund] claims the refund number and reserves
// the amount on the order's account in one durable commit, then calls the
// upstream once, then settles. A crash anywhere leaves a claim from which the
// refund goes on with the same number and the same content, which the upstream
// carries out only once. A reply that says nothing certain (a timeout, a broken
// connection, a 5xx) leaves the claim as it is: unknown is a state.
//
// A refund that settles is told to the business. What is owed to each
// [Subscriber] is written in the commit that settles, and paid by
// [Service.Deliver] and [Service.Reconcile], at least once and in order.
//
// Everything technical stands behind two interfaces: [Channel] carries a refund
// to an upstream, [Ledger] remembers items under versions. This package imports
// the standard library only.
package refund
