// What stands above and beside every view: the headline figures, the day, the clock.

import { h } from './dom.js'
import { t, count, language } from './words.js'
import { href } from './route.js'
import { money } from './format.js'
import { want } from './store.js'
import { button } from './parts.js'
import { countdown } from './notification.js'

// summary are the figures that are looked at first. Each is the sandbox's count of
// everything, and leads to what it counts.
export function summary(state, ui, clock) {
  const { totals } = state
  const apart = totals.money.filter((m) => m.difference !== 0)
  const gap = (apart.length > 0 ? apart : [{ currency: 'CNY', difference: 0 }]).map((m) => h('span', {}, money(m.difference, m.currency)))
  const figures = [
    ['refunds', count(totals.refunds), {}, ''],
    ['open', count(totals.open), { state: 'open' }, ''],
    ['doubt', count(totals.in_doubt), { doubt: 'true' }, totals.in_doubt > 0 ? 'gap' : ''],
    ['undelivered', count(totals.undelivered), { undelivered: 'true' }, totals.undelivered > 0 ? 'gap' : ''],
    totals.owed > 0 && ['owed', count(totals.owed), { owed: 'true' }, 'gap'],
    ['gap', gap, { difference: 'true' }, `${apart.length > 0 ? 'gap' : 'equal'}${apart.length > 1 ? ' several' : ''}`],
  ].filter(Boolean)
  return [
    bill(state),
    state.ours_error && h('p', { class: 'card reason', role: 'alert' }, state.ours_error),
    h('div', { class: 'glance', 'data-key': 'glance' }, h('ul', { class: 'figures' }, figures.map(([name, value, query, kind]) => h('li', { 'data-key': name },
      h('a', { href: href('refunds', null, query) }, h('span', { class: 'what' }, t(`summary.${name}`)), ' ', h('span', { class: `figure ${kind}` }, value))))),
    dayChart(ui, clock)),
  ]
}

const agreed = ['agrees', 'unread']

