// What every page does: it draws its view anew when something has changed, follows its
// address, and turns clicks into what they ask for.

import { patch } from './dom.js'
import { t, translate, language, switchLanguage } from './words.js'
import { parse, href, without } from './route.js'
import { sweep, reload, onChange } from './store.js'
import { readQuery, showQuery, panel } from './list.js'

export const $ = (id) => document.getElementById(id)

// ui is what is known of the page itself: where it is (route), since when, what its last
// action did (did, problem), and what is to be said to people who do not see it (found).
export const ui = { route: null, since: -Infinity, did: false, problem: '', found: '' }

let page = null
let asked = false
let led = false // an action leads somewhere else
let landing = false // the page has been led somewhere else: the reader goes there

// start makes the page: ready tells whether there is something to draw, views draws each
// view, around is called for what stands beside it, local are what clicks do by themselves
// and actions those that ask somebody, with tools among what they are given; begin is called
// before each of these, and dressed when the language has been chosen.
export function start(parts) {
  page = { ready: () => true, around: () => {}, begin: () => {}, dressed: () => {}, tools: {}, local: {}, actions: {}, ...parts }
  ui.route = parse(location.hash)
  onChange(draw)
  dress()
  draw()
}

// draw draws once before the next picture, however often it is called.
export function draw() {
  if (asked) return
  asked = true
  requestAnimationFrame(() => {
    asked = false
    if (page.ready()) paint()
  })
}

function paint() {
  const reading = landing || document.activeElement?.id === 'title'
  const { view, id } = ui.route
  document.body.dataset.view = view
  document.body.toggleAttribute('data-chosen', id !== null)
  document.body.toggleAttribute('data-did', ui.did)
  patch($('view'), page.views[view](id))
  page.around()
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
  } else if (before.query.offset !== ui.route.query.offset || before.query.cursor !== ui.route.query.cursor) {
    document.querySelector('.pager')?.scrollIntoView({ block: 'nearest' })
  }
  led = false
})

// requery changes what a list is asked for, where the page is already: at once, since
// the links on it are to lead on from there.
export function requery(query) {
  history.replaceState(null, '', href(ui.route.view, ui.route.id, query))
  ui.route = parse(location.hash)
  paint()
}

// go leads to what an action has made.
export function go(hash) {
  led = location.hash !== hash
  location.hash = hash
}

let fading = 0

// toast says something for a while.
export function toast(text, good = false) {
  const box = $('toast')
  box.textContent = text
  box.dataset.kind = good ? 'good' : 'bad'
  clearTimeout(fading)
  if (text !== '') fading = setTimeout(() => toast(''), good ? 2000 : 8000)
}

export const focus = (selector) => document.querySelector(selector)?.focus({ preventScroll: true })

const local = {
  language: () => { switchLanguage(); dress() },
  skip: () => $('main').focus(),
  newer: () => {
    requery(without(ui.route.query, 'offset', 'cursor'))
    reload()
    focus('#view .rows a, #view .exchanges a, #title') // the button goes
  },
  unfilter: () => {
    requery(without(ui.route.query, 'offset', 'cursor', ...panel()))
    showQuery(ui.route.query)
    focus('.filters summary')
  },
}

// run does what a button or a form asks for, and shows what came of it.
async function run(name, data, form) {
  toast('')
  const alone = page.local[name] ?? local[name]
  if (alone) {
    await alone(data, form)
    return draw()
  }
  page.begin()
  Object.assign(ui, { did: true, problem: '' })
  const drawing = setInterval(draw, 500) // what is under way is shown as it goes
  setTimeout(draw, 50)
  try {
    const problem = await page.actions[name]({ data, form, ui, go, ...page.tools })
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
  page.dressed()
}
