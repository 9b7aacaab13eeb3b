// The pages against a real sandbox, at SANDBOX: what a buyer and two operators do with three
// phones.
const { test } = require('node:test')
const assert = require('node:assert')
const { phone, tapped, chose, fill } = require('./wx')

const sandbox = process.env.SANDBOX

/** post posts JSON to the sandbox's side of the merchant. */
async function post(path, body, headers = {}) {
  const response = await fetch(sandbox + path, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) })
  const answer = await response.json()
  assert.strictEqual(response.status, 200, JSON.stringify(answer))
  return answer
}

/** of is the phone of a user: its calls are the sandbox's as the platform would pass them on. */
const of = (openid, more = {}) => phone({
  call: async (data, name) => (await post(`/functions/${name}`, data, { 'X-WX-OPENID': openid, 'X-WX-SOURCE': 'wx_client' })).result, ...more,
})

/** paid is a new order of a buyer's. */
const paid = (openid, total) => post('/_sandbox/orders', { total, openid })

/** states are those of a buyer's applications, the newest first. */
async function states(openid) {
  const page = await of(openid).open('mine')
  return page.data.rows.map((row) => `${row.sum} ${row.label.text}`)
}

/** settled waits until the newest application is refunded. */
async function settled(openid) {
  for (let n = 0; n < 200; n++) {
    const [newest] = await states(openid)
    if (newest.endsWith('已退款')) return
    await new Promise((done) => setTimeout(done, 50))
  }
  assert.fail(`nothing is refunded: ${await states(openid)}`)
}

test('a buyer applies by a double tap, an operator approves, and the money arrives', async () => {
  const order = await paid('oFirst', 2000)
  const page = await of('oFirst').open('apply', { out_trade_no: order.out_trade_no })
  fill(page, { amount: '12.50', reason: '不合适' })
  page.choose(chose('part'))
  await Promise.all([page.apply(), page.apply()])
  assert.deepStrictEqual(page.data.said, { text: '申请已收到：¥12.50，待审批', kind: 'good' })
  assert.deepStrictEqual(await states('oFirst'), ['¥12.50 待审批'])

  const decide = await of('oOperatorA').open('decide')
  const row = decide.data.rows.find((r) => r.order === order.out_trade_no)
  await decide.approve(tapped({ id: row.id, sum: row.sum }))
  assert.deepStrictEqual(decide.data.said, { text: '已同意：¥12.50', kind: 'good' })
  assert.ok(!decide.data.rows.some((r) => r.id === row.id))
  await settled('oFirst')
  const mine = await of('oFirst').open('mine')
  await mine.choose(chose('refunds'))
  assert.deepStrictEqual(mine.data.rows.map((r) => `${r.sum} ${r.label.text}`), ['¥12.50 已到账'])
})

test('what was lost on its way is applied for once', async () => {
  const order = await paid('oLost', 500)
  let lose = true
  const storage = {}
  const open = () => of('oLost', {
    storage,
    call: async (data, name) => {
      const { result } = await post(`/functions/${name}`, data, { 'X-WX-OPENID': 'oLost' })
      if (lose) throw new Error('cloud.callFunction:fail timeout') // it was carried out
      return result
    },
  }).open('apply')
  for (let n = 0; n < 2; n++, lose = false) {
    const page = await open()
    fill(page, { order: order.transaction_id, reason: '重复下单' })
    await page.apply()
    assert.strictEqual(page.data.said.kind, lose ? 'bad' : 'good')
  }
  assert.deepStrictEqual(await states('oLost'), ['¥5.00 待审批'])
})

test('whose order it is decides, and not what somebody says', async () => {
  const order = await paid('oPayer', 100)
  const page = await of('oThief').open('apply')
  fill(page, { order: order.out_trade_no, reason: '我的' })
  await page.apply()
  assert.match(page.data.said.text, /^没有权限/)
  assert.deepStrictEqual(await states('oThief'), [])
  const decide = await of('oThief').open('decide')
  assert.deepStrictEqual(decide.data.rows, [])
})

test('a rejection and a withdrawal end an application', async () => {
  const [one, other] = [await paid('oBoth', 300), await paid('oBoth', 400)]
  for (const { out_trade_no } of [one, other]) {
    const page = await of('oBoth').open('apply', { out_trade_no })
    fill(page, { reason: '不想要了' })
    await page.apply()
  }
  const decide = await of('oOperatorB').open('decide')
  const { id } = decide.data.rows.find((r) => r.order === one.out_trade_no)
  await decide.reject(tapped({ id }))
  fill(decide, { why: '已使用' })
  await decide.reject(tapped({ id }))
  assert.deepStrictEqual(decide.data.said, { text: '已拒绝', kind: 'good' })
  const mine = await of('oBoth').open('mine')
  await mine.withdraw(tapped({ id: mine.data.rows.find((r) => r.order === other.out_trade_no).id }))
  assert.deepStrictEqual(mine.data.said, { text: '已撤回', kind: 'good' })
  assert.deepStrictEqual(await states('oBoth'), ['¥4.00 已撤回', '¥3.00 已拒绝'])
})

test('a large refund of one operator waits for the other', async () => {
  const order = await paid('oRich', 90000)
  const first = await of('oOperatorA').open('decide')
  fill(first, { order: order.out_trade_no, paid: '900', amount: '800.01' })
  await first.refund()
  assert.deepStrictEqual(first.data.said, { text: '¥800.01，超过限额，等待另一位店员同意', kind: 'busy' })
  const { id, sum } = first.data.rows.find((r) => r.order === order.out_trade_no)
  await first.approve(tapped({ id, sum }))
  assert.match(first.data.said.text, /^没有权限/)
  const second = await of('oOperatorB').open('decide')
  await second.approve(tapped({ id, sum }))
  assert.deepStrictEqual(second.data.said, { text: '已同意：¥800.01', kind: 'good' })
})

test('a program that is led to the sandbox needs no cloud', async () => {
  const order = await paid('oDirect', 100)
  const request = ({ url, method, data, header, success, fail }) => fetch(url, { method, headers: header, body: JSON.stringify(data) })
    .then((response) => response.json()).then((answer) => success({ data: answer }), fail)
  const page = await phone({ request, config: { sandbox, openid: 'oDirect' } }).open('apply', { out_trade_no: order.out_trade_no })
  fill(page, { reason: '不合适' })
  await page.apply()
  assert.strictEqual(page.data.said.kind, 'good')
})
