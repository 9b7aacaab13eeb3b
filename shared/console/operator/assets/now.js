// The first screen: is anything wrong?

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href } from './route.js'
import { money, clockTime } from './format.js'
import { problem, pill } from './parts.js'
import { ago } from './times.js'
import { headline } from './books.js'

// The states in the order of a refund's life.
const order = ['claimed', 'processing', 'abnormal', 'success', 'closed', 'rejected']

// slow is how many milliseconds the ledger may take to answer before that is said.
const slow = 500

// wrong are the sentences that say what is, the worst first; none if nothing is.
function wrong(state) {
  const { alarms, timer, books } = state
  return [
    books.apart.length > 0 && t('wrong.books', { days: books.apart.slice(0, 3).join(', ') + (books.apart.length > 3 ? ' …' : '') }),
    timer.ahead && t('wrong.clock', { time: timer.seen.slice(0, 19).replace('T', ' ') }),
    timer.stands && !timer.ahead && (timer.seen === '' ? t('wrong.never') : t('wrong.timer', { ago: ago(timer.seen, state) })),
    timer.behind && !timer.stands && t('wrong.behind'),
    alarms.n > 0 && t('wrong.alarms', { n: atLeast(alarms) }),
    state.applications > 0 && t('wrong.applications', { n: count(state.applications) }),
    state.ledger_ms > slow && t('wrong.ledger', { ms: count(state.ledger_ms) }),
  ].filter(Boolean)
}

const atLeast = ({ n, more }) => `${count(n)}${more ? '+' : ''}`

// card is one figure, which leads to what it counts: bad, warn, or good in itself.
function card(name, value, kind, to, under) {
  const inside = [
    h('span', { class: 'what' }, t(`now.${name}`)),
    h('b', { class: `value ${kind}` }, value),
    h('span', { class: 'muted' }, under || t(`now.${name}.none`)),
  ]
  return h('li', { 'data-key': name, class: kind }, to ? h('a', { href: to }, inside) : h('div', {}, inside))
}

export function nowView(state, entry) {
  if (state === null) return h('section', { class: 'wide', 'data-key': 'now' }, h('div', { class: 'card' }, problem(entry, null)))
  const { alarms, doubt, funds, timer } = state
  const sentences = wrong(state)
  const kind = sentences.length === 0 ? 'good' : 'bad'
  const list = (query) => href('refunds', null, query)
  return h('section', { class: 'wide now', 'data-key': 'now', 'aria-label': t('nav.now') },
    entry.error && problem(entry),
    h('div', { class: `card answer ${kind}`, 'data-key': 'answer', role: 'status' },
      h('h2', { id: 'title', tabindex: -1 }, t('now.question')),
      h('p', { class: 'verdict' }, sentences.length === 0 ? t('now.nothing') : sentences[0]),
      sentences.slice(1).map((sentence) => h('p', { class: 'also' }, sentence)),
      headline(state.books),
      h('p', { class: 'muted small' }, t('now.at', { time: state.now.slice(0, 19).replace('T', ' '), channel: state.channel }),
        state.incomplete && ` ${t('incomplete')}`)),
    h('ul', { class: 'figures', 'data-key': 'figures' }, [
      card('alarms', atLeast(alarms), alarms.n > 0 ? 'bad' : 'good', href('alarms'), alarms.n > 0 && t('now.alarms.some')),
      card('doubt', atLeast(doubt), doubt.n > 0 ? 'warn' : 'good', list({ doubt: 'true' }), doubt.n > 0 && t('now.doubt.some', { ago: ago(doubt.oldest, state) })),
      card('applications', count(state.applications), state.applications > 0 ? 'warn' : 'good', href('applications', null, { state: 'pending' }), state.applications > 0 && t('now.applications.some')),
      card('undelivered', count(state.undelivered), state.undelivered > 0 ? 'warn' : 'good', list({ undelivered: 'true' }), state.undelivered > 0 && t('now.undelivered.some')),
      card('funds', atLeast(funds), funds.n > 0 ? 'warn' : 'good', list({ state: 'claimed' }), funds.n > 0 && funds.amounts.map((a) => money(a.amount, a.currency)).join(' · ')),
      card('slow', count(state.slow), state.slow > 0 ? 'warn' : 'good', list({ state: 'processing', until: day(state, -4) }), state.slow > 0 && t('now.slow.some')),
      card('abnormal', count(state.states.abnormal), state.states.abnormal > 0 ? 'warn' : 'good', list({ state: 'abnormal' }), state.states.abnormal > 0 && t('now.abnormal.some')),
      card('timer', timer.seen === '' ? '–' : timer.ahead ? '?' : ago(timer.seen, state), timer.stands ? 'bad' : timer.behind ? 'warn' : 'good', null, timer.ahead ? t('now.timer.ahead') : timer.behind ? t('now.timer.behind') : t('now.timer.about')),
      card('ledger', t('now.ms', { ms: count(state.ledger_ms) }), state.ledger_ms > slow ? 'warn' : 'good', null, t('now.ledger.about')),
    ]),
    h('div', { class: 'pair', 'data-key': 'pair' },
      alarms.n > 0 && h('div', { class: 'card', 'data-key': 'newest' },
        h('h3', {}, t('now.newest')),
        h('ul', { class: 'alarms' }, state.newest.map((a) => h('li', { 'data-key': a.id },
          h('a', { href: a.out_refund_no ? href('refunds', a.out_refund_no) : href('alarms') },
            h('b', {}, known('alarm.', a.code)),
            h('span', { class: 'number' }, a.about),
            h('span', { class: 'muted small' }, [clockTime(a.since, state.now), a.amount > 0 && money(a.amount, a.currency)].filter(Boolean).join(' · ')))))),
        h('a', { href: href('alarms') }, t('now.all'))),
      h('div', { class: 'card', 'data-key': 'states' },
        h('h3', {}, t('now.states'), ' ', h('span', { class: 'muted' }, count(state.refunds))),
        h('ul', { class: 'states' }, order.map((name) => h('li', { 'data-key': name },
          h('a', { href: list({ state: name }) }, pill(name), h('b', {}, count(state.states[name])))))))),
    state.act && h('div', { class: 'card', 'data-key': 'reconcile' },
      h('h3', {}, t('reconcile')), h('p', { class: 'muted' }, t('reconcile.about')),
      h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'quiet', 'data-do': 'ask', 'data-what': 'reconcile' }, t('do.reconcile')))))
}

// day is the date some days from now, as China has it.
function day(state, days) {
  return new Date(Date.parse(state.now.slice(0, 10)) + days * 86400_000).toISOString().slice(0, 10)
}
