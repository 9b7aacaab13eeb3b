// What buyers have applied for, and what waits for a second operator.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href, without } from './route.js'
import { money, clockTime } from './format.js'
import { want } from './store.js'
import { numbers, missing, problem, timeline } from './parts.js'
import { pageOf, pages, newer, row } from './list.js'
import { askButton } from './asking.js'

const states = ['pending', 'approved', 'refunded', 'rejected', 'withdrawn', 'expired']
const size = 50

const pill = (state) => h('span', { class: `pill ${state}` }, known('applied.', state))

function range({ applications, offset, total }) {
  if (applications.length === 0) return t(offset > 0 ? 'list.end' : 'list.none')
  return t('list.range', { from: count(offset + 1), to: count(offset + applications.length), total: count(total) })
}

function pager(data, { route }) {
  const to = (offset) => href('applications', route.id, { ...route.query, offset: offset > 0 ? offset : undefined })
  const next = data.offset + data.applications.length
  return pages(range(data), (data.offset > 0 || next < data.total) && {
    here: to(data.offset), ...(data.offset > 0 && { previous: to(Math.max(0, data.offset - size)) }), ...(next < data.total && { next: to(next) }),
  })
}

export function applicationsView(state, ui) {
  const query = ui.route.query
  const { entry, data } = pageOf('applications', ui, (_, data) => range(data))
  const chip = (name) => h('a', {
    class: 'chip', href: href('applications', ui.route.id, { ...without(query, 'offset', 'state'), state: name || undefined }),
    'aria-current': (query.state ?? '') === name && 'true',
  }, name === '' ? t('filter.all') : known('applied.', name))
  return h('section', { class: 'list', 'data-key': 'applications', 'aria-label': t('nav.applications') },
    h('div', { class: 'card', 'aria-busy': entry.loading && entry.data === null && 'true' },
      h('p', { class: 'muted' }, t('applications.about')),
      h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') }, ['', ...states].map(chip)),
      problem(entry, data), newer(entry, (n) => t('list.newer', { n: count(n) })),
      data && [pager(data, ui), h('ul', { class: 'rows' }, data.applications.map((a) => applicationRow(a, state, ui)))]))
}

function applicationRow(a, state, ui) {
  return row({
    no: a.id, to: href('applications', a.id, ui.route.query), here: ui.route.id === a.id, amount: money(a.refund, a.currency), label: pill(a.state),
    under: [clockTime(a.at, state?.now ?? a.at), t('row.of', { total: money(a.total, a.currency) }), a.reason].filter(Boolean).join(' · '), flags: [],
  })
}

export function noApplication() {
  return h('section', { class: 'detail empty', 'data-key': 'detail:none' },
    h('div', { class: 'card' }, h('h2', {}, t('applications.choose')), h('p', { class: 'muted' }, t('applications.more'))))
}

export function applicationView(id, state, ui) {
  const entry = want('applications', id)
  const a = entry.data
  const back = h('a', { class: 'back', href: href('applications', null, without(ui.route.query)) }, t('applications.back'))
  if (a === null) return missing(entry, back, ui)
  const order = a.out_trade_no || a.transaction_id
  const wish = `${money(a.refund, a.currency)} · ${order}`
  return h('section', { class: 'detail', 'data-key': `detail:${id}` }, back, entry.error && problem(entry),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' },
        h('h2', { id: 'title', tabindex: -1 }, t('applications.title')), pill(a.state), h('b', { class: 'sum' }, money(a.refund, a.currency))),
      h('p', { class: 'means' }, t(`applied.means.${a.state}`)),
      a.merchant && h('p', { class: 'reason' }, t('applications.merchant')),
      numbers([
        ['application_id', a.id], ['out_trade_no', a.out_trade_no], ['transaction_id', a.transaction_id], ['amount.total', money(a.total, a.currency)],
        [t('refund.reason'), a.reason], [t('applications.by'), a.applicant],
        ['out_refund_no', a.out_refund_no && (a.status ? h('a', { class: 'number', href: href('refunds', a.out_refund_no) }, a.out_refund_no) : a.out_refund_no)],
      ]),
      a.can.length > 0 && h('div', { class: 'buttons' }, a.can.map((what) => askButton(what, { id, wish })))),
    h('div', { class: 'card', 'data-key': 'timeline' }, h('h3', {}, t('timeline')), timeline(a.timeline.map(lineOf), state?.now ?? '')))
}

function lineOf(l) {
  const what = known('applied.', l.what)
  return {
    at: l.at, side: 'ours', kind: l.what.replaceAll(' ', '_'), text: l.detail ? `${what}: ${l.detail}` : what,
    more: l.by && h('p', { class: 'muted small' }, t('line.by', { by: l.by })),
  }
}
