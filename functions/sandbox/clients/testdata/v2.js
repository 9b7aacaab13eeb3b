// What is tried of a client of v2.
const { sandbox, attempt, control, receive, settle } = require('./sandbox')

const { api_key: key } = sandbox.credentials
const another = 'x'.repeat(32)

// tryV2 refunds, asks and reads notifications, signed with either digest. A client's
// refund and find return what WeChat Pay answers, and its open what a notification seals,
// or they throw: refusal then says with which code.
module.exports = async function tryV2({ refund, find, open, acknowledgement, refusal }) {
  const notified = ({ refund_status, refund_fee }) => `${refund_status} ${refund_fee}`
  const receiver = await receive(async n => notified(await open(n, key)), acknowledgement)

  for (const sign_type of ['MD5', 'HMAC-SHA256']) {
    const number = `R-${sign_type}`
    const ask = (number, fee, by = key) => refund({
      sign_type, out_trade_no: 'T1', out_refund_no: number, total_fee: 10000, refund_fee: fee,
      refund_desc: '商品 <&> 已售完', notify_url: receiver.url,
    }, by)
    const query = async number => {
      const { refund_status_0, refund_fee_0 } = await find({ sign_type, out_refund_no: number })
      return `${refund_status_0} ${refund_fee_0}`
    }
    const report = (check, call, how) => attempt(`${sign_type} ${check}`, call, how)

    let made
    await report('refund', async () => (({ result_code, refund_fee }) => `${result_code} ${refund_fee}`)(made = await ask(number, 888)), refusal)
    await report('refund, again', async () => (await ask(number, 888)).refund_id === made.refund_id, refusal)
    await report('refund, of another amount', () => ask(number, 889), refusal)
    await report('refund, with another key', () => ask('R0', 888, another), refusal)

    const { tampered, genuine } = await settle(receiver, number)
    await report('notification', () => genuine.outcome)
    await report('notification, tampered with', () => tampered.outcome)
    await report('notification, with another key', async () => notified(await open(genuine, another)))
    await report('query', () => query(number), refusal)
    await report('query, unknown', () => query('R0'), refusal)
    await control('/_sandbox/faults', { upstream: 'bad_signature', count: 1 })
    await report('query, forged', () => query(number), refusal)
  }
  receiver.close()
}
