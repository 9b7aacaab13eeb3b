// Package channel carries a refund to an upstream system, a file each.
//
// A channel translates: a request into the upstream's words, its answer into a
// v3-shaped refund object, its error codes into ours by a table. It decides
// nothing. What says nothing certain about the money (no answer, a 5xx, an
// answer that cannot be verified, a code that nobody has documented) is
// [refund.CodeUnavailable] and never a failure.
//
// A day's bill is kept in a temporary file and read once to its end, before anything of it
// is handed out.
//
// Documents are cited by title or number:
//
//   - CloudPay.refund, CloudPay.queryRefund: developers.weixin.qq.com,
//     miniprogram/dev/wxcloudservice/wxcloud/reference-sdk-api/open/pay/
//   - CloudBase template, wxpay_refund: developers.weixin.qq.com,
//     miniprogram/dev/wxcloud/template-guide/basic/wxpay/docs/api_wxpay_refund.html
//   - WeChat Pay Global, Submit Refund: pay.weixin.qq.com,
//     wiki/doc/api/wxpay/en/pay/MiniProgramPay/chapter8_4.shtml
//   - numbers such as 4012552567: pay.weixin.qq.com/doc/v3/merchant/ and the number
//   - WeCom documents 97333 and 98115: developer.work.weixin.qq.com/document/path/ and the number
//   - CloudPay.downloadBill: beside CloudPay.refund; v2's 4011939779: pay.weixin.qq.com/doc/v2/merchant/
package channel
