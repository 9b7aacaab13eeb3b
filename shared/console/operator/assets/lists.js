// The list of refunds, and an order with its own.

import { h } from './dom.js'
import { t, count } from './words.js'
import { href, search, without } from './route.js'
import { money, clockTime } from './format.js'
import { want } from './store.js'
import { pill, problem, numbers, missing, orderBar } from './parts.js'
import { pageOf as known, pages, newer, finder, csvLink, row } from './list.js'

const states = { all: undefined, open: 'open', success: 'success', abnormal: 'abnormal', ended: 'closed,rejected' }
const marks = ['attention', 'doubt', 'undelivered']

// The pages that have been gone through: behind which one a page comes, and how many items
// are before it. A page that is opened by its address has nothing before it that is known.
const storage = 'pages'
const passed = new Map(JSON.parse(sessionStorage.getItem(storage) ?? '[]'))

function pass(cursor, before, from) {
  if (passed.has(cursor)) return
  passed.set(cursor, [before, from])
  sessionStorage.setItem(storage, JSON.stringify([...passed].slice(-500)))
}

// range says which part of a list is shown, of how many if that is known.
function range(items, query, total) {
  if (items.length === 0) return t(query.cursor ? 'list.end' : 'list.none')
  const from = query.cursor ? passed.get(query.cursor)?.[1] : 0
  const n = items.length
  if (from === undefined) return t('list.some', { n: count(n) })
  const values = { from: count(from + 1), to: count(from + n) }
  return typeof total === 'number' ? t('list.range', { ...values, total: count(total) }) : t('list.part', values)
}

// pager leads to the pages beside the one that is shown. total is what is counted meanwhile.
// While another page than the one asked for still stands there, it leads nowhere.
export function pager(view, name, data, { route }, total, also = null, loading = false) {
  if (loading) return pages('', { here: href(view, route.id, route.query) }, also)
  const { cursor, ...query } = route.query
  const from = cursor ? passed.get(cursor)?.[1] : 0
  if (data.next) pass(data.next, cursor ?? '', from === undefined ? undefined : from + data[name].length)
  const before = cursor ? passed.get(cursor)?.[0] ?? '' : undefined
  const to = (at) => href(view, route.id, { ...query, cursor: at })
  return pages(range(data[name], route.query, total), (cursor || data.next) && {
    here: to(cursor), previous: before, next: data.next ? to(data.next) : undefined,
    ...(before !== undefined && { previous: to(before) }),
  }, also)
}

export function listView(state, ui) {
  const query = ui.route.view === 'refunds' ? ui.route.query : {}
  const filter = without(query, 'cursor')
  const { entry, data } = known('refunds', ui, (_, data) => range(data.refunds, query))
  const { data: counted } = want('count', null, filter)
  const csv = () => data?.refunds.length > 0 && csvLink(`api/refunds.csv${search(filter)}`)
  const page = () => pager('refunds', 'refunds', data, { route: { ...ui.route, view: 'refunds', query } }, counted?.total, csv(), entry.data === null)
  return h('section', { class: 'list', 'data-key': 'list', 'aria-label': t('nav.refunds') },
    h('div', { class: 'card', 'data-key': 'refunds', 'aria-busy': entry.loading && entry.data === null && 'true' },
      finder({ query, states, marks, currencies: [], currency: state?.currency, hint: t('search.hint') }, ui),
      problem(entry, data), newer(entry, (n) => t('list.newer', { n: count(n) })),
      data && [
        data.incomplete && h('p', { class: 'muted small' }, t('incomplete')),
        page(),
        h('ul', { class: 'rows' }, data.refunds.map((r) => refundRow(r, state, ui))),
        data.refunds.length > 12 && h('div', { class: 'again' }, page()),
      ]))
}

function refundRow(r, state, ui) {
  const under = [clockTime(r.at, state?.now ?? r.at), r.external ? t('row.foreign') : r.total > 0 && t('row.of', { total: money(r.total, r.currency) })]
  const flag = (name, kind = 'flag') => h('span', { class: kind }, t(`filter.${name}`))
  return row({
    no: r.out_refund_no, to: href('refunds', r.out_refund_no, ui.route.view === 'refunds' ? ui.route.query : {}), here: ui.route.id === r.out_refund_no,
    amount: money(r.refund, r.currency), under: under.filter(Boolean).join(' · '), label: pill(r.state),
    flags: [
      r.attention && flag('attention', 'flag bad'), r.in_doubt && flag('doubt'), r.waiting && h('span', { class: 'flag' }, t('row.waits')), r.undelivered && flag('undelivered'),
    ].filter(Boolean),
  })
}

// refundRows are those of one order.
export function refundRows(refunds, state, ui) {
  return h('ul', { class: 'rows' }, refunds.map((r) => refundRow(r, state, ui)))
}

export function orderView(no, state, ui) {
  const entry = want('orders', no)
  const order = entry.data
  const back = h('a', { class: 'back', href: href('refunds') }, t('back'))
  if (order === null) return missing(entry, back, ui)
  return h('section', { class: 'detail', 'data-key': `detail:${no}` }, back,
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' }, h('h2', { id: 'title', tabindex: -1 }, t('order.title')), order.total > 0 && h('b', { class: 'sum' }, money(order.total, order.currency))),
      numbers([['out_trade_no', order.out_trade_no], ['transaction_id', order.transaction_id]]),
      order.total > 0 && orderBar(order)),
    h('div', { class: 'card', 'data-key': 'refunds' },
      h('h3', {}, t('order.refunds'), ' ', h('span', { class: 'muted' }, count(order.refunds.length))),
      refundRows(order.refunds, state, ui),
      h('a', { href: href('refunds', null, { order: no }) }, t('order.list'))))
}
