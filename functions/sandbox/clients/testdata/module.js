// What CloudBase's libraries have in common: calls through the gateway, of the template's
// module and of the merchant's own functions. They read nothing that is notified: the
// platform does, and calls a function.
const { report, attempt } = require('./sandbox')

// tryModule refunds and asks with a library's callFunction; another is that of somebody
// with another key.
module.exports = async function tryModule(callFunction, another) {
  const call = async (name, data, by = callFunction) => (await by({ name: 'cloudbase_module', data: { name, data } })).result
  const refund = (fen, by) => call('wxpay_refund', {
    out_trade_no: 'T1', out_refund_no: 'R1', reason: '商品已售完', amount: { refund: fen, total: 10000, currency: 'CNY' },
  }, by)
  const find = number => call('wxpay_refund_query', { params: { out_refund_no: number } })
  const summary = ({ code, data }) => `${code} ${data.status} ${data.amount.refund}`
  const refused = ({ code, msg }) => `${code} ${JSON.parse(msg).code}`

  const made = await refund(888)
  report('refund', summary(made))
  report('refund, again', (await refund(888)).data.refund_id === made.data.refund_id)
  report('refund, of another amount', refused(await refund(889)))
  report('query', summary(await find('R1')))
  report('query, unknown', refused(await find('R0')))

  const said = e => (String(e.message).match(/function not found|signature verification failed|access token is not valid|it broke/) || [e.message])[0]
  await attempt('call of an unknown function', () => callFunction({ name: 'nobody', data: {} }), said)
  await attempt('call with another key', () => refund(888, another), said)

  const echo = async data => JSON.stringify((await callFunction({ name: 'echo', data })).result)
  await attempt('call of a function', () => echo({ a: 1 }), said)
  await attempt('call of a function that fails', () => callFunction({ name: 'broken', data: {} }), said)
  await attempt('call of a function for a user', () => within(userCall, () => echo({ a: 1 })), said)
}

// userCall is what the platform gives to a function that a user of the mini-program calls.
const userCall = {
  TENCENTCLOUD_RUNENV: 'SCF', TCB_CONTEXT_KEYS: 'TCB_ENV,TCB_SOURCE', TCB_SOURCE: 'wx_client', WX_CONTEXT_KEYS: 'WX_API_TOKEN', WX_API_TOKEN: 'oSomebody',
}

// within calls in an environment with other variables.
async function within(variables, call) {
  const before = { ...process.env }
  Object.assign(process.env, variables)
  try {
    return await call()
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
    Object.assign(process.env, before)
  }
}
module.exports.within = within
