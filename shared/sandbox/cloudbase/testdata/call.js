// Calls what its arguments say with CloudBase's own library, and prints what
// comes back, or what is thrown, as one line of JSON a call.
//
// usage: node call.js '[["callFunction", {...}], ["refund", {...}], ["queryRefund", {...}]]'
const cloud = require('wx-server-sdk')

cloud.init({ env: process.env.TCB_ENV })

const calls = {
  callFunction: data => cloud.callFunction(data),
  refund: data => cloud.cloudPay.refund(data),
  queryRefund: data => cloud.cloudPay.queryRefund(data),
}

async function main() {
  for (const [name, data] of JSON.parse(process.argv[2])) {
    let line
    try {
      line = { value: await calls[name](data) }
    } catch (e) {
      line = { error: String(e.errMsg || e.message || e), code: e.errCode }
    }
    console.log(JSON.stringify(line))
  }
}

main()
