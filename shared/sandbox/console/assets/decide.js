// What the buttons of applications do, as the one who is played.

import { t } from './words.js'
import { parseMoney, amountProblem } from './format.js'
import { href } from './route.js'

export const dispatcher = '/functions/wxpayFunctions'

const ask = async ({ call }, event) => (await call('POST', dispatcher, event)).problem

// event is what a mini-program would send for an application.
function event(order, refund, reason) {
  return { type: 'wxpay_refund_apply', out_trade_no: order, ...(refund > 0 ? { amount: { refund } } : {}), reason }
}

// wish reads the form: {refund, reason}, or {problem}. Nothing written is all that is left.
function wish({ elements }) {
  const text = elements.amount.value.trim()
  const refund = text === '' ? 0 : parseMoney(text, 'CNY')
  return refund === null ? { problem: amountProblem(text) } : { refund, reason: elements.reason.value.trim() }
}

export const decide = {
  apply: async (x) => {
    const { refund, reason, problem } = wish(x.form)
    return problem ?? ask(x, event(x.form.elements.order.value.trim(), refund, reason))
  },
  // A new order is of what is asked for, and of a yuan if that is all.
  applyNew: async (x) => {
    const { refund, reason, problem } = wish(x.form)
    if (problem) return problem
    const { reply, problem: unpaid } = await x.order({ total: refund || 100 }, x)
    if (unpaid) return unpaid
    x.go(href('applications', null, { order: reply.out_trade_no }))
    return ask(x, event(reply.out_trade_no, refund, reason))
  },
  approve: (x) => ask(x, { type: 'wxpay_refund_approve', application_id: x.data.id }),
  reject: (x) => {
    const reason = x.form.elements.why.value.trim()
    return reason === '' ? t('problem.why') : ask(x, { type: 'wxpay_refund_reject', application_id: x.data.id, reason })
  },
  withdraw: (x) => ask(x, { type: 'wxpay_refund_withdraw', application_id: x.data.id }),
  abnormal: (x) => {
    const { type, bank_type, bank_account, real_name } = x.form.elements
    const card = type.value === 'USER_BANK_CARD'
      ? { bank_type: bank_type.value.trim(), bank_account: bank_account.value.replace(/\s/g, ''), real_name: real_name.value.trim() }
      : {}
    return ask(x, { type: 'wxpay_refund_abnormal', data: { out_refund_no: x.data.no, type: type.value, ...card } }) // two fields are called type
  },
}
