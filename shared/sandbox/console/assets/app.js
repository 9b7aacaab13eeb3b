// The page: it draws the state that the sandbox sends, and turns clicks into the
// same requests that anybody could make with curl.

import { patch } from './dom.js'
import { t, known, translate, language, switchLanguage } from './words.js'
import { listView, emptyDetail, orderDetail, refundDetail } from './refunds.js'
import { notificationsView, faultsView, keysView, summary, clockCard } from './tools.js'
import { callsCard, begin, call, choose, snippet } from './calls.js'
import { statusOf, until } from './parts.js'
import { actions } from './actions.js'

const $ = (id) => document.getElementById(id)

let state = null
let received = 0
const ui = { search: '', filter: 'all', notifications: 'all', applies: 'once', then: true, secrets: null, hash: location.hash, since: 0 }

// clock is the virtual clock as it runs between two states.
const clock = {
  speed: 1,
  now: () => Date.parse(state.now) + (performance.now() - received) * state.speed,
  text: () => new Date(clock.now() + 8 * 3600_000).toISOString().slice(0, 19).replace('T', ' '),
}

// Views.

const views = [
  [/^#\/refunds\/(.+)$/, (no) => [listView(state, ui), refundDetail(state.refunds.find((r) => r.out_refund_no === no), state, ui, clock)]],
  [/^#\/orders\/(.+)$/, (no) => [listView(state, ui), orderDetail(state.orders.find((o) => o.out_trade_no === no), state, ui)]],
  [/^#\/notifications$/, () => [notificationsView(state, ui, clock)]],
  [/^#\/faults$/, () => [faultsView(state, ui)]],
  [/^#\/keys$/, () => [keysView(state, ui, clock)]],
  [/^/, () => [listView(state, ui), emptyDetail(state)]],
]

function draw() {
  if (state === null) return
  ui.hash = location.hash
  const reading = document.activeElement?.id === 'title'
  const [pattern, view] = views.find(([p]) => p.test(location.hash))
  const no = location.hash.match(pattern)[1]
  document.body.dataset.view = location.hash.split('/')[1] || 'refunds'
  document.body.toggleAttribute('data-chosen', no !== undefined)
  patch($('view'), view(no && decodeURIComponent(no)))
  if (reading && document.activeElement === document.body) $('title')?.focus({ preventScroll: true }) // it has been replaced
  patch($('summary'), summary(state))
  patch($('clock'), clockCard(state, clock))
  patch($('calls'), callsCard())
  for (const a of document.querySelectorAll('nav a')) {
    const here = a.hash === `#/${document.body.dataset.view}` || (a.hash === '#/refunds' && document.body.dataset.view === 'orders')
    a.ariaCurrent = here ? 'page' : null
  }
}

addEventListener('hashchange', () => {
  ui.since = performance.now()
  setTimeout(draw, 2100) // by then it is clear whether what was asked for comes
  draw()
  scrollTo(0, 0)
  $('title')?.focus({ preventScroll: true })
})

setInterval(() => {
  if (state === null) return
  for (const node of document.querySelectorAll('[data-until]')) node.textContent = until(node.dataset.until, clock)
  for (const node of document.querySelectorAll('[data-clock]')) node.textContent = clock.text()
}, 250)

// The stream. A page that nobody sees lets go of its connection, of which a
// browser has only six.

let stream = null

function listen() {
  if (stream || document.hidden) return
  stream = new EventSource('/_sandbox/events')
  stream.addEventListener('state', (event) => {
    const before = state
    state = JSON.parse(event.data)
    received = performance.now()
    clock.speed = state.speed
    link('live')
    draw()
    announce(before)
  })
  stream.addEventListener('error', () => {
    link('waiting')
    if (stream?.readyState === EventSource.CLOSED) { // the browser has given up; we have not
      stream = null
      setTimeout(listen, 3000)
    }
  })
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
function announce(before) {
  if (before === null) return
  const old = new Map(before.refunds.map((r) => [r.out_refund_no, statusOf(r)]))
  const changed = state.refunds.filter((r) => old.get(r.out_refund_no) !== statusOf(r))
  if (changed.length === 0) return
  $('live').textContent = changed.map((r) => `${r.out_refund_no}: ${known('state.', statusOf(r))}`).join('; ')
}

// Clicks.

let fading = 0

function toast(text, good = false) {
  const box = $('toast')
  box.textContent = text
  box.dataset.kind = good ? 'good' : 'bad'
  clearTimeout(fading)
  if (text !== '') fading = setTimeout(() => toast(''), good ? 2000 : 8000)
}

const local = {
  language: () => { switchLanguage(); dress() },
  filter: ({ name }) => { ui.filter = name },
  notificationFilter: ({ name }) => { ui.notifications = name },
  form: ({ form }) => { choose(form) },
  skip: () => $('main').focus(),
  hideSecrets: () => { ui.secrets = null },
  copy: async () => {
    try {
      await navigator.clipboard.writeText(snippet())
      toast(t('copied'), true)
    } catch {
      getSelection().selectAllChildren(document.querySelector('#calls pre')) // to be copied by hand
    }
  },
}

// run does what a button or a form asks for, and shows what came of it.
async function run(name, data, form) {
  toast('')
  if (local[name]) {
    await local[name](data)
    return draw()
  }
  begin()
  const drawing = setInterval(draw, 500) // what is under way is shown as it goes
  setTimeout(draw, 50)
  try {
    const problem = await actions[name]({ data, form, ui, clock, state: () => state, call, go: (hash) => { location.hash = hash } })
    if (problem) toast(problem)
  } finally {
    clearInterval(drawing)
    draw()
  }
}

document.addEventListener('click', (event) => {
  const node = event.target.closest('[data-do]')
  if (!node) return
  event.preventDefault()
  run(node.dataset.do, node.dataset, node.closest('form'))
})

document.addEventListener('submit', (event) => {
  event.preventDefault()
  run(event.target.dataset.submit, event.target.dataset, event.target)
})

document.addEventListener('input', (event) => {
  const { input } = event.target.dataset
  if (!input) return
  ui[input] = event.target.type === 'checkbox' ? event.target.checked : event.target.value
  draw()
})

document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.closest('input, select, textarea')) return
  const field = $('search')
  if (!field) return
  event.preventDefault()
  field.focus()
})

function dress() {
  translate(document)
  $('language').textContent = language() === 'en' ? '中文' : 'English'
  $('language').setAttribute('lang', language() === 'en' ? 'zh-CN' : 'en')
  link($('link').dataset.state)
}

dress()
listen()
