// The logic of the pages, with replies that a test makes up.
const { test } = require('node:test')
const assert = require('node:assert')
const path = require('node:path')
const { root, phone, tapped, chose, fill } = require('./wx')

const lib = (name) => require(path.join(root, 'lib', name))
const application = (more = {}) => ({
  application_id: 'A1', state: 'PENDING', out_trade_no: 'order-1', transaction_id: '4200000000000000000000000001',
  amount: { refund: 1250, total: 2000, currency: 'CNY' }, reason: '不合适', created_at: '2026-01-02T03:04:05Z', ...more,
})
const form = { order: 'order-1', reason: '不合适' }

test('yuan become fen digit by digit', () => {
  const { fenOf, yuan } = lib('money')
  const cases = {
    '12.50': 1250, '12.5': 1250, 12: 1200, '0.01': 1, '0.1': 10, '0.29': 29, '1.15': 115, '4.35': 435, '1013.67': 101367, '￥1２．50': 1250, ' ¥ 8 ': 800,
    '9999999999.99': 999999999999,
  }
  for (const [text, fen] of Object.entries(cases)) assert.strictEqual(fenOf(text), fen, text)
  for (const text of ['', '0', '0.00', '-1', '1.234', '1.', '.5', '1,000', '1e3', '0x10', 'NaN', 'Infinity', '十', '12345678901']) {
    assert.strictEqual(fenOf(text), null, text)
  }
  for (let fen = 1; fen < 20000; fen++) assert.strictEqual(fenOf(yuan(fen)), fen)
  assert.strictEqual(yuan(100, 'JPY'), '100 (JPY)')
})

test('every state has words, and a new one is shown as it is', () => {
  const { ofApplication, ofRefund } = lib('states')
  assert.strictEqual(ofApplication('EXPIRED').text, '已过期')
  assert.strictEqual(ofRefund('ABNORMAL').kind, 'warn')
  assert.strictEqual(ofRefund('SUCCESS', 'merchant').kind, 'warn')
  assert.strictEqual(ofRefund('SUCCESS').text, '已到账')
  assert.strictEqual(ofRefund(undefined).text, '尚无结果')
  assert.deepStrictEqual(ofApplication('SOMETHING'), { text: 'SOMETHING', kind: 'still' })
})

test('a double tap is one application', async () => {
  const calls = []
  let answer
  const { open } = phone({ call: (data) => { calls.push(data); return new Promise((done) => { answer = done }) } })
  const page = await open('apply')
  fill(page, form)
  const first = page.apply()
  const second = page.apply()
  assert.strictEqual(page.data.sending, true)
  answer({ code: 0, data: application() })
  await Promise.all([first, second])
  assert.strictEqual(calls.length, 1)
  const { request_id, ...rest } = calls[0]
  assert.match(request_id, /^[0-9a-z]{10,64}$/)
  assert.deepStrictEqual(rest, { type: 'wxpay_refund_apply', out_trade_no: 'order-1', reason: '不合适' })
  assert.deepStrictEqual(page.data.said, { text: '申请已收到：¥12.50，待审批', kind: 'good' })
  assert.strictEqual(page.data.sending, false)
})

test('what is unknown is asked for again under the same number, also by a program that was closed meanwhile', async () => {
  const ids = []
  let reply = { code: 503, err_code: 'SYSTEM_ERROR', message: 'unknown', retry: 'later', retry_after: 0 }
  const call = ({ request_id }) => { ids.push(request_id); return reply }
  const before = phone({ call })
  let page = await before.open('apply')
  fill(page, form)
  await page.apply()
  assert.strictEqual(ids.length, 3) // by itself, while somebody waits
  assert.match(page.data.said.text, /^结果未知：unknown。请稍后再点一次，不会重复退款$/)
  reply = { code: 0, data: application() }
  page = await phone({ call, storage: before.storage }).open('apply')
  fill(page, form)
  await page.apply()
  assert.strictEqual(new Set(ids).size, 1)
  fill(page, form)
  await page.apply() // answered: a wish of its own
  assert.strictEqual(new Set(ids).size, 2)
})

