// The page: it asks the operator's program what the ledger has, again and again while it
// is looked at, and sends what the operator has confirmed.

import { patch } from './dom.js'
import { t } from './words.js'
import { routes } from './route.js'
import { stores, want, entries, later, reload } from './store.js'
import { $, ui, start } from './page.js'
import { nowView } from './now.js'
import { listView, orderView } from './lists.js'
import { emptyDetail, refundDetail } from './refunds.js'
import { booksView, bookView } from './books.js'
import { applicationsView, applicationView, noApplication } from './applications.js'
import { alarmsView } from './alarms.js'
import { ask, close, actions, askDialog } from './asking.js'

routes({
  now: [],
  refunds: ['q', 'state', 'since', 'until', 'min', 'max', 'doubt', 'undelivered', 'attention', 'order', 'cursor'],
  orders: [],
  applications: ['state', 'offset'],
  books: [],
  alarms: ['cursor'],
})

stores({
  root: 'api/',
  sizes: { refunds: 50, applications: 50, alarms: 50 },
  lists: { refunds: ['refunds', 'out_refund_no'], applications: ['applications', 'id'], alarms: ['alarms', 'id'] },
  pauses: { overview: 5000, count: 5000, books: 5000 },
})

const every = 10_000 // milliseconds between two looks

// state is the overview as it was last read: what every view knows.
let state = null

function look() {
  const entry = want('overview', null)
  state = entry.data ?? state
  const link = entry.error ? 'waiting' : 'live'
  if ($('link').dataset.state !== link || $('link').textContent === '') say(link)
  return entry
}

function say(link) {
  $('link').dataset.state = link
  $('link').textContent = t(`link.${link}`)
}

const views = {
  now: () => [nowView(state, look())],
  refunds: (id) => [listView(state, ui), id === null ? emptyDetail() : refundDetail(id, state, ui)],
  orders: (id) => [listView(state, ui), id === null ? emptyDetail() : orderView(id, state, ui)],
  applications: (id) => [applicationsView(state, ui), id === null ? noApplication() : applicationView(id, state, ui)],
  books: (id) => [booksView(ui), bookView(id, ui)],
  alarms: () => [alarmsView(state, ui)],
}

function around() {
  $('whose').textContent = state ? t(state.act ? 'whose.acts' : 'whose.shows', { merchant: state.merchant, operator: state.operator }) : ''
  patch($('ask'), askDialog())
}

start({
  ready: () => look() !== null && (state !== null || want('overview', null).error !== null),
  views, around, actions,
  local: { ask, close, sides: ({ no }) => { ui.sides = no } },
  dressed: () => say($('link').dataset.state),
})

// What may have changed is asked for again: lists that somebody has gone into are compared,
// so that nothing moves under his eyes.
setInterval(() => {
  if (document.hidden) return
  for (const entry of entries()) {
    if (!['upstream', 'count'].includes(entry.view)) later(entry, !['refunds', 'applications', 'alarms'].includes(entry.view) || entry.plain)
  }
}, every)

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) reload()
})
