// Where calls go.
module.exports = {
  // The CloudBase environment in which wxpayFunctions is deployed; '': the first one.
  env: '',

  // The address of a sandbox, such as 'http://127.0.0.1:8700', which is then called in place of
  // the cloud; '': none. Never publish a program with an address here: whoever reaches a sandbox
  // is who he says he is.
  sandbox: '',

  // Who calls the sandbox. In the cloud the platform says it, and nobody else can.
  openid: 'oBuyer',
}
