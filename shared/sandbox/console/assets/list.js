// The list of refunds, or of orders, a page at a time. What it is asked for stands in the
// page's address; the sandbox does the searching.

import { h } from './dom.js'
import { t, count } from './words.js'
import { href, search, without } from './route.js'
import { money, decimal, difference, parseMoney, amountProblem, clockTime } from './format.js'
import { want, sizes } from './store.js'
import { pill, button, problem } from './parts.js'

// The states that can be chosen, and what the sandbox is asked for.
const states = { all: undefined, open: 'open', success: 'success', abnormal: 'abnormal', ended: 'closed,rejected' }
const marks = ['doubt', 'undelivered', 'owed', 'difference']
// panel are the filters that are folded away.
export const panel = ['since', 'until', 'min', 'max', 'currency', ...marks]

let wrong = {} // why what stands in an amount's field is none, by the field's name

const fields = () => [...document.querySelectorAll('[data-query]')]

// readQuery is what the finder's fields ask for, from the first page on. What has no
// field stays as it is.
export function readQuery(before) {
  const query = without(before, 'offset')
  wrong = {}
  for (const field of fields()) {
    const { query: name, money: currency } = field.dataset
    delete query[name]
    let value = field.type === 'checkbox' ? field.checked && 'true' : field.value.trim()
    if (currency !== undefined && value !== '') {
      const minor = parseMoney(value, currency)
      if (minor === null) wrong[name] = amountProblem(value)
      value = minor
    }
    field.ariaInvalid = wrong[name] ? 'true' : null
    if (value) query[name] = String(value)
  }
  return query
}

// showQuery puts a query into the finder's fields.
export function showQuery(query) {
  wrong = {}
  for (const field of fields()) {
    const { query: name, money: currency } = field.dataset
    const value = query[name] ?? ''
    if (field.type === 'checkbox') field.checked = value !== ''
    else field.value = currency === undefined ? value : decimalOf(value, currency)
    field.ariaInvalid = null
  }
  const details = document.querySelector('.filters')
  if (details && panel.some((name) => query[name])) details.open = true
}

const decimalOf = (minor, currency) => (/^\d{1,12}$/.test(minor) ? decimal(Number(minor), currency) : '')

let shown = {} // the last page of each list that came: it stays until the next one is there

// pageOf is what is known of a page: of the one before while it is under way.
export function pageOf(view, ui) {
  const entry = want(view, null, ui.route.view === view ? ui.route.query : {})
  if (entry.data !== null && shown[view]?.entry !== entry) {
    if (shown[view] && ui.route.view === view) ui.found = range(view, entry.data)
    shown = { ...shown, [view]: { entry, data: entry.data } }
  }
  if (entry.data !== null) shown[view].data = entry.data
  return { entry, data: entry.data ?? (entry.error ? null : shown[view]?.data ?? null) }
}

const itemsOf = (data) => data.refunds ?? data.orders ?? data.deliveries ?? data.exchanges

// range says which of how many: 1–50 of 20,000.
function range(view, data) {
  const n = itemsOf(data).length
  return n === 0 ? t('list.none') : t('list.range', { from: count(data.offset + 1), to: count(data.offset + n), total: count(data.total) })
}

// pager leads to the pages beside the one that is shown. Its links stay where there is
// nothing more, so that the focus does too.
export function pager(view, data, { route }, also = null) {
  const size = sizes[view]
  const last = Math.max(0, Math.ceil(data.total / size) - 1) * size
  const to = (offset) => href(view, route.id, { ...route.query, offset: offset > 0 ? Math.min(offset, last) : undefined })
  const link = (name, offset, possible) => h('a', { class: 'step', href: possible ? to(offset) : to(data.offset), 'aria-disabled': !possible && 'true', 'aria-label': t(`list.${name}`) },
    name === 'previous' ? '‹' : '›')
  return h('nav', { class: 'pager', 'aria-label': t('list.pages') },
    h('span', { class: 'range' }, range(view, data)), also,
    data.total > size && [link('previous', data.offset - size, data.offset > 0), link('next', data.offset + size, data.offset + size < data.total)])
}

// newer offers what has come since the page was asked for.
export function newer(entry) {
  if (!entry.moved) return null
  return h('button', { type: 'button', class: 'newer', 'data-do': 'newer' }, entry.newer > 0 ? t('list.newer', { n: count(entry.newer) }) : t('list.moved'))
}

export function listView(state, ui) {
  const { refunds, orders } = state.totals
  const first = refunds === 0 && orders === 0
  return h('section', { class: 'list', 'data-key': 'list', 'aria-label': t('nav.refunds') },
    startCard(first, state.channel),
    !first && (ui.route.view === 'orders' ? orderCard(state, ui) : refundCard(state, ui)))
}

function tabs({ totals }, { route }) {
  return h('nav', { class: 'tabs', 'aria-label': t('list.of') }, ['refunds', 'orders'].map((view) =>
    h('a', { href: href(view), 'aria-current': route.view === view && 'page' }, t(`list.${view}`), ' ', h('span', { class: 'muted' }, count(totals[view])))))
}

