// Types of what the cloud function wxpayFunctions takes and answers, and of what
// the functions in NOTIFY_FUNCTIONS and the webhook receive. Copy this file into
// the mini-program:
//
//     import type { RefundEvent, RefundReply } from './wxrefund'
//
// A test holds it against the Go structs, field by field, and TypeScript's
// compiler checks it with the example in testdata/types. Each interface has a
// field a line, which that test relies on.
//
// 云函数 wxpayFunctions 的入参、返回值，以及订阅者（NOTIFY_FUNCTIONS 中的云函数和
// webhook）收到的事件的类型。把本文件复制到小程序里即可使用。

/** Money in the currency's minor unit, always an integer: fen for CNY. 金额，最小货币单位的整数，人民币为分。 */
export type MinorUnits = number

// ---- Events: the `data` of wx.cloud.callFunction ----

/**
 * What a refund asks for. One of `out_trade_no` and `transaction_id` names the order: see {@link OrderName}.
 *
 * 退款申请的字段；订单用 `out_trade_no` 或 `transaction_id` 指明。
 */
export interface RefundFields {
  /** Your number of the refund. The same number again with the same content refunds once. 退款单号，原样重复只退一次。 */
  out_refund_no: string
  transaction_id?: string
  out_trade_no?: string
  /** Shown to the payer; at most 80 bytes. 退款原因，用户可见，最多 80 字节。 */
  reason?: string
  /** `AVAILABLE` or `UNSETTLED`, where the upstream system has it. 退款资金来源。 */
  funds_account?: string
  amount: RequestAmount
  goods_detail?: Goods[]
}

/** Money of a refund that is asked for, in minor units. 申请退款的金额。 */
export interface RequestAmount {
  refund: MinorUnits
  /** What the whole order cost. 原订单总金额。 */
  total: MinorUnits
  /** Three letters of ISO 4217: `CNY`. 币种。 */
  currency: string
  from?: From[]
}

/** The part of a refund that one of the merchant's accounts pays. 出资账户及其金额。 */
export interface From {
  account: string
  amount: MinorUnits
}

/** An article of the order; prices in minor units. 订单中的商品，价格以分为单位。 */
export interface Goods {
  merchant_goods_id: string
  wechatpay_goods_id?: string
  goods_name?: string
  unit_price: MinorUnits
  refund_amount: MinorUnits
  refund_quantity: number
}

/** What a query is by. The first of the four numbers that is given counts. 查询条件，四个单号按此顺序取第一个。 */
export interface Lookup {
  refund_id?: string
  out_refund_no?: string
  transaction_id?: string
  out_trade_no?: string
  /** Of an order's refunds, the first that is wanted, counted from 0. 从第几笔开始，自 0 起。 */
  offset?: number
}

/** An order goes by the merchant's number or by WeChat Pay's, or by both if they name the same one. 订单号，二选一。 */
export type OrderName = { out_trade_no: string } | { transaction_id: string }

/** A refund goes by the merchant's number or by WeChat Pay's. 退款单号，二选一。 */
export type RefundName = { out_refund_no: string } | { refund_id: string }

/** A query for an order's refunds: it names no refund. 按订单查询，不带退款单号。 */
export type OrderLookup = Lookup & OrderName & { refund_id?: never; out_refund_no?: never }

/** All that a refund asks for. 完整的退款申请。 */
export type RefundRequest = RefundFields & OrderName

/** What a query for one refund is by. 按退款单号查询。 */
export type RefundLookup = Lookup & RefundName

/** Fields stand beside `type`, or in one object inside, never in both places. 字段与 `type` 并列，或放在内层，不可两处都有。 */
type Beside<Fields> = Fields & { data?: never; params?: never }
type Inside<Fields> = { data: Fields } | { params: Fields }

/** Refund an order, or a part of it. 申请退款，可部分退款。 */
export type RefundEvent = { type: 'wxpay_refund' } & (Beside<RefundRequest> | { data: RefundRequest })