// says is one day's bill in a sentence.
function says(of) {
  const date = new Intl.DateTimeFormat(language() === 'zh' ? 'zh-CN' : 'en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(`${of.date}T00:00:00Z`))
  const said = { date, n: count(of.refunds), amount: money(of.fen, of.currency ?? 'CNY'), ledger: money(of.ledger, of.currency ?? 'CNY') }
  return of.state === 'agrees' && of.refunds === 0 ? t('bill.none', said) : t(`bill.${of.state}`, said)
}

// bill is the headline: whether WeChat Pay's bill of the day that ended last and the ledger
// say the same, and which days before that do not. Nothing is said before the first day has
// ended.
function bill({ bill: of, bills }) {
  if (!of) return null
  const file = (kind) => h('a', { href: `/_sandbox/view/bill.csv?date=${of.date}&kind=${kind}`, download: '' }, t(`bill.file.${kind}`))
  const before = bills.slice(1).filter((other) => !agreed.includes(other.state))
  return h('section', { class: `bill ${of.state}`, 'data-key': 'bill', 'aria-labelledby': 'bill-title' },
    h('h2', { id: 'bill-title' }, says(of)),
    h('p', { class: 'why' }, [
      of.theirs_only > 0 && t('bill.theirs', { n: count(of.theirs_only) }), of.ours_only > 0 && t('bill.ours', { n: count(of.ours_only) }),
      of.differs > 0 && t('bill.apart', { n: count(of.differs) }), of.why,
    ].filter(Boolean).join(' ')),
    before.length > 0 && h('ul', {}, before.map((other) => h('li', { 'data-key': other.date }, says(other)))),
    h('p', { class: 'files' }, t('bill.file'), ' ', file('trade'), ' · ', file('BASIC')))
}

const series = ['accepted', 'settled', 'in_doubt']
const tall = 40 // of the drawing's own units
const wide = 10 // an hour

// dayChart draws the refunds of a day by the hour. What is drawn is also said: in a
// sentence, and in a table for those who do not see it.
function dayChart(ui, clock) {
  const today = clock.text().slice(0, 10)
  const date = ui.day ?? today
  const { data } = want('day', null, { date })
  const hours = data?.hours ?? []
  const sum = (name) => hours.reduce((n, hour) => n + hour[name], 0)
  const most = Math.max(1, ...hours.flatMap((hour) => series.map((name) => hour[name])))
  const bar = (hour, name, i) => {
    const height = hour[name] / most * tall
    return hour[name] > 0 && h('rect', { class: name, x: hour.hour * wide + 1 + i * 2.75, y: tall - Math.max(height, 1), width: 2.5, height: Math.max(height, 1) })
  }
  const said = { date, accepted: count(sum('accepted')), settled: count(sum('settled')), doubt: count(sum('in_doubt')) }
  const busy = hours.filter((hour) => series.some((name) => hour[name] > 0))
  const step = (name, sign, days) => {
    const to = new Date(Date.parse(date) + days * 86400_000).toISOString().slice(0, 10)
    return h('button', { type: 'button', class: 'step', 'data-do': 'day', 'data-date': to < today ? to : '', 'aria-label': t(name), 'aria-disabled': to > today && 'true' }, sign)
  }
  return h('figure', { class: 'day', 'data-key': 'day' },
    h('div', { class: 'which' }, step('day.before', '‹', -1), h('h2', {}, date === today ? t('day') : date), step('day.after', '›', 1)),
    h('div', { class: 'chart' }, h('svg', { viewBox: `0 0 ${24 * wide} ${tall + 1}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': t('day.said', said) },
      hours.map((hour) => h('g', {}, h('title', {}, t('day.detail', { hour: hour.hour, accepted: hour.accepted, settled: hour.settled, doubt: hour.in_doubt })),
        h('rect', { class: 'hour', x: hour.hour * wide, y: 0, width: wide, height: tall }), series.map((name, i) => bar(hour, name, i)))),
      h('rect', { class: 'base', x: 0, y: tall, width: 24 * wide, height: 1 })),
    h('p', { class: 'axis', 'aria-hidden': 'true' }, ['0', '6', '12', '18', '24'].map((hour) => h('span', {}, hour)))),
    h('figcaption', {}, series.map((name) => h('span', { class: name }, `${t(`day.${name}`)} `, h('b', {}, count(sum(name)))))),
    busy.length > 0 && h('div', { class: 'hidden' }, h('table', {}, h('caption', {}, t('day.said', said)),
      h('thead', {}, h('tr', {}, ['hour', ...series].map((name) => h('th', { scope: 'col' }, t(`day.${name}`))))),
      h('tbody', {}, busy.map((hour) => h('tr', {}, h('th', { scope: 'row' }, `${hour.hour}:00`), series.map((name) => h('td', {}, count(hour[name])))))))))
}

// stopped says that the timer does not run: as it was started, or by a fault.
function stopped({ faults }) {
  const broken = faults.some((f) => f.timer)
  return h('p', { class: broken ? 'stopped' : 'muted small' }, t('clock.stopped'), broken && [' ', h('a', { href: href('faults') }, t('nav.faults'))])
}

const steps = ['1m', '10m', '1h', '24h4m']

export function clockCard(state, clock) {
  const next = state.next_delivery?.at
  return [
    h('h2', { id: 'clock-title' }, t('clock')),
    h('p', { class: 'time' }, h('span', { 'data-clock': '' }, clock.text()), h('span', { class: 'muted' }, t('clock.speed', { n: state.speed }))),
    h('p', { class: 'upcoming' }, next ? [t('clock.next'), ' ', countdown(next, clock)] : t('clock.nothing')),
    state.timer === false && stopped(state),
    h('div', { class: 'buttons', role: 'group', 'aria-label': t('clock.advance') },
      steps.map((step) => button(t(`clock.${step}`), 'advance', { by: step })), button(t('clock.to'), 'clockTo', { to: '10:00' })),
    h('p', { class: 'muted small' }, t('clock.about', { channel: state.channel, seed: state.seed })),
  ]
}
