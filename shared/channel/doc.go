// Package channel carries a refund to an upstream system, a file each.
//
// A channel translates: a request into the upstream's words, its answer into a
// v3-shaped refund object, its error codes into ours by a table. It decides
// nothing. What says nothing certain about the money (no answer, a 5xx, an
// answer that cannot be verified, a code that nobody has documented) is
// [refund.CodeUnavailable] and never a failure.
package channel
