// Package deliver delivers the event of a refund or an application to a subscriber: a cloud
// function of the same CloudBase environment, or a webhook. Each makes a
// [refund.Subscriber]; which deliveries are pending, when they are attempted, and how
// often, is the refund package's concern.
package deliver
