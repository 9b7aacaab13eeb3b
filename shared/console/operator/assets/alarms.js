// What a person should look at.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href } from './route.js'
import { money, clockTime } from './format.js'
import { problem, pill } from './parts.js'
import { pageOf, newer } from './list.js'
import { pager } from './lists.js'
import { ago } from './times.js'
import { askButton } from './asking.js'

export function alarmsView(state, ui) {
  const { entry, data } = pageOf('alarms', ui, (_, data) => t('list.some', { n: count(data.alarms.length) }))
  return h('section', { class: 'wide', 'data-key': 'alarms', 'aria-label': t('nav.alarms') },
    h('div', { class: 'card' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.alarms')),
      h('p', { class: 'muted' }, t('alarms.about')),
      problem(entry, data), newer(entry, (n) => t('list.newer', { n: count(n) })),
      data && (data.alarms.length === 0 && !ui.route.query.cursor
        ? h('p', { class: 'none' }, t('alarms.none'))
        : [(data.next || ui.route.query.cursor) && pager('alarms', 'alarms', data, ui, undefined, null, entry.data === null), alarmList(data.alarms, state, true)])))
}

// subject is what an alarm is about: a refund or an application has its own page.
function subject(a) {
  const [kind, id] = a.about.split(/\/(.*)/s)
  const to = a.out_refund_no ? href('refunds', a.out_refund_no) : kind === 'application' && id ? href('applications', id) : null
  return to ? h('a', { class: 'number', href: to }, a.out_refund_no || id) : h('span', { class: 'number' }, a.about)
}

// alarmList are alarms, each with its refund where that does not go without saying.
export function alarmList(alarms, state, alone) {
  return h('ul', { class: 'alarms' }, alarms.map((a) => h('li', { 'data-key': a.id },
    h('div', { class: 'alarm' },
      h('p', { class: 'line' }, h('b', {}, known('alarm.', a.code)), h('code', { class: 'muted' }, a.code),
        a.acknowledged_at && h('span', { class: 'flag good' }, t('alarm.seen', { at: clockTime(a.acknowledged_at, state?.now ?? '') }))),
      alone && h('p', { class: 'line' },
        subject(a),
        a.state && pill(a.state), a.amount > 0 && h('span', {}, money(a.amount, a.currency))),
      h('p', { class: 'why', lang: 'en' }, a.why),
      h('p', { class: 'muted small' }, state && t('alarm.since', { ago: ago(a.since, state) }), a.count > 1 && ` · ${t('alarm.count', { n: count(a.count) })}`, a.note && ` · ${a.note}`)),
    state?.act && !a.acknowledged_at && askButton('acknowledge', { about: a.about, code: a.code }))))
}
