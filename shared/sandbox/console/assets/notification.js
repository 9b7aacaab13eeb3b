// Notifications: their schedule, and what was answered to them.

import { h } from './dom.js'
import { t, known } from './words.js'
import { href } from './route.js'
import { duration, short, clockTime } from './format.js'
import { button } from './parts.js'

// rawLink leads to a call or a notification as it went over the line.
export function rawLink(id) {
  return id && h('a', { class: 'raw', href: href('exchanges', id) }, t('raw'))
}

// countdown is a time that is still to come; the page's clock keeps it up to date.
export function countdown(at, clock) {
  return h('span', { class: 'countdown', 'data-until': at }, until(at, clock))
}

// until says how long that is, in virtual time and in front of the screen.
export function until(at, clock) {
  const virtual = (Date.parse(at) - clock.now()) / 1000
  if (virtual <= 0) return t('now')
  const real = virtual / clock.speed
  return clock.speed === 1 ? t('in', { virtual: duration(virtual) }) : t('in.real', { virtual: duration(virtual), real: duration(Math.ceil(real)) })
}

// cells are the first send of a notification and its fifteen repeats, with what became
// of each.
function cells(delivery, schedule) {
  const at = delivery.repeats
  return [0, ...schedule].map((wait, i) => {
    let fate = 'later'
    if (i < at && delivery.state !== 'lost') fate = 'refused'
    if (i === at) fate = { delivered: 'done', pending: 'next', failed: 'refused', lost: 'later' }[delivery.state]
    return { wait, fate, i }
  })
}

function strip(delivery, schedule) {
  const all = cells(delivery, schedule)
  const label = t('strip', { n: delivery.repeats, state: known('delivery.', delivery.state) })
  return h('ol', { class: 'strip', 'aria-label': label }, all.map(({ wait, fate, i }) =>
    h('li', { class: fate, title: i === 0 ? t('strip.first') : t('strip.step', { n: i, wait: duration(wait) }) },
      h('span', { 'aria-hidden': 'true' }, i === 0 ? t('strip.start') : short(wait)))))
}

// reason is the one sentence on why a notification was not acknowledged.
export function reason(attempt) {
  return attempt.cause ? known('cause.', attempt.cause) : attempt.error
}

// gist is what a reply says in the end: to APIv3, to a relay of the platform, or
// to v2. An answer that is none of these is shown as it is.
function gist(reply) {
  const [, code, message] = reply.match(/<return_code><!\[CDATA\[(.*?)\]\]>.*?<return_msg><!\[CDATA\[(.*?)\]\]>/s) ?? []
  if (code) return `${code} · ${message}`
  try {
    const answer = JSON.parse(reply)
    const said = answer.result ?? answer
    return said.code && said.message ? `${said.code} · ${said.message}` : reply
  } catch {
    return reply
  }
}

// answerOf is our reply as it was: the status, how long it took, and the message.
export function answerOf(attempt) {
  const text = gist(attempt.reply ?? '')
  return [
    h('span', { class: attempt.error && !attempt.rightly ? 'code-pill bad' : 'code-pill good' }, attempt.status || t('noStatus')),
    h('span', { class: 'muted' }, t('latency', { ms: attempt.latency_ms })),
    text !== '' && h('q', {}, text),
  ]
}

// notificationCard is one notification on its schedule. Where it stands by itself, it
// has a link to its refund and all attempts; a refund's timeline has those already.
export function notificationCard(delivery, state, clock, alone = false) {
  const waiting = delivery.state === 'pending' && delivery.next_at
  return h('article', { class: 'notification', 'data-key': delivery.id, 'aria-label': `${delivery.event_type} ${delivery.out_refund_no}` },
    h('header', {},
      h('h3', {}, delivery.event_type),
      alone && h('a', { class: 'number', href: href('refunds', delivery.out_refund_no) }, delivery.out_refund_no),
      h('span', { class: `pill ${delivery.state}` }, known('delivery.', delivery.state))),
    strip(delivery, state.schedule),
    h('div', { class: 'foot' }, h('p', { class: 'next' },
      waiting && [delivery.kept ? t('notification.heldBack') : t('notification.repeat', { n: delivery.repeats, of: state.schedule.length }), ' ', countdown(delivery.next_at, clock)],
      delivery.state === 'pending' && !delivery.next_at && t('notification.sending'),
      delivery.state === 'delivered' && (delivery.next_at ? [t('notification.duplicate'), ' ', countdown(delivery.next_at, clock)] : t('notification.done')),
      delivery.state === 'lost' && t('notification.lost'),
      delivery.state === 'failed' && t('notification.failed')),
    h('div', { class: 'buttons' },
      waiting && button(t('skipTo'), 'until', { at: delivery.next_at }),
      button(t('resend'), 'resend', { id: delivery.id }))),
    alone && delivery.attempts.length > 0 && h('ol', { class: 'attempts' }, delivery.attempts.map((a) => h('li', {},
      h('time', { datetime: a.at }, clockTime(a.at, state.now)), answerOf(a), rawLink(a.exchange),
      a.error && h('p', { class: a.rightly ? 'reason rightly' : 'reason' }, reason(a))))))
}
