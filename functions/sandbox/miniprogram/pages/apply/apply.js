const { call, failureOf } = require('../../lib/call')
const { numberOf, answered } = require('../../lib/once')
const { fenOf, yuan } = require('../../lib/money')
const { ofApplication } = require('../../lib/states')

// WeChat Pay's own number of an order; any other is the shop's.
const ofWeChat = /^4\d{27}$/

/**
 * wishOf is what the form asks for, or why it cannot be asked for.
 * @param {{ order: string, all: boolean, amount: string, reason: string }} form
 */
function wishOf({ order, all, amount, reason }) {
  const no = order.trim()
  const refund = all ? 0 : fenOf(amount)
  const why = reason.trim()
  if (no === '') return { problem: '请填写订单号' }
  if (refund === null) return { problem: '请填写金额，例如 12.50' }
  if (why === '') return { problem: '请填写退款原因' }
  const name = ofWeChat.test(no) ? { transaction_id: no } : { out_trade_no: no }
  return { wish: { ...name, ...(refund > 0 ? { amount: { refund } } : {}), reason: why } }
}

Page({
  data: { order: '', all: true, amount: '', reason: '', sending: false, said: { text: '', kind: '' } },

  /** @param {{ out_trade_no?: string }} query the shop's page of an order leads here with its number */
  onLoad(query) {
    if (query.out_trade_no) this.setData({ order: query.out_trade_no })
  },

  /** @param {WechatMiniprogram.Input} event */
  write(event) {
    this.setData({ [event.currentTarget.dataset.field]: event.detail.value })
  },

  /** @param {WechatMiniprogram.RadioGroupChange} event */
  choose(event) {
    this.setData({ all: event.detail.value === 'all' })
  },

  async apply() {
    if (this.data.sending) return // a second tap, before the button shows that it is off
    const { wish, problem } = wishOf(this.data)
    if (!wish) return this.setData({ said: { text: problem, kind: 'bad' } })
    this.setData({ sending: true, said: { text: '', kind: '' } })
    /** @type {import('wxrefund').ApplyEvent} */
    const event = { type: 'wxpay_refund_apply', ...wish, request_id: numberOf(wish) }
    /** @type {import('wxrefund').ApplicationReply} */
    const reply = await call(event)
    if (reply.code !== 0) {
      const { known, text } = failureOf(reply)
      if (known) answered(wish)
      return this.setData({ sending: false, said: { text, kind: 'bad' } })
    }
    answered(wish)
    const { amount, state } = reply.data
    const text = `申请已收到：${yuan(amount.refund, amount.currency)}，${ofApplication(state).text}`
    this.setData({ sending: false, amount: '', reason: '', said: { text, kind: 'good' } })
  },
})
