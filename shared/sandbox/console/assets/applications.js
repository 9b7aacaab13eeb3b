// Applications: what the buyer asks for and the operators decide, as the one who is played is
// told of it.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href, without } from './route.js'
import { money, clockTime } from './format.js'
import { want, sizeOf } from './store.js'
import { pages } from './list.js'
import { button, numbers, problem } from './parts.js'
import { roles, caller, openid, deciding, roleName } from './callers.js'

const states = ['PENDING', 'APPROVED', 'REFUNDED', 'REJECTED', 'WITHDRAWN', 'EXPIRED']
const kinds = { PENDING: 'pending', APPROVED: 'processing', REFUNDED: 'success', REJECTED: 'rejected', WITHDRAWN: 'closed', EXPIRED: 'closed' }

export function applicationsView(state, ui) {
  return h('section', { class: 'wide', 'data-key': 'applications', 'aria-label': t('nav.applications') },
    h('div', { class: 'card', 'data-key': 'who' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.applications')),
      h('p', { class: 'muted' }, t('applications.hint')),
      h('div', { class: 'chips', role: 'group', 'aria-label': t('role') }, roles().map((name) =>
        h('button', { type: 'button', class: 'chip', 'data-do': 'become', 'data-role': name, 'aria-pressed': String(name === caller()) }, roleName(name)))),
      h('p', {}, t(`role.${caller()}.may`))),
    caller() === 'buyer' && applyCard(ui),
    listCard(state, ui))
}

// applyCard is where the buyer applies, for an order of his.
function applyCard({ route }) {
  const orders = want('orders', null, {}).data?.orders ?? []
  const order = route.query.order ?? orders[0]?.out_trade_no ?? ''
  return h('form', { class: 'card', 'data-key': 'apply', 'data-submit': 'apply' },
    h('h3', {}, t('apply')),
    h('div', { class: 'applying' },
      h('label', {}, t('apply.order'), h('input', { 'data-key': `order-${order}`, name: 'order', list: 'orders', value: order, autocomplete: 'off', spellcheck: 'false' })),
      h('label', {}, t('apply.amount'), h('input', { name: 'amount', inputmode: 'decimal', autocomplete: 'off', placeholder: t('apply.all') })),
      h('label', {}, t('apply.reason'), h('input', { 'data-key': `reason-${t('reason')}`, name: 'reason', autocomplete: 'off', value: t('reason') }))),
    h('datalist', { id: 'orders' }, orders.map((o) => h('option', { value: o.out_trade_no }))),
    h('div', { class: 'buttons' }, h('button', { type: 'submit', class: 'primary' }, t('apply.do')), button(t('apply.new'), 'applyNew')),
    h('p', { class: 'muted' }, t('apply.hint')))
}

function listCard(state, ui) {
  const { query } = ui.route
  const entry = want('applications', null, { as: openid(), ...without(query, 'order') })
  const chip = (value, label) => h('a', {
    class: 'chip', href: href('applications', null, { ...without(query, 'offset'), state: value }), 'aria-current': query.state === value && 'true',
  }, label)
  const { data } = entry
  return h('div', { class: 'card', 'data-key': `list-${caller()}`, 'aria-busy': entry.loading && data === null && 'true' },
    h('h3', {}, caller() === 'buyer' ? t('applications.mine') : t('applications.all')),
    h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') }, chip(undefined, t('filter.all')), states.map((name) => chip(name, t(`application.${name}`)))),
    problem(entry),
    data && [pager(data, query), data.items.map((a) => application(a, state))])
}

function pager(data, query) {
  const size = sizeOf('applications')
  const n = data.items.length
  const to = (offset) => href('applications', null, { ...query, offset: offset > 0 ? offset : undefined })
  return pages(n === 0 ? t('applications.none') : t('list.range', { from: count(data.offset + 1), to: count(data.offset + n), total: count(data.total) }), data.total > size && {
    here: to(data.offset), previous: data.offset > 0 ? to(data.offset - size) : undefined, next: data.offset + size < data.total ? to(data.offset + size) : undefined,
  })
}

function application(a, { now }) {
  const link = (view, no) => no && h('a', { class: 'number', href: href(view, no) }, no)
  return h('article', { class: 'application', 'data-key': a.application_id, 'aria-label': t('application.of', { amount: money(a.amount.refund, a.amount.currency) }) },
    h('header', { class: 'head' },
      h('span', { class: `pill ${kinds[a.state] ?? ''}` }, known('application.', a.state)),
      h('span', { class: 'muted' }, clockTime(inChina(a.created_at), now)),
      h('b', { class: 'sum' }, money(a.amount.refund, a.amount.currency))),
    a.reason && h('p', {}, h('q', {}, a.reason)),
    numbers([['application_id', a.application_id], ['out_trade_no', link('orders', a.out_trade_no)], ['out_refund_no', link('refunds', a.out_refund_no)]]),
    decisions(a))
}

// inChina writes a time as the sandbox does: what the function replies may be in any zone.
const inChina = (at) => new Date(Date.parse(at) + 8 * 3600_000).toISOString().replace('Z', '+08:00')

// decisions are what the one who is played may do about an application. Who has proposed it is
// told by the function that he may not allow it.
function decisions({ application_id: id, state, out_refund_no: proposed }) {
  if (!deciding()) return state === 'PENDING' && h('div', { class: 'buttons' }, button(t('withdraw'), 'withdraw', { id }))
  if (state === 'APPROVED') return h('div', { class: 'buttons' }, button(t('approve.again'), 'approve', { id }))
  return state === 'PENDING' && h('form', { class: 'again', 'data-submit': 'reject', 'data-id': id },
    button(t('approve'), 'approve', { id }, 'primary'),
    h('label', { for: `why-${id}` }, t('reject.why')),
    h('input', { id: `why-${id}`, 'data-key': `why-${id}`, name: 'why', autocomplete: 'off' }),
    h('button', { type: 'submit', class: 'quiet' }, t('reject')),
    proposed && button(t('withdraw'), 'withdraw', { id })) // an operator's own, who may be this one
}

// abnormalCard is where the money of an abnormal refund is sent elsewhere.
export function abnormalCard({ out_refund_no: no, status }) {
  if (status !== 'abnormal') return null
  const field = (name, hint) => h('label', {}, t(`abnormal.${name}`), h('input', { name, autocomplete: 'off', placeholder: hint }))
  return h('form', { class: 'card', 'data-key': 'abnormal', 'data-submit': 'abnormal', 'data-no': no },
    h('h3', {}, t('abnormal')),
    h('p', { class: 'muted' }, t('abnormal.hint')),
    h('div', { class: 'applying' },
      h('label', {}, t('abnormal.type'), h('select', { name: 'type' }, ['USER_BANK_CARD', 'MERCHANT_BANK_CARD'].map((type) => h('option', { value: type }, t(`abnormal.${type}`))))),
      field('bank_type', 'ICBC_DEBIT'), field('bank_account', '6222020000000000000'), field('real_name', '')),
    h('div', { class: 'buttons' }, h('button', { type: 'submit', class: 'primary' }, t('abnormal.do'))))
}
