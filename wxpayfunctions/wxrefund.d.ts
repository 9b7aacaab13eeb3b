// Types of what the cloud function wxpayFunctions takes and answers, and of what
// the functions in NOTIFY_FUNCTIONS and the webhook receive. Copy this file into
// the mini-program:
//
//     import type { RefundEvent, RefundReply } from './wxrefund'
//
// A test holds it against the Go structs, field by field, and TypeScript's
// compiler checks it with the example in testdata/types. Each interface has a
// field a line, which that test relies on.

/** Money in the currency's minor unit, always an integer: fen for CNY. */
export type MinorUnits = number

// ---- Events: the `data` of wx.cloud.callFunction ----

/** What a refund asks for. One of `out_trade_no` and `transaction_id` names the order: see {@link OrderName}. */
export interface RefundFields {
  /** Your number of the refund. The same number again with the same content refunds once. */
  out_refund_no: string
  transaction_id?: string
  out_trade_no?: string
  /** Shown to the payer; at most 80 bytes. */
  reason?: string
  /** `AVAILABLE` or `UNSETTLED`, where the upstream system has it. */
  funds_account?: string
  amount: RequestAmount
  goods_detail?: Goods[]
}

/** Money of a refund that is asked for, in minor units. */
export interface RequestAmount {
  refund: MinorUnits
  /** What the whole order cost. */
  total: MinorUnits
  /** Three letters of ISO 4217: `CNY`. */
  currency: string
  from?: From[]
}

/** The part of a refund that one of the merchant's accounts pays. */
export interface From {
  account: string
  amount: MinorUnits
}

/** An article of the order; prices in minor units. */
export interface Goods {
  merchant_goods_id: string
  wechatpay_goods_id?: string
  goods_name?: string
  unit_price: MinorUnits
  refund_amount: MinorUnits
  refund_quantity: number
}

/** What a query is by. The first of the four numbers that is given counts, in this order. */
export interface Lookup {
  refund_id?: string
  out_refund_no?: string
  transaction_id?: string
  out_trade_no?: string
  /** Of an order's refunds, the first that is wanted, counted from 0. */
  offset?: number
}

/** An order goes by the merchant's number or by WeChat Pay's, or by both if they name the same one. */
export type OrderName = { out_trade_no: string } | { transaction_id: string }

/** A refund goes by the merchant's number or by WeChat Pay's. */
export type RefundName = { out_refund_no: string } | { refund_id: string }

/** A query for an order's refunds: it names no refund. */
export type OrderLookup = Lookup & OrderName & { refund_id?: never; out_refund_no?: never }

/** All that a refund asks for. */
export type RefundRequest = RefundFields & OrderName

/** What a query for one refund is by. */
export type RefundLookup = Lookup & RefundName

/** Fields stand beside `type`, or in one object inside, and never in both places. */
type Beside<Fields> = Fields & { data?: never; params?: never }
type Inside<Fields> = { data: Fields } | { params: Fields }

/** Refund an order, or a part of it. */
export type RefundEvent = { type: 'wxpay_refund' } & (Beside<RefundRequest> | { data: RefundRequest })

/** Ask how one refund stands. */
export type RefundQueryEvent = { type: 'wxpay_refund_query' } & (Beside<RefundLookup> | Inside<RefundLookup>)

/** List an order's refunds, ten a page, the oldest first. */
export type OrderQueryEvent = { type: 'wxpay_refund_query' } & (Beside<OrderLookup> | Inside<OrderLookup>)

// ---- Replies: `result` of wx.cloud.callFunction. Look at `code` first. ----

/**
 * `PROCESSING`: accepted, and the money is on its way. `ABNORMAL`: the bank refused; finish it on the merchant
 * platform.
 */
export type RefundStatus = 'PROCESSING' | 'SUCCESS' | 'CLOSED' | 'ABNORMAL'

/** A refund. A field that the upstream system does not know is absent. */
export interface Refund {
  /** WeChat Pay's number. */
  refund_id?: string
  out_refund_no: string
  transaction_id?: string
  out_trade_no?: string
  /** Where the money goes: `ORIGINAL`, `BALANCE`, … */
  channel?: string
  user_received_account?: string
  /** RFC 3339; only with `SUCCESS`. */
  success_time?: string
  /** RFC 3339. */
  create_time?: string
  /** Absent in an order's list: WeChat Pay has said nothing of this refund yet. */
  status?: RefundStatus
  funds_account?: string
  amount: Amount
  promotion_detail?: Promotion[]
}