test('another amount is another wish', async () => {
  const sent = []
  const { open } = phone({ call: (data) => { sent.push(data); return { code: 429, err_code: 'FREQUENCY_LIMITED', message: 'too many', retry: 'later', retry_after: 58 } } })
  const page = await open('apply')
  fill(page, { ...form, amount: '12.50' })
  page.choose(chose('part'))
  await page.apply()
  assert.match(page.data.said.text, /请 58 秒后再点一次/) // nobody waits that long
  assert.strictEqual(sent.length, 1)
  assert.deepStrictEqual(sent[0].amount, { refund: 1250 })
  fill(page, { amount: '12.51' })
  await page.apply()
  fill(page, { amount: '12.50' })
  await page.apply()
  assert.notStrictEqual(sent[1].request_id, sent[0].request_id)
  assert.strictEqual(sent[2].request_id, sent[0].request_id)
})

test('a refusal is said, and the next try has a number of its own', async () => {
  const ids = []
  const { open } = phone({ call: ({ request_id }) => { ids.push(request_id); return { code: 403, err_code: 'NOAUTH', message: 'not yours', retry: 'never' } } })
  const page = await open('apply', { out_trade_no: 'order-1' })
  fill(page, { reason: '不合适' })
  await page.apply()
  assert.deepStrictEqual(page.data.said, { text: '没有权限：not yours', kind: 'bad' })
  await page.apply()
  assert.strictEqual(new Set(ids).size, 2)
})

test('an answer that never comes is an unknown outcome', async () => {
  let calls = 0
  const { open } = phone({ call: () => { calls++; throw new Error('cloud.callFunction:fail timeout') } })
  const page = await open('apply')
  fill(page, form)
  await page.apply()
  assert.strictEqual(calls, 3)
  assert.match(page.data.said.text, /^结果未知/)
  assert.strictEqual(page.data.sending, false)
})

test('a form that is not complete sends nothing', async () => {
  const { open } = phone({ call: () => assert.fail('it was sent') })
  const page = await open('apply')
  for (const [fields, said] of [[{}, /订单号/], [{ order: 'o' }, /原因/], [{ order: 'o', reason: ' ' }, /原因/]]) {
    fill(page, fields)
    await page.apply()
    assert.match(page.data.said.text, said)
  }
  page.choose(chose('part'))
  fill(page, { amount: '1.234', reason: 'r' })
  await page.apply()
  assert.match(page.data.said.text, /金额/)
})

test('an order goes by WeChat Pay\'s number too', async () => {
  const sent = []
  const { open } = phone({ call: (data) => { sent.push(data); return { code: 0, data: application() } } })
  const page = await open('apply')
  fill(page, { order: '4200000000000000000000000001', reason: 'r' })
  await page.apply()
  assert.strictEqual(sent[0].transaction_id, '4200000000000000000000000001')
  assert.strictEqual(sent[0].out_trade_no, undefined)
})

test('a buyer pages through what is his, and takes back what is pending', async () => {
  const sent = []
  let state = 'PENDING'
  const all = Array.from({ length: 25 }, (_, i) => application({ application_id: `A${i}` }))
  const { open, shown } = phone({
    call: (data) => {
      sent.push(data)
      if (data.type === 'wxpay_refund_withdraw') { state = 'WITHDRAWN'; return { code: 0, data: application({ state }) } }
      if (data.kind === 'refunds') return { code: 0, data: { total: 1, offset: 0, items: [{ out_refund_no: 'R1', out_trade_no: 'order-1', status: 'SUCCESS', amount: { refund: 60, currency: 'CNY' } }] } }
      return { code: 0, data: { total: 25, offset: data.offset, items: all.slice(data.offset, data.offset + 20).map((a) => ({ ...a, state })) } }
    },
  })
  const page = await open('mine')
  assert.strictEqual(page.data.rows.length, 20)
  await page.onReachBottom()
  assert.strictEqual(page.data.rows.length, 25)
  assert.strictEqual(page.onReachBottom(), undefined)
  assert.deepStrictEqual(page.data.rows[24], {
    id: 'A24', order: 'order-1', sum: '¥12.50', reason: '不合适', at: '2026-01-02 11:04', label: { text: '待审批', kind: 'busy' }, pending: true, refundNo: '',
  })
  await page.withdraw(tapped({ id: 'A3' }))
  assert.strictEqual(shown.length, 1)
  assert.strictEqual(sent.find((s) => s.type === 'wxpay_refund_withdraw').application_id, 'A3')
  assert.strictEqual(page.data.said.text, '已撤回')
  assert.strictEqual(page.data.rows[3].pending, false)
  await page.choose(chose('refunds'))
  assert.deepStrictEqual(page.data.rows.map((r) => [r.id, r.sum, r.label.text]), [['R1', '¥0.60', '已到账']])
})

