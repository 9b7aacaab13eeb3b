// Package notify receives WeChat Pay's notifications: it verifies one, reads it,
// has it settled, delivers the event to subscribers and acknowledges it.
//
// The order of work is fixed: method and size, then the signature over the raw
// bytes, and only then JSON, and only then the sealed resource. SUCCESS is said
// once the outcome is durable and never before, since WeChat Pay does not
// repeat what was acknowledged. Repeats are settled like the first and change
// nothing. An event that a subscriber does not acknowledge in the time that is left is
// delivered later; that is no reason for WeChat Pay to repeat anything.
//
// Sources: the CloudBase template's wxpay_refund says what a notification must be
// answered, at
// https://developers.weixin.qq.com/miniprogram/dev/wxcloud/template-guide/basic/wxpay/docs/api_wxpay_refund.html;
// what a signed one holds is in WeChat Pay's APIv3 document 4012791865.
package notify
