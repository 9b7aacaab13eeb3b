// What is tried of a client of APIv3, as far as the client can do it.
const { sandbox, attempt, control, receive, settle } = require('./sandbox')

const { credentials, kind } = sandbox
const another = 'x'.repeat(32)
const summary = ({ status, refund_status, amount }) => `${status || refund_status} ${amount.refund}`

// tryV3 refunds, asks and reads notifications. A client's refund, find and certificates
// return what WeChat Pay answers, and its open what a notification seals, or they throw:
// refusal then says with which code.
module.exports = async function tryV3({ refund, find, open, certificates, refusal }) {
  const receiver = await receive(async n => summary(await open(n, credentials.apiv3_key)), '{"code":"SUCCESS"}')
  const ask = (number, fen) => refund({
    out_trade_no: 'T1', out_refund_no: number, reason: '商品 <&> 已售完', notify_url: receiver.url,
    amount: { refund: fen, total: 10000, currency: 'CNY' },
  })

  let made
  await attempt('refund', async () => summary(made = await ask('R1', 888)), refusal)
  await attempt('refund, again', async () => (await ask('R1', 888)).refund_id === made.refund_id, refusal)
  await attempt('refund, of another amount', () => ask('R1', 889), refusal)

  // While a merchant changes over, WeChat Pay signs with keys of either kind.
  for (const [number, percent] of kind === 'switching' ? [['R1', 0], ['R2', 100]] : [['R1']]) {
    if (percent !== undefined) await control('/_sandbox/keys/share', { percent })
    await ask(number, 888)
    const { tampered, genuine } = await settle(receiver, number)
    const by = genuine.headers['wechatpay-serial'].startsWith('PUB_KEY_ID_') ? 'public key' : 'certificate'
    await attempt(`notification by ${by}`, () => genuine.outcome)
    await attempt(`notification by ${by}, tampered with`, () => tampered.outcome)
    await attempt(`notification by ${by}, with another key`, async () => summary(await open(genuine, another)))
    await attempt(`query, ${by}`, async () => summary(await find(number)), refusal)
  }

  await attempt('query, unknown', () => find('R0'), refusal)
  await control('/_sandbox/faults', { upstream: 'bad_signature', count: 1 })
  await attempt('query, forged', async () => summary(await find('R1')), refusal)
  await attempt('certificates', () => certificates(credentials.apiv3_key), refusal)
  await attempt('certificates, with another key', () => certificates(another), refusal)
  receiver.close()
}
