// A refund from a mini-program, and what to do with each answer.
import type {
  AbnormalEvent, Application, ApplicationListEvent, ApplyEvent, CallWxpayFunctions, DecisionEvent, OrderQueryEvent, Refund,
  RefundEvent, RefundListEvent, RefundQueryEvent, RefundReply,
} from './wxrefund'

type AnyEvent =
  | RefundEvent | RefundQueryEvent | OrderQueryEvent | ApplyEvent | DecisionEvent | ApplicationListEvent | RefundListEvent
  | AbnormalEvent

/** Calls the function. Its `result` is whatever the function replied. */
export const call: CallWxpayFunctions = async (event: AnyEvent) => {
  const { result } = await wx.cloud.callFunction({ name: 'wxpayFunctions', data: event })
  return result as any
}

const pause = (seconds: number) => new Promise<void>((done) => setTimeout(done, seconds * 1000))

/** Refunds, and repeats identically while a repeat can help. What waits for another operator is an application. */
export async function refund(event: RefundEvent, repeats = 3): Promise<Refund | Application> {
  for (let n = 0; ; n++) {
    const reply: RefundReply = await call(event)
    switch (reply.code) {
      case 0:
      case 202:
        return reply.data
      case 500:
      case 503: // unknown: the same number again, never another
        if (n < repeats) {
          await pause(reply.retry_after ?? 2)
          continue
        }
        throw new Error(reply.message)
      case 429:
        if (n < repeats && reply.retry === 'later') {
          await pause(reply.retry_after ?? 60)
          continue
        }
        throw new Error(reply.message)
      default:
        throw new Error(`${reply.err_code}: ${reply.message}`)
    }
  }
}

export const beside: RefundEvent = {
  type: 'wxpay_refund',
  out_trade_no: 'order-1',
  out_refund_no: 'refund-1',
  reason: '商品已售完',
  amount: { refund: 60, total: 100, currency: 'CNY', from: [{ account: 'AVAILABLE', amount: 60 }] },
  goods_detail: [{ merchant_goods_id: '1217', unit_price: 100, refund_amount: 60, refund_quantity: 1 }],
}

export const inside: RefundEvent = {
  type: 'wxpay_refund',
  data: {
    transaction_id: '4200000000000000000000000001',
    out_refund_no: 'refund-1',
    amount: { refund: 60, total: 100, currency: 'CNY' },
  },
}

/** How a refund stands, and whether its money has arrived. */
export async function arrived(out_refund_no: string): Promise<boolean | undefined> {
  const reply = await call({ type: 'wxpay_refund_query', out_refund_no })
  if (reply.code !== 0) return undefined
  if (reply.retry === 'new_number') return false // it is CLOSED
  return reply.data.status === 'SUCCESS'
}

/** All refunds of an order, page by page. */
export async function refundsOf(out_trade_no: string): Promise<Refund[]> {
  const all: Refund[] = []
  for (;;) {
    const event: OrderQueryEvent = { type: 'wxpay_refund_query', params: { out_trade_no, offset: all.length } }
    const reply = await call(event)
    if (reply.code !== 0) throw new Error(reply.message)
    all.push(...reply.data.refunds)
    if (all.length >= reply.data.total_refund_count || reply.data.refund_count === 0) return all
  }
}

/** Fen as yuan, with what is not said left out. */
export function yuan(refund: Refund): string {
  const { payer_refund } = refund.amount
  return payer_refund === undefined ? '' : (payer_refund / 100).toFixed(2)
}

/** A buyer wants the whole order back, or a part of it. */
export async function apply(out_trade_no: string, reason: string, fen?: number): Promise<Application> {
  const event: ApplyEvent = fen === undefined
    ? { type: 'wxpay_refund_apply', out_trade_no, reason }
    : { type: 'wxpay_refund_apply', data: { out_trade_no, reason, amount: { refund: fen }, request_id: 'a-1' } }
  const reply = await call(event)
  if (reply.code !== 0) throw new Error(reply.message)
  return reply.data
}

/** An operator allows what waits, the newest first, and says which refunds that made. */
export async function approveAll(): Promise<string[]> {
  const page = await call({ type: 'wxpay_refund_list', kind: 'applications', state: 'PENDING', limit: 50 })
  if (page.code !== 0) throw new Error(page.message)
  const made: string[] = []
  for (const { application_id } of page.data.items) {
    const reply = await call({ type: 'wxpay_refund_approve', application_id, reason: '已核实' })
    if (reply.code === 0 && reply.data.refund) made.push(reply.data.refund.out_refund_no)
  }
  return made
}

export const withdrawal: DecisionEvent = { type: 'wxpay_refund_withdraw', application_id: 'A1' }

/** What a bank has refused goes to the shop's own account. */
export async function finishAbnormal(): Promise<void> {
  const page = await call({ type: 'wxpay_refund_list', data: { kind: 'refunds', state: 'ABNORMAL' } })
  if (page.code !== 0) return
  for (const { out_refund_no } of page.data.items) {
    await call({ type: 'wxpay_refund_abnormal', data: { out_refund_no, type: 'MERCHANT_BANK_CARD' } })
  }
}
