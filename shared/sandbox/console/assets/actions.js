// What each button and form does. An action returns what went wrong, if anything;
// each call that it makes can be read, and copied, beside the page.

import { t } from './words.js'
import { parseMoney, amountProblem } from './format.js'
import { href } from './route.js'
import { dispatcher, decide } from './decide.js'

const at = (path, id) => `${path}/${encodeURIComponent(id)}`

// order makes a paid order under a number of its own, so that what is written down beside
// the page makes the same order once more, elsewhere.
function order(body, { call, clock, state }) {
  const no = `T${clock.text().replace(/\D/g, '')}${String(Math.floor(Math.random() * 1e6)).padStart(6, '0')}`
  return call('POST', '/_sandbox/orders', { out_trade_no: no, openid: state().callers.buyer, ...body })
}

// look reads what the sandbox knows of something: {found}, or {problem}. That is no step
// of the click's.
async function look(view, no) {
  try {
    const response = await fetch(at(`/_sandbox/view/${view}`, no))
    return response.ok ? { found: await response.json() } : { problem: t('missing') }
  } catch {
    return { problem: t('problem.unreachable') }
  }
}

// nextNo is a refund number that the order has not had.
function nextNo(stem, refunds) {
  const taken = new Set(refunds.map((r) => r.out_refund_no))
  for (let n = 1; ; n++) {
    const no = `${stem}-r${n}`
    if (!taken.has(no)) return no
  }
}

// event is what a mini-program would send for a refund.
function event(of, outRefundNo, refund) {
  return {
    type: 'wxpay_refund', out_refund_no: outRefundNo, out_trade_no: of.out_trade_no, reason: t('reason'),
    amount: { refund, total: of.total, currency: of.currency },
  }
}

// untold are the codes of our side that leave no trace of a refund.
const untold = [400, 403, 404, 409, 429]

// refund refunds a part of an order and goes to see it. An answer that is long in
// coming is waited for there.
async function refund(of, minor, { call, go }) {
  const no = nextNo(of.out_trade_no, of.refunds ?? [])
  const sent = call('POST', dispatcher, event(of, no, minor))
  const seen = await Promise.race([sent, new Promise((done) => setTimeout(done, 700))])
  const code = seen?.reply?.result?.code
  if (code === 202) go(href('applications')) // another operator must agree
  else if (!untold.includes(code)) go(href('refunds', no))
  return { no, ...(seen ?? await sent) }
}

// made makes an order as the first card says.
async function made(x) {
  const { currency: { value: currency } = { value: 'CNY' }, total: { value: written } = { value: '1' } } = x.form?.elements ?? {}
  const total = parseMoney(written, currency)
  if (total === null) return { problem: amountProblem(written) }
  const { ok, problem, reply } = await order(currency === 'CNY' ? { total } : { total, currency }, x)
  return ok ? { paid: reply } : { problem }
}

async function orderAndRefund(x) {
  const { paid, problem } = await made(x)
  if (!paid) return problem
  return (await refund(paid, paid.total, x)).problem
}

// sample is an order of one yuan, of which a part is refunded.
async function sample(x) {
  const { reply, problem } = await order({ total: 100 }, x)
  if (problem) return { problem }
  return refund(reply, 60, x)
}

async function settle(no, status, call) {
  return (await call('POST', `${at('/_sandbox/refunds', no)}/settle`, { status })).problem
}

async function byHand(of, minor, { call, go }) {
  const no = nextNo(`${of.out_trade_no}-hand`, of.refunds ?? [])
  const body = { out_trade_no: of.out_trade_no, out_refund_no: no, amount: { refund: minor, total: of.total, currency: of.currency } }
  const { problem } = await call('POST', '/_sandbox/refunds', body)
  if (!problem) go(href('refunds', no))
  return problem
}

const scenarios = {
  abnormal: async (x) => {
    const { ok, no, problem } = await sample(x)
    return ok ? settle(no, 'ABNORMAL', x.call) : problem
  },
  closed: async (x) => {
    const { ok, no, problem } = await sample(x)
    return ok ? settle(no, 'CLOSED', x.call) : problem
  },
  byHand: async (x) => {
    const { reply, problem } = await order({ total: 100 }, x)
    return problem ?? byHand(reply, 60, x)
  },
  untold: async (x) => {
    const { reply, problem } = await order({ total: 100 }, x)
    if (problem) return problem
    const lost = await x.call('POST', '/_sandbox/faults', { notify: 'lose', count: 1 })
    return lost.problem ?? byHand(reply, 60, x)
  },
}

