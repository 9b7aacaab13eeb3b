// How things stand, in words, and in which colour.

/** @typedef {{ text: string, kind: 'good' | 'busy' | 'warn' | 'bad' | 'still' }} Label */

/** @type {Record<import('wxrefund').ApplicationState, Label>} */
const applications = {
  PENDING: { text: '待审批', kind: 'busy' },
  APPROVED: { text: '已同意，退款中', kind: 'busy' },
  REJECTED: { text: '已拒绝', kind: 'bad' },
  WITHDRAWN: { text: '已撤回', kind: 'still' },
  EXPIRED: { text: '已过期', kind: 'still' },
  REFUNDED: { text: '已退款', kind: 'good' },
}

/** @type {Record<import('wxrefund').RefundStatus, Label>} */
const refunds = {
  PROCESSING: { text: '退款中', kind: 'busy' },
  SUCCESS: { text: '已到账', kind: 'good' },
  CLOSED: { text: '已关闭，未退款', kind: 'still' },
  ABNORMAL: { text: '退款异常，商家处理中', kind: 'warn' },
}

/**
 * labelOf says a state; one that is new is shown as it is.
 * @param {Record<string, Label>} all
 * @param {string | undefined} state
 * @returns {Label}
 */
function labelOf(all, state) {
  if (state === undefined) return { text: '尚无结果', kind: 'busy' } // WeChat Pay has said nothing of it yet
  return all[state] || { text: state, kind: 'still' }
}

/** @param {string | undefined} state */
const ofApplication = (state) => labelOf(applications, state)

/**
 * @param {string | undefined} state
 * @param {string} [receivedBy] 'merchant': the money is with the shop, and the payer has nothing of it
 */
const ofRefund = (state, receivedBy) =>
  (receivedBy === 'merchant' && state === 'SUCCESS' ? { text: '已退到商家账户，由商家另行付款', kind: /** @type {'warn'} */ ('warn') } : labelOf(refunds, state))

module.exports = { ofApplication, ofRefund }
