const { call, failureOf } = require('../../lib/call')
const { numberOf, answered } = require('../../lib/once')
const { fenOf, yuan } = require('../../lib/money')
const { ofRefund } = require('../../lib/states')
const { applicationRow } = require('../../lib/rows')
const { pageAt } = require('../../lib/list')
const { confirmed } = require('../../lib/ask')

Page({
  data: {
    total: 0, loading: false, sending: '', rejecting: '', why: '', order: '', paid: '', amount: '', said: { text: '', kind: '' },
    rows: /** @type {import('../../lib/rows').Row[]} */ ([]),
  },

  onShow() {
    this.setData({ said: { text: '', kind: '' } })
    return this.load(0)
  },

  async onPullDownRefresh() {
    await this.onShow()
    wx.stopPullDownRefresh()
  },

  onReachBottom() {
    return this.data.rows.length < this.data.total ? this.load(this.data.rows.length) : undefined
  },

  /** @param {number} offset */
  async load(offset) {
    this.setData({ loading: true })
    const page = await pageAt({ type: 'wxpay_refund_list', kind: 'applications', state: 'PENDING', offset }, applicationRow)
    if (page.problem) return this.setData({ loading: false, total: 0, rows: [], said: this.data.said.text ? this.data.said : { text: page.problem, kind: 'bad' } })
    this.setData({ loading: false, total: page.total, rows: [...this.data.rows.slice(0, offset), ...page.rows] })
  },

  /** @param {WechatMiniprogram.Input} event */
  write(event) {
    this.setData({ [event.currentTarget.dataset.field]: event.detail.value })
  },

  /** @param {WechatMiniprogram.TouchEvent} event */
  async approve(event) {
    if (this.data.sending !== '') return
    const { id, sum } = event.currentTarget.dataset
    this.setData({ sending: id, said: { text: '', kind: '' } })
    if (await confirmed('同意退款', `将退给买家 ${sum}。`)) await this.decide({ type: 'wxpay_refund_approve', application_id: id }, `已同意：${sum}`)
    this.setData({ sending: '' })
  },

  /** @param {WechatMiniprogram.TouchEvent} event */
  async reject(event) {
    if (this.data.sending !== '') return
    const { id } = event.currentTarget.dataset
    if (this.data.rejecting !== id) return this.setData({ rejecting: id, why: '' }) // first it asks why
    const reason = this.data.why.trim()
    if (reason === '') return this.setData({ said: { text: '请填写拒绝原因', kind: 'bad' } })
    this.setData({ sending: id, said: { text: '', kind: '' } })
    await this.decide({ type: 'wxpay_refund_reject', application_id: id, reason }, '已拒绝')
    this.setData({ sending: '', rejecting: '', why: '' })
  },

  /**
   * decide sends a decision. A second one about the same application says how it stands, so it
   * needs no number of its own.
   * @param {import('wxrefund').DecisionEvent} event
   * @param {string} done what is said of a success
   */
  async decide(event, done) {
    /** @type {import('wxrefund').ApplicationReply} */
    const reply = await call(event)
    this.setData({ said: reply.code === 0 ? { text: done, kind: 'good' } : { text: failureOf(reply).text, kind: 'bad' } })
    await this.load(0)
  },

  async refund() {
    if (this.data.sending !== '') return
    const order = this.data.order.trim()
    const [refund, total] = [fenOf(this.data.amount), fenOf(this.data.paid)]
    if (order === '' || refund === null || total === null) return this.setData({ said: { text: '请填写订单号和两个金额，例如 12.50', kind: 'bad' } })
    this.setData({ sending: 'refund', said: { text: '', kind: '' } })
    const wish = { out_trade_no: order, amount: { refund, total, currency: 'CNY' } }
    if (await confirmed('退款', `将退给买家 ${yuan(refund)}。`)) {
      /** @type {import('wxrefund').RefundEvent} */
      const event = { type: 'wxpay_refund', out_refund_no: `R${numberOf(wish)}`, ...wish }
      /** @type {import('wxrefund').RefundReply} */
      const reply = await call(event)
      this.setData(this.afterRefund(reply))
      if (reply.code === 0 || reply.code === 202 || failureOf(reply).known) answered(wish)
      await this.load(0)
    }
    this.setData({ sending: '' })
  },

  /**
   * afterRefund says what became of a refund: it is made, it waits for somebody else, or neither.
   * @param {import('wxrefund').RefundReply} reply
   */
  afterRefund(reply) {
    if (reply.code === 0) return { amount: '', said: { text: `${yuan(reply.data.amount.refund)}，${ofRefund(reply.data.status).text}`, kind: 'good' } }
    if (reply.code === 202) return { amount: '', said: { text: `${yuan(reply.data.amount.refund)}，超过限额，等待另一位店员同意`, kind: 'busy' } }
    return { said: { text: failureOf(reply).text, kind: 'bad' } }
  },
})