/** Ask how one refund stands. 查询一笔退款。 */
export type RefundQueryEvent = { type: 'wxpay_refund_query' } & (Beside<RefundLookup> | Inside<RefundLookup>)

/** List an order's refunds, ten a page, the oldest first. 查询订单的全部退款，每页十笔，从早到晚。 */
export type OrderQueryEvent = { type: 'wxpay_refund_query' } & (Beside<OrderLookup> | Inside<OrderLookup>)

/**
 * What a buyer applies for: an order that the buyer has paid, or a part of it. One of `out_trade_no` and
 * `transaction_id` names it.
 *
 * 买家申请退款的字段：本人付款的订单，或其中一部分；订单用 `out_trade_no` 或 `transaction_id` 指明。
 */
export interface ApplyFields {
  transaction_id?: string
  out_trade_no?: string
  /** Absent: all that is left of the order. 不填则为订单剩余的全部金额。 */
  amount?: ApplyAmount
  /** Why; at most 80 bytes. 申请原因，最多 80 字节。 */
  reason: string
  /** Your number of the application: the same again is the same application. 申请编号，原样重复为同一申请。 */
  request_id?: string
}

/** The part of an order that a buyer wants back. 申请退还的金额。 */
export interface ApplyAmount {
  refund: MinorUnits
}

/** All that a buyer applies with. 完整的买家申请。 */
export type ApplyRequest = ApplyFields & OrderName

/** What is decided about one application. 对一份申请的决定。 */
export interface Decision {
  application_id: string
  /** At most 240 bytes. 理由，最多 240 字节。 */
  reason?: string
}

/** Which list is wanted, and which part of it, the newest first. 列表的种类、状态和范围，从新到旧。 */
export interface ListFields {
  /** `applications` or `refunds`; absent: applications. 列出申请或退款，默认为申请。 */
  kind?: string
  state?: string
  /** The first that is wanted, counted from 0. 从第几条开始，自 0 起。 */
  offset?: number
  /** At most 50; absent: 20. 最多 50 条，默认 20。 */
  limit?: number
}

export type ApplicationListFields = ListFields & { kind?: 'applications'; state?: ApplicationState }

export type RefundListFields = ListFields & { kind: 'refunds'; state?: RefundState }

/** To a card of the payer, or to the merchant's settlement account. 退到用户的银行卡，或商户的结算账户。 */
export type AbnormalTarget = 'USER_BANK_CARD' | 'MERCHANT_BANK_CARD'

/**
 * Where the money of a refund that is `ABNORMAL` goes. A card takes all three fields of it, the merchant's account
 * none.
 *
 * 异常退款的款项去向。退到用户银行卡时后三项必填，退到商户账户时不填。
 */
export interface AbnormalFields {
  out_refund_no: string
  type: AbnormalTarget
  /** Of a debit card: `ICBC_DEBIT`. 开户银行，仅限借记卡。 */
  bank_type?: string
  /** Digits. Neither stored nor logged. 银行卡号，不保存、不写日志。 */
  bank_account?: string
  /** The card holder. Neither stored nor logged. 持卡人姓名，不保存、不写日志。 */
  real_name?: string
}

/** A buyer applies for a refund. 买家申请退款。 */
export type ApplyEvent = { type: 'wxpay_refund_apply' } & (Beside<ApplyRequest> | { data: ApplyRequest })

/** An operator decides; a buyer takes an application back. 操作员批准或拒绝；买家撤回。 */
export type DecisionEvent =
  | ({ type: 'wxpay_refund_approve' } & (Beside<Decision> | { data: Decision }))
  | ({ type: 'wxpay_refund_reject' } & (Beside<Decision> | { data: Decision }))
  | ({ type: 'wxpay_refund_withdraw' } & (Beside<WithdrawalFields> | { data: WithdrawalFields }))

export type WithdrawalFields = Decision & { reason?: never }

/** List applications: all of them for an operator, a buyer's own for a buyer. 列出申请；买家只能看到自己的。 */
export type ApplicationListEvent = { type: 'wxpay_refund_list' } & (
  | Beside<ApplicationListFields>
  | { data: ApplicationListFields }
)

