// Package deliver tells the business of a refund that has settled: a cloud
// function of the same CloudBase environment, or a webhook. Each makes a
// [refund.Subscriber]; what is owed to whom, when, and how often it is tried is
// the refund package's business.
package deliver