test('an operator approves, and rejects with a reason', async () => {
  const sent = []
  const { open } = phone({
    call: (data) => {
      sent.push(data)
      return data.type === 'wxpay_refund_list' ? { code: 0, data: { total: 1, offset: 0, items: [application()] } } : { code: 0, data: application({ state: 'APPROVED' }) }
    },
  })
  const page = await open('decide')
  assert.deepStrictEqual(sent[0], { type: 'wxpay_refund_list', kind: 'applications', state: 'PENDING', offset: 0 })
  await Promise.all([page.approve(tapped({ id: 'A1', sum: '¥12.50' })), page.approve(tapped({ id: 'A1', sum: '¥12.50' }))])
  assert.strictEqual(sent.filter((s) => s.type === 'wxpay_refund_approve').length, 1)
  assert.strictEqual(page.data.said.text, '已同意：¥12.50')
  await page.reject(tapped({ id: 'A1' }))
  await page.reject(tapped({ id: 'A1' }))
  assert.strictEqual(page.data.said.text, '请填写拒绝原因')
  fill(page, { why: '已使用' })
  await page.reject(tapped({ id: 'A1' }))
  assert.deepStrictEqual(sent.find((s) => s.type === 'wxpay_refund_reject'), { type: 'wxpay_refund_reject', application_id: 'A1', reason: '已使用' })
  assert.strictEqual(page.data.rejecting, '')
})

test('who says no to the question sends nothing', async () => {
  const { open } = phone({ confirm: false, call: (data) => (data.type === 'wxpay_refund_list' ? { code: 0, data: { total: 0, offset: 0, items: [] } } : assert.fail('it was sent')) })
  const decide = await open('decide')
  await decide.approve(tapped({ id: 'A1', sum: '¥1.00' }))
  fill(decide, { order: 'o', paid: '2', amount: '1' })
  await decide.refund()
  await (await open('mine')).withdraw(tapped({ id: 'A1' }))
  assert.strictEqual(decide.data.sending, '')
})

test('a refund beyond the limit waits for another operator, and a repeat has the same number', async () => {
  const sent = []
  let reply = { code: 503, err_code: 'SYSTEM_ERROR', message: 'unknown', retry: 'same_number', retry_after: 9 }
  const { open } = phone({
    call: (data) => {
      if (data.type === 'wxpay_refund_list') return { code: 0, data: { total: 0, offset: 0, items: [] } }
      sent.push(data)
      return reply
    },
  })
  const page = await open('decide')
  fill(page, { order: 'order-1', paid: '20', amount: '12.5' })
  await page.refund()
  reply = { code: 202, data: application({ out_refund_no: 'R' }), message: 'waits' }
  await page.refund()
  assert.deepStrictEqual(page.data.said, { text: '¥12.50，超过限额，等待另一位店员同意', kind: 'busy' })
  assert.strictEqual(sent[0].out_refund_no, sent[1].out_refund_no)
  assert.match(sent[0].out_refund_no, /^[0-9A-Za-z]{10,32}$/)
  assert.deepStrictEqual(sent[0].amount, { refund: 1250, total: 2000, currency: 'CNY' })
  fill(page, { amount: '12.5' })
  await page.refund()
  assert.notStrictEqual(sent[2].out_refund_no, sent[0].out_refund_no)
})

test('a caller who may not decide is told so', async () => {
  const { open } = phone({ call: () => ({ code: 403, err_code: 'NOAUTH', message: 'operators only', retry: 'never' }) })
  const page = await open('decide')
  assert.strictEqual(page.data.said.text, '没有权限：operators only')
  assert.deepStrictEqual(page.data.rows, [])
})

test('a sandbox is called in place of the cloud', async () => {
  const sent = []
  const request = (r) => { sent.push(r); r.success({ data: { result: { code: 0, data: application() } } }) }
  const { open } = phone({ request, config: { sandbox: 'http://127.0.0.1:8700', openid: 'oMe' } })
  const page = await open('apply')
  fill(page, form)
  await page.apply()
  assert.strictEqual(sent[0].url, 'http://127.0.0.1:8700/functions/wxpayFunctions')
  assert.strictEqual(sent[0].header['X-WX-OPENID'], 'oMe')
  assert.strictEqual(page.data.said.kind, 'good')
})