/** List refunds, likewise. 列出退款，范围同上。 */
export type RefundListEvent = { type: 'wxpay_refund_list' } & (Beside<RefundListFields> | { data: RefundListFields })

export type ListEvent = ApplicationListEvent | RefundListEvent

/** Finish a refund that is `ABNORMAL`. Its own `type` stands in `data`. 处理异常退款，字段只能放在 `data` 中。 */
export type AbnormalEvent = { type: 'wxpay_refund_abnormal'; data: AbnormalFields }

// ---- Replies: `result` of wx.cloud.callFunction. Look at `code` first. ----

/**
 * `PROCESSING`: accepted, and the money is on its way. `ABNORMAL`: the bank refused; finish it on the merchant
 * platform.
 *
 * `PROCESSING`：已受理，款项在途；`SUCCESS`：已到账；`CLOSED`：已关闭，资金未动；`ABNORMAL`：银行退回，需在商户平台处理。
 */
export type RefundStatus = 'PROCESSING' | 'SUCCESS' | 'CLOSED' | 'ABNORMAL'

/**
 * By what refunds are listed. `CLAIMED`: submitted, and WeChat Pay has said nothing yet. `REJECTED`: refused, and
 * nothing was refunded.
 *
 * `CLAIMED`：已提交，微信支付尚无结果；`REJECTED`：被拒绝，没有退款。
 */
export type RefundState = RefundStatus | 'CLAIMED' | 'REJECTED'

/** A refund. A field that the upstream system does not know is absent. 退款；上游系统不知道的字段不出现。 */
export interface Refund {
  /** WeChat Pay's number. 微信支付退款单号。 */
  refund_id?: string
  out_refund_no: string
  transaction_id?: string
  out_trade_no?: string
  /** Where the money goes: `ORIGINAL`, `BALANCE`, … 退款渠道。 */
  channel?: string
  user_received_account?: string
  /** RFC 3339; only with `SUCCESS`. */
  success_time?: string
  /** RFC 3339. */
  create_time?: string
  /** Absent in an order's list: WeChat Pay has said nothing of this refund yet. 列表中可能没有：尚无结果。 */
  status?: RefundStatus
  funds_account?: string
  /**
   * `merchant`: the money has gone to the merchant's own account, and the customer has nothing of it yet.
   *
   * `merchant`：款项退到了商户自己的账户，用户还没有收到。
   */
  received_by?: 'merchant'
  amount: Amount
  promotion_detail?: Promotion[]
}

/** Money of a refund, in minor units. Absent: not said; 0: zero. 金额；不出现表示未告知，与 0 不同。 */
export interface Amount {
  total?: MinorUnits
  refund: MinorUnits
  from?: From[]
  payer_total?: MinorUnits
  payer_refund?: MinorUnits
  settlement_refund?: MinorUnits
  settlement_total?: MinorUnits
  discount_refund?: MinorUnits
  /** The handling fee that was given back. 退还的手续费。 */
  refund_fee?: MinorUnits
  currency?: string
  /** Currency of `payer_total` and `payer_refund`, where it is another. */
  payer_currency?: string
}

/** A discount of which a part was refunded. 优惠及其退款。 */
export interface Promotion {
  promotion_id: string
  scope?: string
  type?: string
  amount?: MinorUnits
  refund_amount: MinorUnits
  goods_detail?: Goods[]
}

/** A part of an order's refunds; `offset` plus `refund_count` is where the next begins. 一页退款，下一页从二者之和开始。 */
export interface RefundPage {
  total_refund_count: number
  refund_count: number
  offset: number
  refunds: Refund[]
}

/**
 * `PENDING`: waits for a decision. `APPROVED`: its refund is on its way. `EXPIRED`: nobody has decided within seven
 * days. `REFUNDED`: its refund has succeeded.
 *
 * `PENDING`：待处理；`APPROVED`：已批准，退款在途；`REJECTED`：已拒绝；`WITHDRAWN`：已撤回；`EXPIRED`：七天内未处理；`REFUNDED`：已退款。
 */