// searchField is the field that / leads to.
export const searchField = (value, label, hint) => [
  h('label', { class: 'hidden', for: 'search' }, label),
  h('input', { id: 'search', 'data-key': 'search', type: 'search', 'data-query': 'q', value, placeholder: hint, autocomplete: 'off', spellcheck: 'false' }),
]

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
    finder(query, state, ui),
    problem(entry, data), newer(entry),
    data && [
      pager('refunds', data, ui, data.total > 0 && h('a', { class: 'csv', href: `/_sandbox/view/refunds.csv${search(without(query, 'offset'))}`, download: 'refunds.csv', title: t('list.csv') }, 'CSV')),
      h('ul', { class: 'rows' }, data.refunds.map((r) => refundRow(r, state, ui))),
      data.refunds.length > 12 && h('div', { class: 'again' }, pager('refunds', data, ui)),
    ])
}

function finder(query, state, ui) {
  const chip = (name) => h('a', {
    class: 'chip', href: href('refunds', ui.route.id, { ...without(query, 'offset', 'state'), state: states[name] }),
    'aria-current': query.state === states[name] && 'true',
  }, t(`filter.${name}`))
  const currencies = state.totals.money.map((m) => m.currency)
  const currency = query.currency ?? 'CNY'
  const set = panel.filter((name) => query[name])
  const amount = (name) => h('label', {}, t(`filter.${name}`), h('input', {
    type: 'text', inputmode: 'decimal', autocomplete: 'off', 'data-key': `${name}-${currency}`, 'data-query': name, 'data-money': currency, value: decimalOf(query[name] ?? '', currency),
    'aria-describedby': wrong[name] && `wrong-${name}`,
  }))
  const why = (name) => wrong[name] && h('p', { class: 'reason', id: `wrong-${name}`, 'data-key': `wrong-${name}`, role: 'alert' }, wrong[name])
  const date = (name) => h('label', {}, t(`filter.${name}`), h('input', { type: 'date', 'data-query': name, value: query[name]?.slice(0, 10) }))
  return h('div', { class: 'finder' },
    searchField(query.q, t('search'), t('search.hint')),
    h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') }, Object.keys(states).map(chip)),
    query.order && h('p', { class: 'only' }, t('filter.order', { no: query.order }), ' ', h('a', { href: href('refunds', ui.route.id, without(query, 'order', 'offset')) }, t('remove'))),
    h('details', { class: 'filters', open: set.length > 0 },
      h('summary', {}, t('filter.more'), set.length > 0 && h('span', { class: 'set', 'aria-label': t('filter.set', { n: set.length }) }, set.length)),
      h('div', { class: 'grid' },
        date('since'), date('until'), amount('min'), amount('max'), why('min'), why('max'),
        currencies.length > 1 && h('label', { 'data-key': 'currency' }, t('start.currency'), h('select', { 'data-query': 'currency' },
          ['', ...currencies].map((c) => h('option', { value: c, selected: c === (query.currency ?? '') }, c === '' ? t('filter.anyCurrency') : c)))),
        h('div', { class: 'marks', 'data-key': 'marks' }, marks.map((name) => h('label', {},
          h('input', { type: 'checkbox', 'data-query': name, checked: query[name] === 'true' }), t(`filter.${name}`)))),
        set.length > 0 && button(t('filter.clear'), 'unfilter'))))
}

function refundRow(r, state, ui) {
  const to = href('refunds', r.out_refund_no, ui.route.view === 'refunds' ? ui.route.query : {})
  const gap = r.difference_held || r.difference_arrived
  const under = r.by_hand ? t('row.byHand') : r.ours?.foreign ? t('row.foreign') : t('row.of', { total: money(r.total, r.currency) })
  return h('li', { 'data-key': r.out_refund_no },
    h('a', { href: to, 'aria-current': ui.route.id === r.out_refund_no && 'true' },
      h('span', { class: 'line' }, h('span', { class: 'number' }, r.out_refund_no), h('b', {}, money(r.refund, r.currency))),
      h('span', { class: 'line' },
        h('span', { class: 'muted' }, `${clockTime(r.at, state.now)} · ${under}`),
        pill(r.status)),
      (gap !== 0 || r.in_doubt || r.undelivered || r.owed) && h('span', { class: 'line flags' },
        gap !== 0 && h('span', { class: 'gap' }, t('row.gap', { gap: difference(gap, r.currency) })),
        r.in_doubt && h('span', { class: 'flag' }, t('filter.doubt')),
        r.undelivered && h('span', { class: 'flag' }, t('filter.undelivered')),
        r.owed && h('span', { class: 'flag' }, t('filter.owed')))))
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
      abroad.includes(channel) && h('label', {}, t('start.currency'), h('select', { name: 'currency' },
        ['CNY', 'USD', 'HKD', 'JPY', 'EUR'].map((c) => h('option', { value: c }, c))))),
    h('div', { class: 'stack' },
      h('button', { type: 'submit', class: 'primary', id: 'first-step' }, t('start.both')),
      button(t('start.order'), 'order')))
}