// applies is how often a fault applies.
const applies = { once: { count: 1 }, half: { rate: 0.5 }, always: {} }

async function fault(what, x) {
  const { problem } = await x.call('POST', '/_sandbox/faults', { ...what, ...applies[x.ui.applies] })
  if (problem || !x.ui.then) return problem
  return (await sample(x)).problem
}

// part does something with a part of an order, whose amount amountOf finds.
async function part(x, amountOf, act) {
  const { found, problem } = await look('orders', x.data.no)
  if (problem) return problem
  const minor = amountOf(found)
  return minor === null ? amountProblem(x.form.elements.amount.value) : act(found, minor, x)
}

const written = ({ form }) => (of) => parseMoney(form.elements.amount.value, of.currency)
const refunded = async (of, minor, x) => (await refund(of, minor, x)).problem

export const actions = {
  orderAndRefund,
  ...decide, applyNew: (x) => decide.applyNew({ ...x, order }),
  order: async (x) => {
    const { paid, problem } = await made(x)
    if (paid) x.go(href('orders', paid.out_trade_no))
    return problem
  },
  refundPart: (x) => part(x, written(x), refunded),
  refundRest: (x) => part(x, (of) => of.remaining, refunded),
  byHand: (x) => part(x, written(x), byHand),
  query: async ({ data, call }) => (await call('POST', dispatcher, { type: 'wxpay_refund_query', out_refund_no: data.no })).problem,
  again: async ({ data, call }) => {
    const { found, problem } = await look('refunds', data.no)
    return problem ?? (await call('POST', dispatcher, found.event)).problem
  },
  settle: ({ data, call }) => settle(data.no, data.status, call),
  timer: async ({ call }) => (await call('POST', '/functions/reconcile', {})).problem,
  resend: async ({ data, call }) => (await call('POST', `${at('/_sandbox/deliveries', data.id)}/resend`)).problem,
  until: async ({ data, call, clock }) => {
    const seconds = Math.max(1, Math.ceil((Date.parse(data.at) - clock.now()) / 1000))
    return (await call('POST', '/_sandbox/clock', { advance: `${seconds}s` })).problem
  },
  clockTo: async ({ data, call }) => (await call('POST', '/_sandbox/clock', { to: data.to })).problem,
  advance: async ({ data, call }) => (await call('POST', '/_sandbox/clock', { advance: data.by })).problem,
  // What stops the timer strikes no refund, and lasts; what strikes a bill, none either.
  fault: async (x) => {
    const { part, name } = x.data
    if (part === 'timer') return (await x.call('POST', '/_sandbox/faults', { timer: name })).problem
    if (part === 'bill') return (await x.call('POST', '/_sandbox/faults', { bill: name, ...applies[x.ui.applies] })).problem
    return fault({ [part]: name }, x)
  },
  errCode: (x) => fault({ err_code: x.form.elements.code.value, on: x.form.elements.on.value }, x),
  removeFault: async ({ data, call }) => (await call('DELETE', at('/_sandbox/faults', data.id))).problem,
  clearFaults: async ({ call }) => (await call('DELETE', '/_sandbox/faults')).problem,
  scenario: (x) => scenarios[x.data.name](x),
  hostile: async ({ call, state }) => (await call('POST', '/_sandbox/hostile', { on: !state().hostile })).problem,
  share: async ({ form, call }) => {
    const text = form.elements.percent.value.trim()
    if (!/^\d{1,3}(\.\d+)?$/.test(text) || Number(text) > 100) return t('problem.share')
    return (await call('POST', '/_sandbox/keys/share', { percent: Number(text) })).problem
  },
  shareBack: async ({ call }) => (await call('DELETE', '/_sandbox/keys/share')).problem,
  rotate: async ({ call }) => (await call('POST', '/_sandbox/keys/rotate')).problem,
  showSecrets: async ({ call, ui }) => {
    const { problem, reply } = await call('GET', '/_sandbox/credentials', undefined, true)
    ui.secrets = problem ? null : reply
    return problem
  },
}
