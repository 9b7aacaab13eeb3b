// Package refund decides what may happen to a refund.
//
// What becomes of a refund is known from the upstream's reply, from a notification or
// from a query. All three become one value, an [Outcome], and pass through one
// method, [Service.Settle], which holds the state machine and is idempotent.
//
// The ledger comes first. [Service.Refund] claims the refund number and reserves
// the amount on the order's account in one durable commit, then calls the
// upstream once, then settles. A crash anywhere leaves a claim from which the
// refund goes on with the same number and the same content, which the upstream
// carries out only once. A reply that says nothing certain (a timeout, a broken
// connection, a 5xx) leaves the claim as it is: unknown is a state.
//
// Whoever wants to know is a [Subscriber]. The commit that settles a refund puts an
// [Event] into the refund's outbox, and [Service.Deliver] and [Service.Reconcile]
// deliver it to each subscriber at least once, a refund's events in order.
//
// Everything technical stands behind two interfaces: [Channel] carries a refund to an
// upstream, [Ledger] remembers items under versions.
//
// Rules that are not ours name the document that they come from: APIv3's refund
// document (https://pay.weixin.qq.com/doc/v3/merchant/4012791862) and best practice
// (https://pay.weixin.qq.com/doc/v3/merchant/4014959631), or one of those that
// shared/testdata/documents.json lists.
package refund