export type ApplicationState = 'PENDING' | 'APPROVED' | 'REJECTED' | 'WITHDRAWN' | 'EXPIRED' | 'REFUNDED'

/** An application for a refund: a buyer's, or an operator's above the limit. 退款申请：买家的，或操作员超过限额的。 */
export interface Application {
  application_id: string
  state: ApplicationState
  out_trade_no?: string
  transaction_id?: string
  amount: ApplicationAmount
  reason?: string
  /** RFC 3339. */
  created_at: string
  /** RFC 3339. */
  decided_at?: string
  /** The number of its refund, once there is one. 其退款单号，有了才出现。 */
  out_refund_no?: string
  /** Its refund, once there is one; not in lists. 其退款，有了才出现；列表中没有。 */
  refund?: Refund
}

/** Money of an application, in minor units. 申请的金额。 */
export interface ApplicationAmount {
  refund: MinorUnits
  total: MinorUnits
  currency: string
}

/** A part of a list, the newest first; `offset` plus the number of `items` is where the next begins. 列表的一页，从新到旧。 */
export interface ListPage<Item> {
  total: number
  offset: number
  items: Item[]
}

/**
 * What a repeat can do. `never`: nothing. `same_number`: repeat identically. `later`: repeat identically after a
 * pause. `new_number`: only another `out_refund_no` can succeed.
 *
 * 能否重试：不能；原样重试；稍后原样重试；只有换新单号才可能成功。
 */
export type Retry = 'never' | 'same_number' | 'later' | 'new_number'

/** The call was carried out. `retry` stands beside a refund that is `CLOSED`. 调用成功；退款已关闭时带有 `retry`。 */
export interface RefundDone {
  code: 0
  data: Refund
  retry?: 'new_number'
}

/**
 * Nothing is refunded yet: another operator has to approve. The same refund again asks how it stands.
 *
 * 尚未退款：须由另一名操作员批准。原样重复可以查看进展。
 */
export interface RefundWaits {
  code: 202
  data: Application
  message: string
}

/** The query was carried out. 查询成功。 */
export interface PageDone {
  code: 0
  data: RefundPage
}

export interface ApplicationDone {
  code: 0
  data: Application
}

export interface ListDone<Item> {
  code: 0
  data: ListPage<Item>
}

/**
 * Refused, and nothing was refunded by this call. 400: fields or rules. 403: this caller may not. 404: no such refund
 * or order. 409: contradicts what is recorded. 422: WeChat Pay refused. 429: too fast.
 *
 * 被拒绝，本次调用没有退款：400 参数有误，403 无权，404 查无此单，409 与记录矛盾，422 微信支付拒绝，429 太频繁。
 */
export interface Refused {
  code: 400 | 403 | 404 | 409 | 422 | 429
  /** WeChat Pay's own code, or one of ours: `PARAM_ERROR`, `NOAUTH`, … 错误码。 */
  err_code: string
  /** A sentence that names the field or the rule; may be shown. 指出字段或规则的一句话，可以展示。 */
  message: string
  retry: Retry
  /** Seconds to wait, where that is known. 建议等待的秒数。 */
  retry_after?: number
}

/**
 * The outcome is unknown: the refund may have been made. Repeat identically or query, and never choose a new number.
 * 500 is a defect or a wrong configuration of ours, 503 a lost or unusable answer.
 *
 * 结果未知，可能已经退款：请用同一单号原样重试或查询，切勿换号。500 是本系统的缺陷或配置错误，503 是没有可信的应答。
 */
export interface Unknown {
  code: 500 | 503
  err_code: string
  message: string
  retry: Retry
  retry_after?: number
}

export type RefundReply = RefundDone | RefundWaits | Refused | Unknown

/** Of a query for one refund, and of an abnormal refund. 查询一笔退款、处理异常退款的返回。 */
export type OneRefundReply = RefundDone | Refused | Unknown

export type PageReply = PageDone | Refused | Unknown

export type ApplicationReply = ApplicationDone | Refused | Unknown

