// A list, a page at a time. What it is asked for stands in the page's address; whoever
// holds the data does the searching.

import { h } from './dom.js'
import { t } from './words.js'
import { href, without } from './route.js'
import { decimal, parseMoney, amountProblem } from './format.js'
import { want } from './store.js'
import { button } from './parts.js'

let folded = [] // the filters that are folded away

// panel are the names of the filters that are folded away.
export const panel = () => folded

let wrong = {} // why what stands in an amount's field is none, by the field's name

const fields = () => [...document.querySelectorAll('[data-query]')]

// readQuery is what the finder's fields ask for, from the first page on. What has no
// field stays as it is.
export function readQuery(before) {
  const query = without(before, 'offset', 'cursor')
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
  if (details && folded.some((name) => query[name])) details.open = true
}

const decimalOf = (minor, currency) => (/^\d{1,12}$/.test(minor) ? decimal(Number(minor), currency) : '')

let shown = {} // the last page of each list that came: it stays until the next one is there

// pageOf is what is known of a page: of the one before while it is under way. range says
// which part of the list it is, in words.
export function pageOf(view, ui, range) {
  const entry = want(view, null, ui.route.view === view ? ui.route.query : {})
  if (entry.data !== null && shown[view]?.entry !== entry) {
    if (shown[view] && ui.route.view === view) ui.found = range(view, entry.data)
    shown = { ...shown, [view]: { entry, data: entry.data } }
  }
  if (entry.data !== null) shown[view].data = entry.data
  return { entry, data: entry.data ?? (entry.error ? null : shown[view]?.data ?? null) }
}

// pages leads to the pages beside the one that is shown; to is where: {previous, next,
// here}, of which the first two may be missing, or nothing if there is one page only. The
// links stay where there is nothing more, so that the focus does too.
export function pages(range, to, also = null) {
  const link = (name) => h('a', { class: 'step', href: to[name] ?? to.here, 'aria-disabled': to[name] === undefined && 'true', 'aria-label': t(`list.${name}`) },
    name === 'previous' ? '‹' : '›')
  return h('nav', { class: 'pager', 'aria-label': t('list.pages') },
    h('span', { class: 'range' }, range), also, to && [link('previous'), link('next')])
}

// newer offers what has come since the page was asked for.
export function newer(entry, say) {
  if (!entry.moved) return null
  return h('button', { type: 'button', class: 'newer', 'data-do': 'newer' }, entry.newer > 0 ? say(entry.newer) : t('list.moved'))
}

// csvLink leads to what is filtered, as a file.
export function csvLink(address) {
  return h('a', { class: 'csv', href: address, download: 'refunds.csv', title: t('list.csv') }, 'CSV')
}

// searchField is the field that / leads to.
export const searchField = (value, label, hint) => [
  h('label', { class: 'hidden', for: 'search' }, label),
  h('input', { id: 'search', 'data-key': 'search', type: 'search', 'data-query': 'q', value, placeholder: hint, autocomplete: 'off', spellcheck: 'false' }),
]

// finder is where a list of refunds is searched and filtered: states are what can be chosen
// of them, marks what can be ticked, currencies those there are and currency that in which
// amounts are given if none is chosen. hint stands in the search field.
export function finder({ query, states, marks, currencies, currency: usual = 'CNY', hint }, ui) {
  folded = ['since', 'until', 'min', 'max', 'currency', ...marks]
  const chip = (name) => h('a', {
    class: 'chip', href: href('refunds', ui.route.id, { ...without(query, 'offset', 'cursor', 'state'), state: states[name] }),
    'aria-current': query.state === states[name] && 'true',
  }, t(`filter.${name}`))
  const currency = query.currency ?? usual
  const set = folded.filter((name) => query[name])
  const amount = (name) => h('label', {}, t(`filter.${name}`), h('input', {
    type: 'text', inputmode: 'decimal', autocomplete: 'off', 'data-key': `${name}-${currency}`, 'data-query': name, 'data-money': currency, value: decimalOf(query[name] ?? '', currency),
    'aria-describedby': wrong[name] && `wrong-${name}`,
  }))
  const why = (name) => wrong[name] && h('p', { class: 'reason', id: `wrong-${name}`, 'data-key': `wrong-${name}`, role: 'alert' }, wrong[name])
  const date = (name) => h('label', {}, t(`filter.${name}`), h('input', { type: 'date', 'data-query': name, value: query[name]?.slice(0, 10) }))
  return h('div', { class: 'finder' },
    searchField(query.q, t('search'), hint),
    h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') }, Object.keys(states).map(chip)),
    query.order && h('p', { class: 'only' }, t('filter.order', { no: query.order }), ' ', h('a', { href: href('refunds', ui.route.id, without(query, 'order', 'offset', 'cursor')) }, t('remove'))),
    h('details', { class: 'filters', open: set.length > 0 },
      h('summary', {}, t('filter.more'), set.length > 0 && h('span', { class: 'set', 'aria-label': t('filter.set', { n: set.length }) }, set.length)),
      h('div', { class: 'grid' },
        date('since'), date('until'), amount('min'), amount('max'), why('min'), why('max'),
        currencies.length > 1 && h('label', { 'data-key': 'currency' }, t('filter.currency'), h('select', { 'data-query': 'currency' },
          ['', ...currencies].map((c) => h('option', { value: c, selected: c === (query.currency ?? '') }, c === '' ? t('filter.anyCurrency') : c)))),
        h('div', { class: 'marks', 'data-key': 'marks' }, marks.map((name) => h('label', {},
          h('input', { type: 'checkbox', 'data-query': name, checked: query[name] === 'true' }), t(`filter.${name}`)))),
        set.length > 0 && button(t('filter.clear'), 'unfilter'))))
}

// row is one refund in a list: its number, its amount, what stands under the number, its
// state as a label, and what is to be noticed.
export function row({ no, to, here, amount, under, label, flags }) {
  return h('li', { 'data-key': no },
    h('a', { href: to, 'aria-current': here && 'true' },
      h('span', { class: 'line' }, h('span', { class: 'number' }, no), h('b', {}, amount)),
      h('span', { class: 'line' }, h('span', { class: 'muted' }, under), label),
      flags.length > 0 && h('span', { class: 'line flags' }, flags)))
}

// tabs lead to the lists that can be chosen, [view, its label].
export function tabs(views, { route }) {
  return h('nav', { class: 'tabs', 'aria-label': t('list.of') }, views.map(([view, label]) =>
    h('a', { href: href(view), 'aria-current': route.view === view && 'page' }, label)))
}
