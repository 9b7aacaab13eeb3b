// The page: it draws what the sandbox sends, and turns clicks into the same requests
// that anybody could make with curl.

import { h, patch } from './dom.js'
import { t, known, count } from './words.js'
import { routes } from './route.js'
import { stores, reload } from './store.js'
import { $, ui, start, draw, toast, focus } from './page.js'
import { change } from './changes.js'
import { listView } from './lists.js'
import { emptyDetail, orderDetail, refundDetail } from './refunds.js'
import { exchangesView, exchangeView } from './exchanges.js'
import { notificationsView, faultsView, keysView } from './tools.js'
import { applicationsView } from './applications.js'
import { play, roles, caller } from './callers.js'
import { summary, clockCard } from './summary.js'
import { callsCard, didBar, begin, call, choose, snippet } from './calls.js'
import { until } from './notification.js'
import { actions } from './actions.js'

routes({
  refunds: ['q', 'state', 'since', 'until', 'min', 'max', 'currency', 'doubt', 'undelivered', 'owed', 'difference', 'order', 'offset'],
  orders: ['q', 'offset'],
  applications: ['state', 'order', 'offset'],
  notifications: ['q', 'state', 'offset'],
  exchanges: ['refund', 'kind', 'refused', 'offset'],
  faults: [],
  keys: [],
})

stores({
  root: '/_sandbox/view/',
  elsewhere: { share: '/_sandbox/keys/share' },
  sizes: { refunds: 50, orders: 50, applications: 20, notifications: 20, exchanges: 50 },
  lists: { refunds: ['refunds', 'out_refund_no'], orders: ['orders', 'out_trade_no'], notifications: ['deliveries', 'id'], exchanges: ['exchanges', 'id'] },
  pauses: { day: 3000, exchanges: 1000, applications: 1000 },
})

let state = null
let received = 0
Object.assign(ui, { applies: 'once', then: true, secrets: null, day: null, role: 'server' })

// clock is the virtual clock as it runs between two reports.
const clock = {
  speed: 1,
  now: () => Date.parse(state.now) + (performance.now() - received) * state.speed,
  text: () => new Date(clock.now() + 8 * 3600_000).toISOString().slice(0, 19).replace('T', ' '),
}

const views = {
  refunds: (id) => [listView(state, ui), id === null ? emptyDetail(state) : refundDetail(id, state, ui, clock)],
  orders: (id) => [listView(state, ui), id === null ? emptyDetail(state) : orderDetail(id, state, ui)],
  applications: () => [applicationsView(state, ui)],
  notifications: () => [notificationsView(state, ui, clock)],
  exchanges: (id) => [id === null ? exchangesView(state, ui) : exchangeView(id, state, ui)],
  faults: () => [faultsView(state, ui)],
  keys: () => [keysView(state, ui, clock)],
}

// around draws what stands beside every view.
function around() {
  patch($('role'), roles().map((name) => h('option', { value: name }, t(`role.${name}`))))
  $('role').value = caller()
  patch($('summary'), summary(state, ui, clock))
  patch($('clock'), clockCard(state, clock))
  patch($('calls'), callsCard())
  patch($('did'), didBar(ui))
}

setInterval(() => {
  if (state === null) return
  for (const node of document.querySelectorAll('[data-until]')) node.textContent = until(node.dataset.until, clock)
  for (const node of document.querySelectorAll('[data-clock]')) node.textContent = clock.text()
}, 250)

// The stream: the state when it begins, then what changes. A page that nobody sees
// lets go of its connection, of which a browser has only six.

let stream = null

function listen() {
  if (stream || document.hidden) return
  stream = new EventSource('/_sandbox/events')
  stream.addEventListener('state', (event) => {
    const first = state === null
    take(JSON.parse(event.data))
    if (!first) reload() // something may have happened meanwhile
    link('live')
  })
  stream.addEventListener('change', (event) => {
    const { refunds, orders, notifications, exchanges, more, ...news } = JSON.parse(event.data)
    take({ ...state, ...news })
    change({ refunds, orders, notifications, exchanges, more, beat: Object.keys(news).length === 2 || news.writes !== undefined, totals: news.totals, keys: news.keys, share: news.share })
    announce(refunds ?? [], more)
  })
  stream.addEventListener('error', () => {
    link('waiting')
    if (stream?.readyState === EventSource.CLOSED) { // the browser has given up; we have not
      stream = null
      setTimeout(listen, 3000)
    }
  })
}

function take(news) {
  state = news
  play(state.callers)
  received = performance.now()
  clock.speed = state.speed
  draw()
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) return listen()
  stream?.close()
  stream = null
  link('waiting')
})

function link(name) {
  $('link').dataset.state = name
  $('link').textContent = t(`link.${name}`)
}

// announce tells people who do not see the page what has changed.
function announce(refunds, more) {
  if (refunds.length === 0 && !more) return
  $('live').textContent = more || refunds.length > 3
    ? t('announce.many', { n: count(state.totals.refunds) })
    : refunds.map((r) => `${r.out_refund_no}: ${known('state.', r.status)}`).join('; ')
}

const local = {
  form: ({ form }) => { choose(form) },
  become: ({ role }) => { ui.role = role },
  hideSecrets: () => { ui.secrets = null },
  day: ({ date }) => { ui.day = date || null },
  showDid: () => {
    $('calls').scrollIntoView({ block: 'start' })
    $('calls-title').focus({ preventScroll: true })
  },
  hideDid: () => {
    ui.did = false
    focus('#main')
  },
  copy: async () => {
    try {
      await navigator.clipboard.writeText(snippet())
      toast(t('copied'), true)
    } catch {
      getSelection().selectAllChildren(document.querySelector('#calls pre')) // to be copied by hand
    }
  },
}

start({
  ready: () => state !== null, views, around, local, actions, begin,
  dressed: () => link($('link').dataset.state),
  tools: { clock, call, state: () => state },
})
listen()
