// What several views are made of.

import { h } from './dom.js'
import { t, known } from './words.js'
import { money, difference, clockTime } from './format.js'

// pill is a state as a label.
export function pill(state) {
  return h('span', { class: `pill ${state}` }, known('state.', state))
}

// button is one that does something; the data is for what it does.
export function button(label, action, data = {}, kind = 'quiet') {
  const attributes = { type: 'button', class: kind, 'data-do': action }
  for (const [name, value] of Object.entries(data)) attributes[`data-${name}`] = value
  return h('button', attributes, label)
}

// problem says why something that was asked for is not there, or not yet.
export function problem(entry, data = entry.data) {
  if (entry.error) return h('p', { class: 'reason', role: 'alert' }, entry.error.status === 0 ? t('problem.unreachable') : entry.error.text)
  return data === null && h('p', { class: 'muted' }, t('coming'))
}

// number is one that may be long: it breaks anywhere rather than stick out.
export function number(text) {
  return h('span', { class: 'number' }, text)
}

// numbers are those of one thing, each with its name; what is missing is left out.
export function numbers(pairs) {
  return h('dl', { class: 'numbers' }, pairs.filter(([, value]) => value).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value.nodeType ? value : number(value))]))
}

// missing stands where there is nothing; what has just been made may still come.
export function missing(entry, back, ui) {
  const fresh = entry.loading || performance.now() - ui.since < 2000
  const why = entry.error && entry.error.status !== 404
  return h('section', { class: 'detail', 'data-key': `detail:${entry.id}` }, back,
    h('div', { class: 'card' }, h('h2', { id: 'title', tabindex: -1 }, fresh ? t('coming') : t('missing')),
      !fresh && (why ? problem(entry) : h('p', {}, number(entry.id)))))
}

// orderBar draws how much of an order went back. The drawing's own unit is the
// order's minor unit, so nothing is rounded.
export function orderBar(order) {
  const { total, refunded, open, remaining, currency } = order
  const say = (n) => money(n, currency)
  const parts = [['refunded', refunded], ['open', open], ['remaining', remaining]]
  const label = t('bar', { refunded: say(refunded), open: say(open), remaining: say(remaining), total: say(total) })
  return h('figure', { class: 'bar' },
    h('svg', { viewBox: `0 0 ${total} 1`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
      h('rect', { class: 'remaining', x: 0, y: 0, width: total, height: 1 }),
      h('rect', { class: 'open', x: 0, y: 0, width: refunded + open, height: 1 }),
      h('rect', { class: 'refunded', x: 0, y: 0, width: refunded, height: 1 })),
    h('figcaption', {}, parts.map(([name, n]) => h('span', { class: name }, `${t(`bar.${name}`)} `, h('b', {}, say(n))))))
}

// records holds the merchant's ledger against WeChat Pay's records: of each what it has,
// {state, held, arrived} or nothing, and how far they are apart. apart is said if they are.
export function records({ ours, wechat, currency, held, arrived }, apart) {
  const cell = (record, name) => (record ? money(record[name], currency) : '–')
  const gap = (n) => h('td', { class: n === 0 ? 'equal' : 'gap' }, difference(n, currency))
  const line = (name, n) => h('tr', {}, h('th', { scope: 'row' }, t(`records.${name}`)), h('td', {}, cell(ours, name)), h('td', {}, cell(wechat, name)), gap(n))
  return [
    h('table', { class: 'records' },
      h('thead', {}, h('tr', {}, ['', 'records.ours', 'records.wechat', 'records.difference'].map((n) => h('th', { scope: 'col' }, n && t(n))))),
      h('tbody', {},
        h('tr', {}, h('th', { scope: 'row' }, t('records.state')), h('td', {}, ours ? known('state.', ours.state) : t('records.unknown')), h('td', {}, wechat ? wechat.state : t('records.unknown')), h('td')),
        line('held', held), line('arrived', arrived))),
    h('p', { class: 'muted' }, held === 0 && arrived === 0 ? t('records.equal') : apart),
  ]
}

// timeline is what has happened, one line after the other: when (at), on which side, of
// what kind, in which words, and what stands below them (more).
export function timeline(lines, now) {
  return h('ol', { class: 'timeline' }, lines.map((line) => h('li', { class: `${line.side} ${line.kind}` },
    h('time', { datetime: line.at }, clockTime(line.at, now)),
    h('div', {}, h('p', {}, h('span', { class: 'who' }, t(`who.${line.side}`)), ' ', line.text), line.more))))
}

// told says a step of the merchant's own history, or WeChat Pay's; what there are no words
// for is shown as it is.
export function told(side, what, detail, amount) {
  return known(`${side}.`, what) === what ? `${what} ${detail}` : t(`${side}.${what}`, { detail, amount })
}
