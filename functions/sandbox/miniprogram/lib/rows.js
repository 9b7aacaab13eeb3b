// What a list shows of an application or of a refund.

const { yuan } = require('./money')
const { ofApplication, ofRefund } = require('./states')

/**
 * @typedef {{ id: string, order: string, sum: string, reason: string, at: string, label: import('./states').Label, pending: boolean, refundNo: string }} Row
 */

/**
 * timeOf writes a time of RFC 3339 in China's, to the minute.
 * @param {string | undefined} at
 */
function timeOf(at) {
  const time = Date.parse(at || '')
  return Number.isNaN(time) ? '' : new Date(time + 8 * 3600000).toISOString().slice(0, 16).replace('T', ' ')
}

/**
 * @param {import('wxrefund').Application} a
 * @returns {Row}
 */
const applicationRow = (a) => ({
  id: a.application_id, order: a.out_trade_no || a.transaction_id || '', sum: yuan(a.amount.refund, a.amount.currency), reason: a.reason || '',
  at: timeOf(a.created_at), label: ofApplication(a.state), pending: a.state === 'PENDING', refundNo: a.out_refund_no || '',
})

/**
 * @param {import('wxrefund').Refund} r
 * @returns {Row}
 */
const refundRow = (r) => ({
  id: r.out_refund_no, order: r.out_trade_no || r.transaction_id || '', sum: yuan(r.amount.refund, r.amount.currency), reason: '',
  at: timeOf(r.success_time || r.create_time), label: ofRefund(r.status, r.received_by), pending: false, refundNo: r.out_refund_no,
})

module.exports = { applicationRow, refundRow }
