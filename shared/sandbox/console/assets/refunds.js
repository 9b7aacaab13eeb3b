// A refund in detail, or an order.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href } from './route.js'
import { money, decimal, duration } from './format.js'
import { want } from './store.js'
import { pill, button, numbers, missing, orderBar, records, timeline, told } from './parts.js'
import { notificationCard, answerOf, reason, rawLink } from './notification.js'
import { exchangeRows } from './exchanges.js'
import { refundRows } from './lists.js'
import { abnormalCard } from './applications.js'

// emptyDetail stands where nothing has been chosen.
export function emptyDetail(state) {
  const none = state.totals.refunds === 0 && state.totals.orders === 0
  return h('section', { class: 'detail empty', 'data-key': 'detail:none' },
    h('div', { class: 'card' },
      h('h2', {}, none ? t('empty.title') : t('empty.choose')),
      !none && h('p', { class: 'muted' }, t('empty.more')),
      none && h('ol', { class: 'steps' }, ['1', '2', '3'].map((n) => h('li', {}, h('b', {}, t(`empty.step${n}`)), h('span', {}, t(`empty.text${n}`)))))))
}

// most is how many exchanges of a refund are shown beside it.
const most = 8

const back = ({ route }) => h('a', { class: 'back', href: href(route.view, null, route.query) }, route.view === 'orders' ? t('back.orders') : t('back'))

export function orderDetail(no, state, ui) {
  const entry = want('orders', no)
  const order = entry.data
  if (order === null) return missing(entry, back(ui), ui)
  return h('section', { class: 'detail', 'data-key': `detail:${no}` }, back(ui),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' }, h('h2', { id: 'title', tabindex: -1 }, t('order.title')), pill('paid'), h('b', { class: 'sum' }, money(order.total, order.currency))),
      numbers([['out_trade_no', order.out_trade_no], ['transaction_id', order.transaction_id], ['openid', order.openid]]),
      orderBar(order)),
    siblingsCard(t('order.refunds'), order.refunds, order, state, ui),
    orderCard(order, state.pace))
}

export function refundDetail(no, state, ui, clock) {
  const entry = want('refunds', no)
  const refund = entry.data
  if (refund === null) return missing(entry, back(ui), ui)
  const { order, deliveries, siblings, exchanges } = refund
  const orderLink = h('a', { class: 'number', href: href('orders', refund.out_trade_no) }, refund.out_trade_no)
  return h('section', { class: 'detail', 'data-key': `detail:${no}` }, back(ui),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' },
        h('h2', { id: 'title', tabindex: -1 }, t('refund.title')), pill(refund.status), h('b', { class: 'sum' }, money(refund.refund, refund.currency))),
      h('p', { class: 'means' }, refund.in_doubt ? t('means.doubt') : known('means.', refund.status)),
      refund.ours?.kept && h('p', { class: 'reason' }, t('means.kept')),
      refund.ours?.refusal && h('p', { class: 'reason' }, refund.ours.refusal),
      numbers([['out_refund_no', refund.out_refund_no], ['refund_id', refund.refund_id], ['out_trade_no', order ? orderLink : refund.out_trade_no], ['transaction_id', refund.transaction_id]]),
      order && orderBar(order),
      actions(refund)),
    abnormalCard(refund),
    deliveries.length > 0 && h('div', { class: 'card', 'data-key': 'notifications' },
      h('h3', {}, t('notifications')), deliveries.map((d) => notificationCard(d, state, clock))),
    timelineCard(refund, state),
    recordsCard(refund),
    siblingsCard(t('order.others'), siblings, refund, state, ui),
    exchanges?.length > 0 && h('div', { class: 'card', 'data-key': 'exchanges' },
      h('h3', {}, t('exchanges.of')), exchangeRows(exchanges.slice(0, most), state, false),
      exchanges.length > most && h('a', { href: href('exchanges', null, { refund: no }) }, t('exchanges.all'))),
    order && orderCard(order, state.pace))
}

// siblingsCard leads to the refunds of an order; a full page of them, to the list.
function siblingsCard(title, refunds, { out_trade_no: order }, state, ui) {
  return refunds?.length > 0 && h('div', { class: 'card', 'data-key': 'siblings' },
    h('h3', {}, title, ' ', h('span', { class: 'muted' }, count(refunds.length))),
    refundRows(refunds, state, ui),
    h('a', { href: href('refunds', null, { order }) }, t('order.list')))
}

function actions(refund) {
  const no = refund.out_refund_no
  return h('div', { class: 'buttons' },
    button(t('do.query'), 'query', { no }),
    refund.event && button(t('do.again'), 'again', { no }),
    (refund.can ?? []).map((status) => button(t(`do.settle.${status}`), 'settle', { no, status })),
    button(t('do.timer'), 'timer'))
}

// orderCard is where more of an order is refunded.
function orderCard(order, pace) {
  if (order.remaining === 0) return null
  const no = order.out_trade_no
  const field = `amount-${no}-${order.remaining}`
  return h('div', { class: 'card', 'data-key': 'order' },
    h('h3', {}, t('order', { rest: money(order.remaining, order.currency), total: money(order.total, order.currency) })),
    h('form', { class: 'again', 'data-submit': 'refundPart', 'data-no': no },
      h('label', { for: field }, t('order.amount')),
      h('input', { id: field, 'data-key': field, name: 'amount', inputmode: 'decimal', autocomplete: 'off', value: decimal(order.remaining, order.currency) }),
      h('button', { type: 'submit', class: 'primary' }, t('order.refund')),
      button(t('order.rest'), 'refundRest', { no }),
      button(t('order.byHand'), 'byHand', { no }),
      h('a', { href: href('applications', null, { order: no }) }, t('order.apply'))),
    pace > 0 && h('p', { class: 'muted' }, t('order.pace', { pace: duration(pace) })))
}

// recordsCard holds the merchant's ledger against WeChat Pay's records.
function recordsCard({ ours, wechat, currency, difference_held: held, difference_arrived: arrived }) {
  return h('div', { class: 'card', 'data-key': 'records' }, h('h3', {}, t('records')), records({ ours, wechat, currency, held, arrived }, t('records.gap')))
}

function timelineCard(refund, state) {
  return h('div', { class: 'card', 'data-key': 'timeline' }, h('h3', {}, t('timeline')),
    timeline((refund.timeline ?? []).map((m) => lineOf(m, refund)), state.now))
}

// exchangeOf is the exchange in which a notification went.
function exchangeOf({ deliveries }, line) {
  return deliveries.find((d) => d.id === line.delivery)?.attempts.find((a) => a.at === line.at)?.exchange
}

function lineOf(m, refund) {
  const detail = m.what === 'settled' ? m.detail : known('detail.', m.detail ?? '')
  return {
    at: m.at, side: m.side, kind: m.error && !m.rightly ? 'bad' : m.what, text: told(m.side, m.what, detail, money(refund.refund, refund.currency)),
    more: [
      m.what === 'notified' && h('p', { class: 'answer' }, answerOf(m), rawLink(exchangeOf(refund, m))),
      m.error && h('p', { class: m.rightly ? 'reason rightly' : 'reason' }, reason(m)),
    ],
  }
}
