// A refund in detail, or an order.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href } from './route.js'
import { money, decimal, difference, clockTime, duration } from './format.js'
import { want } from './store.js'
import { pill, button, number, orderBar, notificationCard, answerOf, reason, problem, rawLink } from './parts.js'
import { exchangeRows } from './exchanges.js'
import { refundRows } from './list.js'

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
  if (order === null) return missing(entry, ui)
  return h('section', { class: 'detail', 'data-key': `detail:${no}` }, back(ui),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' }, h('h2', { id: 'title', tabindex: -1 }, t('order.title')), pill('paid'), h('b', { class: 'sum' }, money(order.total, order.currency))),
      numbers([['out_trade_no', order.out_trade_no], ['transaction_id', order.transaction_id], ['openid', order.openid]]),
      orderBar(order)),
    siblingsCard(t('order.refunds'), order.refunds, order, state, ui),
    orderCard(order, state.pace))
}

// missing stands where there is nothing; what has just been made may still come.
function missing(entry, ui) {
  const fresh = entry.loading || performance.now() - ui.since < 2000
  const why = entry.error && entry.error.status !== 404
  return h('section', { class: 'detail', 'data-key': `detail:${entry.id}` }, back(ui),
    h('div', { class: 'card' }, h('h2', { id: 'title', tabindex: -1 }, fresh ? t('coming') : t('missing')),
      !fresh && (why ? problem(entry) : h('p', {}, number(entry.id)))))
}

function numbers(pairs) {
  return h('dl', { class: 'numbers' }, pairs.filter(([, value]) => value).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value.nodeType ? value : number(value))]))
}

export function refundDetail(no, state, ui, clock) {
  const entry = want('refunds', no)
  const refund = entry.data
  if (refund === null) return missing(entry, ui)
  const { order, deliveries, siblings, exchanges } = refund
  const orderLink = h('a', { class: 'number', href: href('orders', refund.out_trade_no) }, refund.out_trade_no)
  return h('section', { class: 'detail', 'data-key': `detail:${no}` }, back(ui),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' },
        h('h2', { id: 'title', tabindex: -1 }, t('refund.title')), pill(refund.status), h('b', { class: 'sum' }, money(refund.refund, refund.currency))),
      h('p', { class: 'means' }, refund.in_doubt ? t('means.doubt') : known('means.', refund.status)),
      refund.ours?.refusal && h('p', { class: 'reason' }, refund.ours.refusal),
      numbers([['out_refund_no', refund.out_refund_no], ['refund_id', refund.refund_id], ['out_trade_no', order ? orderLink : refund.out_trade_no], ['transaction_id', refund.transaction_id]]),
      order && orderBar(order),
      actions(refund)),
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
      button(t('order.byHand'), 'byHand', { no })),
    pace > 0 && h('p', { class: 'muted' }, t('order.pace', { pace: duration(pace) })))
}

// recordsCard holds the merchant's ledger against WeChat Pay's records.
function recordsCard(refund) {
  const { ours, wechat, currency } = refund
  const cell = (record, name) => (record ? money(record[name], currency) : '–')
  const gap = (n) => h('td', { class: n === 0 ? 'equal' : 'gap' }, difference(n, currency))
  const line = (name, n) => h('tr', {}, h('th', { scope: 'row' }, t(`records.${name}`)), h('td', {}, cell(ours, name)), h('td', {}, cell(wechat, name)), gap(n))
  const equal = refund.difference_held === 0 && refund.difference_arrived === 0
  return h('div', { class: 'card', 'data-key': 'records' },
    h('h3', {}, t('records')),
    h('table', { class: 'records' },
      h('thead', {}, h('tr', {}, ['', 'records.ours', 'records.wechat', 'records.difference'].map((n) => h('th', { scope: 'col' }, n && t(n))))),
      h('tbody', {},
        h('tr', {}, h('th', { scope: 'row' }, t('records.state')), h('td', {}, ours ? known('state.', ours.state) : t('records.unknown')), h('td', {}, wechat ? wechat.state : t('records.unknown')), h('td')),
        line('held', refund.difference_held), line('arrived', refund.difference_arrived))),
    h('p', { class: 'muted' }, equal ? t('records.equal') : t('records.gap')))
}

function timelineCard(refund, state) {
  return h('div', { class: 'card', 'data-key': 'timeline' },
    h('h3', {}, t('timeline')),
    h('ol', { class: 'timeline' }, (refund.timeline ?? []).map((m) => timelineLine(m, refund, state))))
}

// exchangeOf is the exchange in which a notification went.
function exchangeOf({ deliveries }, line) {
  return deliveries.find((d) => d.id === line.delivery)?.attempts.find((a) => a.at === line.at)?.exchange
}

function timelineLine(m, refund, state) {
  const detail = m.what === 'settled' ? m.detail : known('detail.', m.detail ?? '')
  const text = known(`${m.side}.`, m.what)
  return h('li', { class: `${m.side} ${m.error && !m.rightly ? 'bad' : m.what}` },
    h('time', { datetime: m.at }, clockTime(m.at, state.now)),
    h('div', {},
      h('p', {}, h('span', { class: 'who' }, t(`who.${m.side}`)), ' ',
        text === m.what ? `${m.what} ${detail}` : t(`${m.side}.${m.what}`, { detail, amount: money(refund.refund, refund.currency) })),
      m.what === 'notified' && h('p', { class: 'answer' }, answerOf(m), rawLink(exchangeOf(refund, m))),
      m.error && h('p', { class: m.rightly ? 'reason rightly' : 'reason' }, reason(m))))
}
