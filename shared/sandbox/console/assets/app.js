// The page: it draws what the sandbox sends, and turns clicks into the same requests
// that anybody could make with curl.

import { patch } from './dom.js'
import { t, known, count, translate, language, switchLanguage } from './words.js'
import { parse, href, without } from './route.js'
import { change, sweep, reload, onChange } from './store.js'
import { listView, readQuery, showQuery, panel } from './list.js'
import { emptyDetail, orderDetail, refundDetail } from './refunds.js'
import { exchangesView, exchangeView } from './exchanges.js'
import { notificationsView, faultsView, keysView } from './tools.js'
import { summary, clockCard } from './summary.js'
import { callsCard, didBar, begin, call, choose, snippet } from './calls.js'
import { until } from './parts.js'
import { actions } from './actions.js'

const $ = (id) => document.getElementById(id)

let state = null
let received = 0
const ui = { applies: 'once', then: true, secrets: null, since: -Infinity, day: null, did: false, problem: '', found: '', route: parse(location.hash) }

// clock is the virtual clock as it runs between two reports.
const clock = {
  speed: 1,
  now: () => Date.parse(state.now) + (performance.now() - received) * state.speed,
  text: () => new Date(clock.now() + 8 * 3600_000).toISOString().slice(0, 19).replace('T', ' '),
}

// Views.

const views = {
  refunds: (id) => [listView(state, ui), id === null ? emptyDetail(state) : refundDetail(id, state, ui, clock)],
  orders: (id) => [listView(state, ui), id === null ? emptyDetail(state) : orderDetail(id, state, ui)],
  notifications: () => [notificationsView(state, ui, clock)],
  exchanges: (id) => [id === null ? exchangesView(state, ui) : exchangeView(id, state, ui)],
  faults: () => [faultsView(state, ui)],
  keys: () => [keysView(state, ui, clock)],
}

let asked = false
let led = false // an action leads somewhere else
let landing = false // the page has been led somewhere else: the reader goes there

// draw draws once before the next picture, however often it is called.
function draw() {
  if (asked) return
  asked = true
  requestAnimationFrame(() => {
    asked = false
    if (state !== null) paint()
  })
}

function paint() {
  const reading = landing || document.activeElement?.id === 'title'
  const { view, id } = ui.route
  document.body.dataset.view = view
  document.body.toggleAttribute('data-chosen', id !== null)
  document.body.toggleAttribute('data-did', ui.did)
  patch($('summary'), summary(state, ui, clock))
  patch($('view'), views[view](id))
  patch($('clock'), clockCard(state, clock))
  patch($('calls'), callsCard())
  patch($('did'), didBar(ui))
  sweep()
  if (reading && (landing || document.activeElement === document.body)) $('title')?.focus({ preventScroll: true }) // it may have been replaced
  landing = false
  if (ui.found !== '') $('live').textContent = ui.found
  ui.found = ''
  for (const a of document.querySelectorAll('.top nav a')) {
    const here = a.hash === href(view) || (a.hash === href('refunds') && view === 'orders')
    a.ariaCurrent = here ? 'page' : null
  }
}

onChange(draw)

addEventListener('hashchange', () => {
  const before = ui.route
  ui.route = parse(location.hash)
  ui.since = performance.now()
  setTimeout(draw, 2100) // by then it is clear whether what was asked for comes
  draw()
  showQuery(ui.route.query)
  if (before.view !== ui.route.view || before.id !== ui.route.id) {
    landing = true
    if (!led) ui.did = false // whoever goes on has seen it
    scrollTo(0, 0)
  } else if (before.query.offset !== ui.route.query.offset) {
    document.querySelector('.pager')?.scrollIntoView({ block: 'nearest' })
  }
  led = false
})

// requery changes what a list is asked for, where the page is already: at once, since
// the links on it are to lead on from there.
function requery(query) {
  history.replaceState(null, '', href(ui.route.view, ui.route.id, query))
  ui.route = parse(location.hash)
  paint()
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
    change({ refunds, orders, notifications, exchanges, more, totals: news.totals, keys: news.keys, share: news.share })
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

// Clicks.

let fading = 0

function toast(text, good = false) {
  const box = $('toast')
  box.textContent = text
  box.dataset.kind = good ? 'good' : 'bad'
  clearTimeout(fading)
  if (text !== '') fading = setTimeout(() => toast(''), good ? 2000 : 8000)
}

const focus = (selector) => document.querySelector(selector)?.focus({ preventScroll: true })

const local = {
  language: () => { switchLanguage(); dress() },
  form: ({ form }) => { choose(form) },
  skip: () => $('main').focus(),
  hideSecrets: () => { ui.secrets = null },
  day: ({ date }) => { ui.day = date || null },
  newer: () => {
    requery(without(ui.route.query, 'offset'))
    reload()
    focus('#view .rows a, #view .exchanges a, #title') // the button goes
  },
  unfilter: () => {
    requery(without(ui.route.query, 'offset', ...panel))
    showQuery(ui.route.query)
    focus('.filters summary')
  },
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

// go leads to what an action has made.
function go(hash) {
  led = location.hash !== hash
  location.hash = hash
}

// run does what a button or a form asks for, and shows what came of it.
async function run(name, data, form) {
  toast('')
  if (local[name]) {
    await local[name](data)
    return draw()
  }
  begin()
  Object.assign(ui, { did: true, problem: '' })
  const drawing = setInterval(draw, 500) // what is under way is shown as it goes
  setTimeout(draw, 50)
  try {
    const problem = await actions[name]({ data, form, ui, clock, state: () => state, call, go })
    ui.problem = problem ?? ''
    if (problem) toast(problem)
  } finally {
    clearInterval(drawing)
    reload()
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
  if (event.target.dataset.submit) run(event.target.dataset.submit, event.target.dataset, event.target)
})

let typing = 0

// find asks for what stands in the finder's fields.
function find() {
  typing = 0
  requery(readQuery(ui.route.query))
}

document.addEventListener('input', (event) => {
  const { input, query } = event.target.dataset
  if (query) {
    clearTimeout(typing)
    typing = setTimeout(find, ['search', 'text'].includes(event.target.type) ? 200 : 0)
  } else if (input) {
    ui[input] = event.target.type === 'checkbox' ? event.target.checked : event.target.value
    draw()
  }
})

// Whoever leaves a field in order to follow a link takes what he has written along.
document.addEventListener('focusout', () => {
  if (typing === 0) return
  clearTimeout(typing)
  find()
})

document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea')) return
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
