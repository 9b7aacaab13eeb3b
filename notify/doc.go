// Package notify listens to WeChat Pay: it verifies a refund notification,
// reads it, has it settled, tells the business of it and acknowledges it.
//
// The order of work is fixed: method and size, then the signature over the raw
// bytes, and only then JSON, and only then the sealed resource. SUCCESS is said
// once the outcome is durable and never before, since WeChat Pay does not
// repeat what was acknowledged. Repeats are settled like the first and change
// nothing. A subscriber that does not take the event in the time that is left is told
// again later; that is no reason for WeChat Pay to repeat anything.
package notify
