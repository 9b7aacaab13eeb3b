// The list of refunds, and one of them in detail.

import { h } from './dom.js'
import { t, known } from './words.js'
import { money, decimal, difference, clockTime, duration } from './format.js'
import { statusOf, pill, button, number, orderBar, notificationCard, answerOf, reason } from './parts.js'

const filters = {
  all: () => true,
  open: (status) => ['claimed', 'processing', 'paid'].includes(status),
  success: (status) => status === 'success',
  abnormal: (status) => status === 'abnormal',
  ended: (status) => ['closed', 'rejected'].includes(status),
}

// rows are the refunds, and the orders that have none.
function rows(state) {
  const refunded = new Set(state.refunds.map((r) => r.out_trade_no))
  const orders = state.orders.filter((o) => !refunded.has(o.out_trade_no)).map((o) => ({
    key: `o:${o.out_trade_no}`, href: `#/orders/${encodeURIComponent(o.out_trade_no)}`, status: 'paid', title: o.out_trade_no, under: t('row.order'),
    amount: o.total, currency: o.currency, at: o.at, numbers: [o.out_trade_no, o.transaction_id], gap: 0,
  }))
  const refunds = state.refunds.map((r) => ({
    key: `r:${r.out_refund_no}`, href: `#/refunds/${encodeURIComponent(r.out_refund_no)}`, status: statusOf(r), title: r.out_refund_no,
    under: under(r), amount: r.refund, currency: r.currency, at: r.at, gap: gapOf(r),
    numbers: [r.out_refund_no, r.refund_id, r.out_trade_no, r.transaction_id],
  }))
  return [...orders, ...refunds].sort((a, b) => b.at.localeCompare(a.at))
}

const gapOf = (r) => r.difference_held || r.difference_arrived

function under(r) {
  if (gapOf(r) !== 0) return '' // there is no room for more
  return r.by_hand || r.ours?.foreign ? t('row.byHand') : t('row.of', { total: money(r.total, r.currency) })
}

export function listView(state, ui) {
  const all = rows(state)
  const wanted = ui.search.trim().toLowerCase()
  const found = all.filter((r) => filters[ui.filter](r.status) && (wanted === '' || r.numbers.some((n) => n?.toLowerCase().includes(wanted))))
  return h('section', { class: 'list', 'data-key': 'list', 'aria-label': t('nav.refunds') },
    startCard(all.length === 0, state.channel),
    all.length > 0 && h('div', { class: 'card', 'data-key': 'rows' },
      h('div', { class: 'finder' },
        h('label', { class: 'hidden', for: 'search' }, t('search')),
        h('input', { id: 'search', type: 'search', 'data-input': 'search', value: ui.search, placeholder: t('search.hint'), autocomplete: 'off', spellcheck: 'false' }),
        h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') }, Object.keys(filters).map((name) =>
          h('button', { type: 'button', class: 'chip', 'aria-pressed': String(name === ui.filter), 'data-do': 'filter', 'data-name': name }, t(`filter.${name}`))))),
      found.length === 0 && h('p', { class: 'muted' }, t('list.none')),
      h('ul', { class: 'rows' }, found.map((r) => row(r, state, ui))),
      state.older > 0 && h('p', { class: 'muted' }, t('list.older', { n: state.older }))))
}

function row(r, state, ui) {
  return h('li', { 'data-key': r.key },
    h('a', { href: r.href, 'aria-current': r.href === ui.hash && 'true' },
      h('span', { class: 'line' }, h('span', { class: 'number' }, r.title), h('b', {}, money(r.amount, r.currency))),
      h('span', { class: 'line' },
        h('span', { class: 'muted' }, [clockTime(r.at, state.now), r.under].filter(Boolean).join(' · ')),
        h('span', { class: 'marks' }, r.gap !== 0 && h('span', { class: 'gap' }, difference(r.gap, r.currency)), pill(r.status)))))
}

// Other currencies than CNY go over these channels only.
const abroad = ['global', 'cloudpay']

function startCard(first, channel) {
  return h('form', { class: first ? 'card start first' : 'card start', 'data-key': 'start', 'data-submit': 'orderAndRefund' },
    h('h2', {}, first ? t('start.first') : t('start')),
    first && h('p', {}, t('start.hint')),
    h('div', { class: 'fields' },
      h('label', {}, t('start.amount'), h('input', { name: 'total', inputmode: 'decimal', value: '1.00', autocomplete: 'off' })),
      abroad.includes(channel) && h('label', {}, t('start.currency'), h('select', { name: 'currency' },
        ['CNY', 'USD', 'HKD', 'JPY', 'EUR'].map((c) => h('option', { value: c }, c))))),
    h('div', { class: 'stack' },
      h('button', { type: 'submit', class: 'primary', id: 'first-step' }, t('start.both')),
      button(t('start.order'), 'order')))
}

