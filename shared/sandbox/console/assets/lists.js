// The lists of refunds and of orders, and where a new order is made.

import { h } from './dom.js'
import { t, count } from './words.js'
import { href, search, without } from './route.js'
import { money, difference, clockTime } from './format.js'
import { sizeOf, listOf } from './store.js'
import { pill, button, problem } from './parts.js'
import { pageOf as known, pages, newer as moved, finder, searchField, csvLink, row, tabs as tabsOf } from './list.js'

// The states that can be chosen, and what the sandbox is asked for.
const states = { all: undefined, open: 'open', success: 'success', abnormal: 'abnormal', ended: 'closed,rejected' }
const marks = ['doubt', 'undelivered', 'owed', 'difference']

export const pageOf = (view, ui) => known(view, ui, range)
export const newer = (entry) => moved(entry, (n) => t('list.newer', { n: count(n) }))

// range says which of how many: 1–50 of 20,000.
function range(view, data) {
  const n = data[listOf(view)[0]].length
  return n === 0 ? t('list.none') : t('list.range', { from: count(data.offset + 1), to: count(data.offset + n), total: count(data.total) })
}

// pager leads to the pages beside the one that is shown.
export function pager(view, data, { route }, also = null) {
  const size = sizeOf(view)
  const last = Math.max(0, Math.ceil(data.total / size) - 1) * size
  const to = (offset) => href(view, route.id, { ...route.query, offset: offset > 0 ? Math.min(offset, last) : undefined })
  return pages(range(view, data), data.total > size && {
    here: to(data.offset),
    previous: data.offset > 0 ? to(data.offset - size) : undefined,
    next: data.offset + size < data.total ? to(data.offset + size) : undefined,
  }, also)
}

export function listView(state, ui) {
  const { refunds, orders } = state.totals
  const first = refunds === 0 && orders === 0
  return h('section', { class: 'list', 'data-key': 'list', 'aria-label': t('nav.refunds') },
    startCard(first, state.channel),
    !first && (ui.route.view === 'orders' ? orderCard(state, ui) : refundCard(state, ui)))
}

function tabs({ totals }, ui) {
  return tabsOf(['refunds', 'orders'].map((view) => [view, [t(`list.${view}`), ' ', h('span', { class: 'muted' }, count(totals[view]))]]), ui)
}

function orderCard(state, ui) {
  const { entry, data } = pageOf('orders', ui)
  return h('div', { class: 'card', 'data-key': 'orders', 'aria-busy': entry.loading && entry.data === null && 'true' }, tabs(state, ui),
    h('div', { class: 'finder' }, searchField(ui.route.query.q, t('search.orders'), t('search.orders'))),
    problem(entry, data), newer(entry),
    data && [pager('orders', data, ui), h('ul', { class: 'rows' }, data.orders.map((o) => orderRow(o, state, ui)))])
}

function refundCard(state, ui) {
  const { entry, data } = pageOf('refunds', ui)
  const query = ui.route.query
  return h('div', { class: 'card', 'data-key': 'refunds', 'aria-busy': entry.loading && entry.data === null && 'true' }, tabs(state, ui),
    finder({ query, states, marks, currencies: state.totals.money.map((m) => m.currency), hint: t('search.hint') }, ui),
    problem(entry, data), newer(entry),
    data && [
      pager('refunds', data, ui, data.total > 0 && csvLink(`/_sandbox/view/refunds.csv${search(without(query, 'offset'))}`)),
      h('ul', { class: 'rows' }, data.refunds.map((r) => refundRow(r, state, ui))),
      data.refunds.length > 12 && h('div', { class: 'again' }, pager('refunds', data, ui)),
    ])
}

function refundRow(r, state, ui) {
  const gap = r.difference_held || r.difference_arrived
  const under = r.by_hand ? t('row.byHand') : r.ours?.foreign ? t('row.foreign') : t('row.of', { total: money(r.total, r.currency) })
  const flag = (name) => h('span', { class: 'flag' }, t(`filter.${name}`))
  return row({
    no: r.out_refund_no, to: href('refunds', r.out_refund_no, ui.route.view === 'refunds' ? ui.route.query : {}), here: ui.route.id === r.out_refund_no,
    amount: money(r.refund, r.currency), under: `${clockTime(r.at, state.now)} · ${under}`, label: pill(r.status),
    flags: [
      gap !== 0 && h('span', { class: 'gap' }, t('row.gap', { gap: difference(gap, r.currency) })),
      r.ours?.kept && h('span', { class: 'flag' }, t('row.kept')),
      r.in_doubt && flag('doubt'), r.undelivered && flag('undelivered'), r.owed && flag('owed'),
    ].filter(Boolean),
  })
}

// refundRows are those of one order.
export function refundRows(refunds, state, ui) {
  return h('ul', { class: 'rows' }, refunds.map((r) => refundRow(r, state, ui)))
}

function orderRow(o, state, ui) {
  const parts = [[o.refunded, 'row.refunded'], [o.open, 'row.open']].filter(([n]) => n > 0).map(([n, name]) => t(name, { amount: money(n, o.currency) }))
  return h('li', { 'data-key': o.out_trade_no },
    h('a', { href: href('orders', o.out_trade_no, ui.route.query), 'aria-current': ui.route.id === o.out_trade_no && 'true' },
      h('span', { class: 'line' }, h('span', { class: 'number' }, o.out_trade_no), h('b', {}, money(o.total, o.currency))),
      h('span', { class: 'line' },
        h('span', { class: 'muted' }, [clockTime(o.at, state.now), ...(parts.length > 0 ? parts : [t('row.order')])].join(' · ')))))
}

// Other currencies than CNY go over these channels only.
const abroad = ['global', 'cloudpay']

function startCard(first, channel) {
  return h('form', { class: first ? 'card start first' : 'card start', 'data-key': 'start', 'data-submit': 'orderAndRefund' },
    h('h2', {}, first ? t('start.first') : t('start')),
    first && h('p', {}, t('start.hint')),
    h('div', { class: 'fields' },
      h('label', {}, t('start.amount'), h('input', { name: 'total', inputmode: 'decimal', value: '1.00', autocomplete: 'off' })),
      abroad.includes(channel) && h('label', {}, t('filter.currency'), h('select', { name: 'currency' },
        ['CNY', 'USD', 'HKD', 'JPY', 'EUR'].map((c) => h('option', { value: c }, c))))),
    h('div', { class: 'stack' },
      h('button', { type: 'submit', class: 'primary', id: 'first-step' }, t('start.both')),
      button(t('start.order'), 'order')))
}
