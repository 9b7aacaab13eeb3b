// A refund in detail.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href, without } from './route.js'
import { money, clockTime } from './format.js'
import { want } from './store.js'
import { pill, numbers, missing, orderBar, records, timeline, told, problem } from './parts.js'
import { refundRows } from './lists.js'
import { alarmList } from './alarms.js'
import { askButton } from './asking.js'

export function emptyDetail() {
  return h('section', { class: 'detail empty', 'data-key': 'detail:none' },
    h('div', { class: 'card' }, h('h2', {}, t('empty.choose')), h('p', { class: 'muted' }, t('empty.more'))))
}

// means says what the refund's state means for the money.
function means(r) {
  if (r.number_taken) return t('means.taken')
  if (r.silent) return `${known('means.', r.state)} ${t('means.silent')}`
  if (r.waits_until) return t('means.waits', { until: r.waits_until.slice(0, 16).replace('T', ' ') })
  return r.in_doubt ? t('means.doubt') : known('means.', r.state)
}

export function refundDetail(no, state, ui) {
  const entry = want('refunds', no)
  const r = entry.data
  const back = h('a', { class: 'back', href: href('refunds', null, without(ui.route.query)) }, t('back'))
  if (r === null) return missing(entry, back, ui)
  const name = r.out_trade_no || r.transaction_id
  const orderLink = name && h('a', { class: 'number', href: href('orders', name) }, name)
  return h('section', { class: 'detail', 'data-key': `detail:${no}` }, back, entry.error && problem(entry),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' },
        h('h2', { id: 'title', tabindex: -1 }, t('refund.title')), pill(r.state), h('b', { class: 'sum' }, money(r.refund, r.currency))),
      h('p', { class: 'means' }, means(r)),
      r.refusal && h('p', { class: 'reason' }, r.refusal),
      numbers([
        ['out_refund_no', r.out_refund_no], ['refund_id', r.refund_id],
        [r.out_trade_no ? 'out_trade_no' : 'transaction_id', orderLink], ['transaction_id', r.out_trade_no && r.transaction_id],
        [t('refund.reason'), r.reason],
        [t('applications.title'), r.application_id && h('a', { class: 'number', href: href('applications', r.application_id) }, r.application_id)],
        [t('refund.account'), r.user_received_account], [t('refund.arrived'), r.success_time.slice(0, 19).replace('T', ' ')],
      ]),
      r.order && r.order.total > 0 && orderBar(r.order),
      r.can.length > 0 && h('div', { class: 'buttons' }, r.can.map((what) => askButton(what, { no }, r)))),
    r.alarms.length > 0 && h('div', { class: 'card active', 'data-key': 'alarms' }, h('h3', {}, t('refund.alarms')), alarmList(r.alarms, state, false)),
    r.pending.length > 0 && h('div', { class: 'card', 'data-key': 'pending' }, h('h3', {}, t('pending')), h('ul', { class: 'pending' }, r.pending.map((p) => pendingLine(p, state)))),
    sidesCard(no, r, ui),
    h('div', { class: 'card', 'data-key': 'timeline' }, h('h3', {}, t('timeline')), timeline(r.timeline.map((l) => lineOf(l, r)), state?.now ?? '')),
    r.siblings.length > 0 && h('div', { class: 'card', 'data-key': 'siblings' },
      h('h3', {}, t('order.others'), ' ', h('span', { class: 'muted' }, count(r.siblings.length))), refundRows(r.siblings, state, ui)))
}

function lineOf(l, r) {
  const what = t(`ours.${l.what}`) === `ours.${l.what}` ? l.what : told('ours', l.what, known('detail.', l.detail), money(r.refund, r.currency))
  return {
    at: l.at, side: 'ours', kind: l.what.replaceAll(' ', '_'), text: what === l.what && l.detail ? `${what}: ${l.detail}` : what,
    more: l.by && l.by !== l.detail && h('p', { class: 'muted small' }, t('line.by', { by: l.by })),
  }
}

function pendingLine(p, state) {
  const next = p.given_up ? t('pending.given_up') : p.next === '' ? t('pending.now') : t('pending.next', { at: clockTime(p.next, state?.now ?? p.next) })
  return h('li', { 'data-key': p.to },
    h('b', {}, p.to), h('span', { class: p.given_up ? 'flag bad' : 'flag' }, next),
    h('span', { class: 'muted small' }, t('pending.since', { at: clockTime(p.since, state?.now ?? p.since), n: count(p.attempts) })),
    p.why && h('p', { class: 'reason' }, p.why))
}

// sidesCard lays WeChat Pay's word beside the ledger's, once somebody asks for it.
function sidesCard(no, r, ui) {
  const asked = ui.sides === no
  const entry = asked ? want('upstream', no) : null
  const both = entry?.data
  return h('div', { class: 'card', 'data-key': 'sides' }, h('h3', {}, t('records')),
    !asked && [h('p', { class: 'muted' }, t('sides.about')), h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'quiet', 'data-do': 'sides', 'data-no': no }, t('sides.ask')))],
    asked && problem(entry),
    both && records({ ours: both.ours, wechat: both.wechat, currency: r.currency, held: both.difference_held, arrived: both.difference_arrived }, t(both.wechat ? 'sides.apart' : 'sides.absent')))
}
