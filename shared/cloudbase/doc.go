// Package cloudbase calls Tencent CloudBase from a function or a server of one environment.
//
// [Gateway] is the door behind which other functions of the environment and CloudPay are.
// [API] is the other one, the HTTP API, behind which the environment's database is. Both
// take the environment's own key as a Bearer; else a call is signed in Tencent Cloud's way,
// TC3: at the gateway in a dialect of its own ([TC3Signer.Authorization]), at the HTTP API
// as it is everywhere ([TC3Signer.APIAuthorization]). The sandbox, which plays both,
// verifies them ([ParseTC3], [ParseAPITC3]). Both halves stand side by side, as those
// of WeChat Pay's protocols do in package wxpay; the tests hold them against calls
// that CloudBase's own library has signed. The errors of verifying are those of wxpay.
package cloudbase
