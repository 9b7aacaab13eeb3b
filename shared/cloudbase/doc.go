// Package cloudbase calls CloudBase's gateway, through which a function reaches
// other functions of its environment and CloudPay.
//
// [Gateway] makes the calls. They are signed in Tencent Cloud's way, TC3, in a
// dialect of its own ([TC3Signer]); the sandbox, which plays the gateway, verifies
// them ([ParseTC3], [TC3Credential.Verify]). Both halves stand side by side, as those
// of WeChat Pay's protocols do in package wxpay; the tests hold them against calls
// that CloudBase's own library has signed. The errors of verifying are those of wxpay.
package cloudbase
