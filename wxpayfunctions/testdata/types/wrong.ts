// What must not compile. The compiler complains of an expectation that is not met.
import type {
  AbnormalEvent, ApplyEvent, DecisionEvent, ListEvent, OrderQueryEvent, Refund, RefundEvent, RefundQueryEvent, RefundReply, SubscriberEvent, SubscriberReply,
} from './wxrefund'
import { call } from './miniprogram'

const amount = { refund: 60, total: 100, currency: 'CNY' }

// @ts-expect-error a type that nobody routes
export const unknownType: RefundEvent = { type: 'wxpay_order', out_trade_no: 'o', out_refund_no: 'r', amount }
// @ts-expect-error no order is named
export const noOrder: RefundEvent = { type: 'wxpay_refund', out_refund_no: 'r', amount }
// @ts-expect-error no number for the refund
export const noNumber: RefundEvent = { type: 'wxpay_refund', out_trade_no: 'o', amount }
// @ts-expect-error money as text
export const text: RefundEvent = { type: 'wxpay_refund', out_trade_no: 'o', out_refund_no: 'r', amount: { ...amount, refund: '60' } }
// @ts-expect-error no total
export const noTotal: RefundEvent = { type: 'wxpay_refund', out_trade_no: 'o', out_refund_no: 'r', amount: { refund: 60, currency: 'CNY' } }
// @ts-expect-error v2's name of the money
export const v2: RefundEvent = { type: 'wxpay_refund', out_trade_no: 'o', out_refund_no: 'r', refund_fee: 60 }
// @ts-expect-error fields in two places
export const twice: RefundEvent = { type: 'wxpay_refund', out_trade_no: 'o', data: { out_trade_no: 'o', out_refund_no: 'r', amount } }
// @ts-expect-error a refund takes no params
export const params: RefundEvent = { type: 'wxpay_refund', params: { out_trade_no: 'o', out_refund_no: 'r', amount } }
// @ts-expect-error a misspelt field
export const misspelt: RefundEvent = { type: 'wxpay_refund', out_trade_no: 'o', out_refund_no: 'r', amount, reson: '' }
// @ts-expect-error a query by nothing
export const byNothing: RefundQueryEvent = { type: 'wxpay_refund_query' }
// @ts-expect-error a query by order that names a refund is one by refund
export const both: OrderQueryEvent = { type: 'wxpay_refund_query', out_trade_no: 'o', out_refund_no: 'r' }

// @ts-expect-error an application says why
export const noReason: ApplyEvent = { type: 'wxpay_refund_apply', out_trade_no: 'o' }
// @ts-expect-error an amount that stands there says how much
export const noSum: ApplyEvent = { type: 'wxpay_refund_apply', out_trade_no: 'o', reason: 'r', amount: {} }
// @ts-expect-error a buyer does not say what the order cost
export const ownTotal: ApplyEvent = { type: 'wxpay_refund_apply', out_trade_no: 'o', reason: 'r', amount: { refund: 1, total: 1 } }
// @ts-expect-error an application, not a refund, is decided about
export const decidesRefund: DecisionEvent = { type: 'wxpay_refund_approve', out_refund_no: 'r' }
// @ts-expect-error a withdrawal needs no reason
export const why: DecisionEvent = { type: 'wxpay_refund_withdraw', application_id: 'A1', reason: 'r' }
// @ts-expect-error a refund's status is no state of an application
export const status: ListEvent = { type: 'wxpay_refund_list', kind: 'applications', state: 'SUCCESS' }
// @ts-expect-error its own type has no place beside the event's
export const noPlace: AbnormalEvent = { type: 'wxpay_refund_abnormal', out_refund_no: 'r' }

export function replies(reply: RefundReply) {
  // @ts-expect-error data before code is looked at
  const early: Refund = reply.data
  if (reply.code === 0) {
    // @ts-expect-error a success has no err_code
    return reply.err_code
  }
  if (reply.code === 202) {
    // @ts-expect-error nothing is refunded yet
    return reply.data.status
  }
  // @ts-expect-error a refusal has no data
  const none: Refund = reply.data
  // @ts-expect-error there is no such code
  if (reply.code === 402) return early
  // @ts-expect-error there is no such advice
  if (reply.retry === 'always') return none
  // @ts-expect-error it is absent where no pause is known
  const pause: number = reply.retry_after
  return pause
}

export async function queries() {
  const reply = await call({ type: 'wxpay_refund_query', out_refund_no: 'r' })
  // @ts-expect-error a query by refund answers with no list
  if (reply.code === 0) return reply.data.refunds
  const page = await call({ type: 'wxpay_refund_query', out_trade_no: 'o' })
  // @ts-expect-error a query by order does
  if (page.code === 0) return page.data.status
  return undefined
}

export function refunds(refund: Refund) {
  // @ts-expect-error v2's word
  if (refund.status === 'REFUNDCLOSE') return
  // @ts-expect-error it may not be said
  const total: number = refund.amount.total
  return total
}

export function subscriber(event: SubscriberEvent): SubscriberReply {
  // @ts-expect-error nobody is told of a refund that is under way
  if (event.event_type === 'REFUND.PROCESSING') return { code: 'SUCCESS' }
  if (event.event_type === 'REFUND_APPLICATION.APPROVED') {
    // @ts-expect-error an application is no refund
    if (event.resource.refund_status === 'SUCCESS') return { code: 'SUCCESS' }
  }
  if (event.event_type === 'REFUND.CLOSED') {
    // @ts-expect-error it is closed
    if (event.resource.refund_status === 'SUCCESS') return { code: 'SUCCESS' }
  }
  // @ts-expect-error a number is what cloudPay's callbacks return
  return { errcode: 0, errmsg: 'SUCCESS' }
}
