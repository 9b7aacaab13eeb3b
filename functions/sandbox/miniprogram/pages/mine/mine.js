const { call, failureOf } = require('../../lib/call')
const { applicationRow, refundRow } = require('../../lib/rows')
const { pageAt } = require('../../lib/list')
const { confirmed } = require('../../lib/ask')

Page({
  data: {
    kind: /** @type {'applications' | 'refunds'} */ ('applications'), total: 0, loading: false, sending: '', said: { text: '', kind: '' },
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

  /** @param {WechatMiniprogram.RadioGroupChange} event */
  choose(event) {
    this.setData({ kind: event.detail.value === 'refunds' ? 'refunds' : 'applications', rows: [], total: 0 })
    return this.onShow()
  },

  /** @param {number} offset */
  async load(offset) {
    const { kind } = this.data
    this.setData({ loading: true })
    const page = kind === 'refunds'
      ? await pageAt({ type: 'wxpay_refund_list', kind, offset }, refundRow)
      : await pageAt({ type: 'wxpay_refund_list', kind, offset }, applicationRow)
    if (kind !== this.data.kind) return // the other list has been chosen meanwhile
    if (page.problem) return this.setData({ loading: false, said: this.data.said.text ? this.data.said : { text: page.problem, kind: 'bad' } })
    this.setData({ loading: false, total: page.total, rows: [...this.data.rows.slice(0, offset), ...page.rows] })
  },

  /** @param {WechatMiniprogram.TouchEvent} event */
  async withdraw(event) {
    if (this.data.sending !== '') return
    const { id } = event.currentTarget.dataset
    this.setData({ sending: id, said: { text: '', kind: '' } })
    if (await confirmed('撤回申请', '撤回后可以重新申请。')) {
      /** @type {import('wxrefund').ApplicationReply} */
      const reply = await call({ type: 'wxpay_refund_withdraw', application_id: id })
      this.setData({ said: reply.code === 0 ? { text: '已撤回', kind: 'good' } : { text: failureOf(reply).text, kind: 'bad' } })
      await this.load(0)
    }
    this.setData({ sending: '' })
  },
})