export type ApplicationsReply = ListDone<Application> | Refused | Unknown

export type RefundsReply = ListDone<Refund> | Refused | Unknown

/** A function of yours that passes an event on to wxpayFunctions and returns its `result`. 您自己的调用封装。 */
export interface CallWxpayFunctions {
  (event: RefundEvent): Promise<RefundReply>
  (event: RefundQueryEvent | AbnormalEvent): Promise<OneRefundReply>
  (event: OrderQueryEvent): Promise<PageReply>
  (event: ApplyEvent | DecisionEvent): Promise<ApplicationReply>
  (event: ApplicationListEvent): Promise<ApplicationsReply>
  (event: RefundListEvent): Promise<RefundsReply>
}

// ---- What your own functions and your webhook receive ----

/** How a refund has ended, or come to rest. 退款的结果。 */
export type SettledStatus = 'SUCCESS' | 'CLOSED' | 'ABNORMAL'

/**
 * A refund that has settled, as the template's notification has it. It comes at least once: remember the `id`s that
 * you have taken, for the same event comes under the same one.
 *
 * 退款结果事件，格式与模板转发的通知一致。至少送达一次，同一事件的 `id` 不变，请按 `id` 去重。
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

/** The refund of a {@link SettledEvent}. 事件中的退款。 */
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
  /** `merchant`: the customer has nothing of it yet; pay it otherwise. 款项在商户自己的账户，请另行付给用户。 */
  received_by?: 'merchant'
  amount: SettledAmount
}

/** Money of a {@link SettledEvent}, in minor units. 事件中的金额。 */
export interface SettledAmount {
  total?: MinorUnits
  refund: MinorUnits
  payer_total?: MinorUnits
  payer_refund?: MinorUnits
  currency?: string
}

/**
 * An application has been made, decided or refunded: no money moves by it, its refund has events of its own. It comes
 * only where buyers apply (`REFUND_SELF`) or two have to agree (`REFUND_APPROVAL_FEN`), and says of nobody who they
 * are.
 *
 * 退款申请的事件；资金变动以退款事件为准。只在启用 `REFUND_SELF` 或 `REFUND_APPROVAL_FEN` 时出现，不含 openid。
 */
export interface ApplicationEvent<S extends ApplicationState = ApplicationState> {
  id: string
  /** RFC 3339. */
  create_time: string
  resource_type: 'encrypt-resource'
  event_type: `REFUND_APPLICATION.${S}`
  /** 退款申请待处理, 退款申请已批准, … */
  summary: string
  resource: ApplicationResource<S>
}

/** The application of an {@link ApplicationEvent}. 事件中的申请。 */
export interface ApplicationResource<S extends ApplicationState = ApplicationState> {
  mchid: string
  sub_mchid?: string
  application_id: string
  state: S
  out_trade_no?: string
  transaction_id?: string
  /** Once there is one. 有了才出现。 */
  out_refund_no?: string
  reason?: string
  /** RFC 3339. */
  created_at: string
  /** RFC 3339. */
  decided_at?: string
  amount: ApplicationAmount
}

/** What a cloud function or the webhook is called with; `event_type` tells them apart. 订阅者收到的事件。 */
export type SubscriberEvent =
  | SettledEvent<'SUCCESS'>
  | SettledEvent<'CLOSED'>
  | SettledEvent<'ABNORMAL'>
  | ApplicationEvent<'PENDING'>
  | ApplicationEvent<'APPROVED'>
  | ApplicationEvent<'REJECTED'>
  | ApplicationEvent<'WITHDRAWN'>
  | ApplicationEvent<'EXPIRED'>
  | ApplicationEvent<'REFUNDED'>

/**
 * What a cloud function returns: only `SUCCESS` means that it has taken the event. A webhook answers 2xx instead.
 *
 * 云函数的返回值：只有 `SUCCESS` 表示已收到，否则会重发。webhook 则以 2xx 应答。
 */
export interface SubscriberReply {
  code: 'SUCCESS' | 'FAIL'
  message?: string
}
