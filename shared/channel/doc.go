// Package channel carries a refund to an upstream system, a file each.
//
// A channel translates: a request into the upstream's words, its answer into a
// v3-shaped refund object, its error codes into ours by a table. It decides
// nothing. What says nothing certain about the money (no answer, a 5xx, an
// answer that cannot be verified, a code that nobody has documented) is
// [refund.CodeUnavailable] and never a failure.
//
// The documents are cited by title or number:
//
//   - CloudPay.refund, CloudPay.queryRefund:
//     developers.weixin.qq.com/minigame/dev/wxcloud/reference-sdk-api/open/pay/
//   - WeChat Pay Global, Submit Refund, V1.0 of 2019, and numbers such as 4012552567:
//     pay.weixin.qq.com/doc
//   - CloudBase template, wxpay_refund: the template's own page on it
//   - WeCom documents: developer.work.weixin.qq.com/document/path/ and the number
package channel
