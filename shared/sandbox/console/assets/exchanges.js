// Calls and notifications as they went over the line, also those that were refused.

import { h } from './dom.js'
import { t, known } from './words.js'
import { href } from './route.js'
import { clockTime } from './format.js'
import { want } from './store.js'
import { number, problem } from './parts.js'
import { pageOf, pager, newer } from './lists.js'

const kinds = ['call', 'notification', 'function']

// good tells that an exchange went as it should: what must be refused was refused.
const good = (x) => x.rightly || !x.refused && x.status >= 200 && x.status < 300
const statusPill = (x) => h('span', { class: good(x) ? 'code-pill good' : 'code-pill bad' }, x.status || t('noStatus'))

// title says what it was: behind a name is a call that CloudBase's gateway carried.
const title = (x) => (x.name ? t('exchange.gateway') : known('exchange.', x.kind))

// exchangeRows are one line each; with, where it does not go without saying, the refund
// that it was about.
export function exchangeRows(exchanges, state, alone = true) {
  return h('ul', { class: 'exchanges' }, exchanges.map((x) => h('li', { 'data-key': x.id },
    h('a', { href: href('exchanges', x.id) },
      h('span', { class: 'line' },
        h('time', { datetime: x.at }, clockTime(x.at, state.now)),
        h('span', { class: 'about' }, title(x)),
        x.fault && h('span', { class: 'flag' }, known('fault.', x.fault)),
        h('span', { class: 'ends' }, x.code && h('code', {}, x.code), statusPill(x), h('span', { class: 'muted' }, t('latency', { ms: x.latency_ms })))),
      h('span', { class: 'number' }, x.name ? h('b', {}, x.name) : `${x.method} ${x.path}`)),
    alone && x.out_refund_no && h('a', { class: 'number small', href: href('refunds', x.out_refund_no) }, x.out_refund_no))))
}

export function exchangesView(state, ui) {
  const query = ui.route.query
  const { entry, data } = pageOf('exchanges', ui)
  const chip = (label, change, on) => h('a', { class: 'chip', href: href('exchanges', null, { ...query, offset: undefined, ...change }), 'aria-current': on && 'true' }, label)
  return h('section', { class: 'wide', 'data-key': 'exchanges', 'aria-label': t('nav.exchanges') },
    h('div', { class: 'card' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.exchanges')),
      h('p', { class: 'muted' }, t('exchanges.hint')),
      h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') },
        chip(t('filter.all'), { kind: undefined }, query.kind === undefined), kinds.map((kind) => chip(t(`exchange.${kind}`), { kind }, query.kind === kind)),
        h('span', { class: 'apart' }), chip(t('exchanges.refused'), { refused: query.refused ? undefined : 'true' }, query.refused)),
      query.refund && h('p', { class: 'only' }, t('exchanges.refund', { no: query.refund }), ' ', h('a', { href: href('exchanges', null, { ...query, offset: undefined, refund: undefined }) }, t('remove'))),
      problem(entry, data), newer(entry),
      data && [pager('exchanges', data, ui), exchangeRows(data.exchanges, state)]))
}

// pretty writes JSON on several lines; what is none stays as it is.
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

const code = (text, label) => h('pre', { class: 'code', tabindex: 0, 'aria-label': label }, text)

// side is a request or its response: headers, the body as it was, and beside it what was
// sealed in it.
function side(name, message, lead) {
  if (!message) return null
  const label = t(`exchange.${name}`)
  const body = [h('div', { class: 'body' }, h('h4', {}, message.opened ? t('exchange.sealed') : t('exchange.body')),
    message.body ? code(message.body, `${label}: ${t('exchange.body')}`) : h('p', { class: 'muted' }, t('exchange.empty')))]
  if (message.opened) body.push(h('div', { class: 'body' }, h('h4', {}, t('exchange.opened')), code(pretty(message.opened), `${label}: ${t('exchange.opened')}`)))
  return h('div', { class: 'card message', 'data-key': name },
    h('h3', {}, label), lead,
    h('details', { class: 'headers', open: true }, h('summary', {}, t('exchange.headers')),
      h('dl', { class: 'numbers' }, (message.headers ?? []).map(([header, value]) => [h('dt', {}, header), h('dd', {}, number(value))]))),
    h('div', { class: 'bodies' }, body),
    message.cut && h('p', { class: 'muted' }, t('exchange.cut')))
}

export function exchangeView(id, state, ui) {
  const entry = want('exchanges', id)
  const x = entry.data
  const back = h('a', { class: 'back always', href: href('exchanges', null, ui.route.query) }, t('back.exchanges'))
  if (x === null) {
    const gone = entry.error?.status === 404
    return h('section', { class: 'wide', 'data-key': `exchange:${id}` }, back,
      h('div', { class: 'card' }, h('h2', { id: 'title', tabindex: -1 }, gone ? t('missing') : t('coming')), !gone && entry.error && problem(entry)))
  }
  return h('section', { class: 'wide', 'data-key': `exchange:${id}` }, back,
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' }, h('h2', { id: 'title', tabindex: -1 }, title(x)), statusPill(x), x.code && h('code', {}, x.code), x.fault && h('span', { class: 'flag' }, known('fault.', x.fault))),
      h('p', { class: 'number' }, `${x.method} ${x.path}`),
      h('dl', { class: 'numbers' },
        x.name && [h('dt', {}, t('exchange.name')), h('dd', {}, number(x.name))],
        h('dt', {}, t('exchange.at')), h('dd', {}, h('time', { datetime: x.at }, x.at.slice(0, 23).replace('T', ' ')), ` · ${t('latency', { ms: x.latency_ms })}`),
        x.out_refund_no && [h('dt', {}, t('refund.title')), h('dd', {}, h('a', { class: 'number', href: href('refunds', x.out_refund_no) }, x.out_refund_no))],
        x.caller?.openid && [h('dt', {}, 'openid'), h('dd', {}, number(x.caller.openid))],
        x.caller?.source && [h('dt', {}, t('exchange.source')), h('dd', {}, number(x.caller.source))])),
    x.checks?.length > 0 && h('div', { class: 'card', 'data-key': 'checks' },
      h('h3', {}, t('exchange.checks')),
      h('ul', { class: 'checks' }, x.checks.map((c) => h('li', { class: c.ok ? 'ok' : 'not' },
        h('span', { class: c.ok ? 'code-pill good' : 'code-pill bad' }, c.ok ? t('check.ok') : t('check.not')),
        h('b', {}, known('check.', c.what)), c.detail && h('span', { class: 'muted' }, c.detail))))),
    side('request', x.request),
    side('response', x.response, !x.response?.status && h('p', { class: 'muted' }, t('noStatus'))))
}