/** Money of a refund, in minor units. Absent: not said; 0: zero. */
export interface Amount {
  total?: MinorUnits
  refund: MinorUnits
  from?: From[]
  payer_total?: MinorUnits
  payer_refund?: MinorUnits
  settlement_refund?: MinorUnits
  settlement_total?: MinorUnits
  discount_refund?: MinorUnits
  /** The handling fee that was given back. */
  refund_fee?: MinorUnits
  currency?: string
  /** Currency of `payer_total` and `payer_refund`, where it is another. */
  payer_currency?: string
}

/** A discount of which a part was refunded. */
export interface Promotion {
  promotion_id: string
  scope?: string
  type?: string
  amount?: MinorUnits
  refund_amount: MinorUnits
  goods_detail?: Goods[]
}

/** A part of an order's refunds. `offset` plus `refund_count` is where the next part begins. */
export interface RefundPage {
  total_refund_count: number
  refund_count: number
  offset: number
  refunds: Refund[]
}

/**
 * What a repeat can do. `never`: nothing. `same_number`: repeat identically. `later`: repeat identically after a
 * pause. `new_number`: only another `out_refund_no` can succeed.
 */
export type Retry = 'never' | 'same_number' | 'later' | 'new_number'

/** The call was carried out. `retry` stands beside a refund that is `CLOSED`. */
export interface RefundDone {
  code: 0
  data: Refund
  retry?: 'new_number'
}

/** The query was carried out. */
export interface PageDone {
  code: 0
  data: RefundPage
}

/**
 * Refused, and nothing was refunded by this call. 400: fields or rules. 403: this caller may not. 404: no such refund
 * or order. 409: contradicts what is recorded. 422: WeChat Pay refused. 429: too fast.
 */
export interface Refused {
  code: 400 | 403 | 404 | 409 | 422 | 429
  /** WeChat Pay's own code, or one of ours: `PARAM_ERROR`, `NOAUTH`, … */
  err_code: string
  /** A sentence that names the field or the rule; may be shown. */
  message: string
  retry: Retry
  /** Seconds to wait, where that is known. */
  retry_after?: number
}

/**
 * The outcome is unknown: the refund may have been made. Repeat identically or query, and never choose a new number.
 * 500 is a defect or a wrong configuration of ours, 503 a lost or unusable answer.
 */
export interface Unknown {
  code: 500 | 503
  err_code: string
  message: string
  retry: Retry
  retry_after?: number
}

export type RefundReply = RefundDone | Refused | Unknown

export type PageReply = PageDone | Refused | Unknown

/** A function of yours that passes an event on to wxpayFunctions and returns its `result`. */
export interface CallWxpayFunctions {
  (event: RefundEvent | RefundQueryEvent): Promise<RefundReply>
  (event: OrderQueryEvent): Promise<PageReply>
}

// ---- What your own functions and your webhook receive ----

/** How a refund has ended, or come to rest. */
export type SettledStatus = 'SUCCESS' | 'CLOSED' | 'ABNORMAL'

/**
 * A refund that has settled, as the template's notification has it. It comes at least once: remember the `id`s that
 * you have taken, for the same event comes under the same one.
 */
export interface SettledEvent<S extends SettledStatus = SettledStatus> {
  id: string
  /** RFC 3339. */
  create_time: string
  resource_type: 'encrypt-resource'
  event_type: `REFUND.${S}`
  /** 退款成功, 退款关闭 or 退款异常. */
  summary: string
  resource: SettledResource<S>
}

/** The refund of a {@link SettledEvent}. */
export interface SettledResource<S extends SettledStatus = SettledStatus> {
  mchid: string
  sub_mchid?: string
  out_trade_no?: string
  transaction_id?: string
  out_refund_no: string
  refund_id?: string
  refund_status: S
  /** RFC 3339; only with `SUCCESS`. */
  success_time?: string
  user_received_account?: string
  amount: SettledAmount
}

/** Money of a {@link SettledEvent}, in minor units. */
export interface SettledAmount {
  total?: MinorUnits
  refund: MinorUnits
  payer_total?: MinorUnits
  payer_refund?: MinorUnits
  currency?: string
}

/** What a cloud function or the webhook is called with; `event_type` tells the three apart. */
export type SubscriberEvent = SettledEvent<'SUCCESS'> | SettledEvent<'CLOSED'> | SettledEvent<'ABNORMAL'>

/** What a cloud function returns: only `SUCCESS` means that it has taken the event. A webhook answers 2xx instead. */
export interface SubscriberReply {
  code: 'SUCCESS' | 'FAIL'
  message?: string
}