// emptyDetail stands where nothing has been chosen.
export function emptyDetail(state) {
  const none = state.refunds.length === 0 && state.orders.length === 0
  return h('section', { class: 'detail empty', 'data-key': 'detail:none' },
    h('div', { class: 'card' },
      h('h2', {}, none ? t('empty.title') : t('empty.choose')),
      !none && h('p', { class: 'muted' }, t('empty.more')),
      none && h('ol', { class: 'steps' }, ['1', '2', '3'].map((n) => h('li', {}, h('b', {}, t(`empty.step${n}`)), h('span', {}, t(`empty.text${n}`)))))))
}

const back = () => h('a', { class: 'back', href: '#/refunds' }, t('back'))

export function orderDetail(order, state, ui) {
  if (!order) return missing(ui)
  return h('section', { class: 'detail', 'data-key': `detail:${order.out_trade_no}` }, back(),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' }, h('h2', { id: 'title', tabindex: -1 }, t('order.title')), pill('paid'), h('b', { class: 'sum' }, money(order.total, order.currency))),
      numbers([['out_trade_no', order.out_trade_no], ['transaction_id', order.transaction_id], ['openid', order.openid]]),
      orderBar(order)),
    orderCard(order, state.pace))
}

// missing stands where there is nothing; what has just been made may still come.
function missing(ui) {
  const fresh = performance.now() - ui.since < 2000
  return h('section', { class: 'detail', 'data-key': 'detail:missing' }, back(),
    h('div', { class: 'card' }, h('h2', { id: 'title', tabindex: -1 }, fresh ? t('coming') : t('missing'))))
}

function numbers(pairs) {
  return h('dl', { class: 'numbers' }, pairs.filter(([, value]) => value).map(([name, value]) => [h('dt', {}, name), h('dd', {}, number(value))]))
}

export function refundDetail(refund, state, ui, clock) {
  if (!refund) return missing(ui)
  const order = state.orders.find((o) => o.out_trade_no === refund.out_trade_no)
  const notifications = state.deliveries.filter((d) => d.out_refund_no === refund.out_refund_no)
  const status = statusOf(refund)
  return h('section', { class: 'detail', 'data-key': `detail:${refund.out_refund_no}` }, back(),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' },
        h('h2', { id: 'title', tabindex: -1 }, t('refund.title')), pill(status), h('b', { class: 'sum' }, money(refund.refund, refund.currency))),
      h('p', { class: 'means' }, known('means.', status)),
      refund.ours?.refusal && h('p', { class: 'reason' }, refund.ours.refusal),
      numbers([['out_refund_no', refund.out_refund_no], ['refund_id', refund.refund_id], ['out_trade_no', refund.out_trade_no], ['transaction_id', refund.transaction_id]]),
      order && orderBar(order),
      actions(refund)),
    notifications.length > 0 && h('div', { class: 'card', 'data-key': 'notifications' },
      h('h3', {}, t('notifications')), notifications.map((d) => notificationCard(d, state, clock))),
    timelineCard(refund, state),
    recordsCard(refund),
    order && orderCard(order, state.pace))
}

function actions(refund) {
  const no = refund.out_refund_no
  return h('div', { class: 'buttons' },
    button(t('do.query'), 'query', { no }),
    refund.event && button(t('do.again'), 'again', { no }),
    refund.can.map((status) => button(t(`do.settle.${status}`), 'settle', { no, status })),
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
    h('ol', { class: 'timeline' }, refund.timeline.map((m) => timelineLine(m, refund, state))))
}

function timelineLine(m, refund, state) {
  const detail = m.what === 'settled' ? m.detail : known('detail.', m.detail ?? '')
  const text = known(`${m.side}.`, m.what)
  return h('li', { class: `${m.side} ${m.error ? 'bad' : m.what}` },
    h('time', { datetime: m.at }, clockTime(m.at, state.now)),
    h('div', {},
      h('p', {}, h('span', { class: 'who' }, t(`who.${m.side}`)), ' ',
        text === m.what ? `${m.what} ${detail}` : t(`${m.side}.${m.what}`, { detail, amount: money(refund.refund, refund.currency) })),
      m.what === 'notified' && h('p', { class: 'answer' }, answerOf(m)),
      m.error && h('p', { class: 'reason' }, reason(m))))
}
