// What the page shows beside the state is asked for by address, kept while it is
// shown, and kept up to date by the changes that the sandbox reports.

import { search, plain } from './route.js'

const root = '/_sandbox/view/'
const elsewhere = { share: '/_sandbox/keys/share' }

// sizes are how many items a page of a list has.
export const sizes = { refunds: 50, orders: 50, notifications: 20, exchanges: 50 }

// Of each list, where its items are and what they are known by.
const lists = {
  refunds: ['refunds', 'out_refund_no'],
  orders: ['orders', 'out_trade_no'],
  notifications: ['deliveries', 'id'],
  exchanges: ['exchanges', 'id'],
}

// Milliseconds between two requests for the same thing.
const pauses = { day: 3000, exchanges: 1000 }
const pause = 400

const held = new Map() // by address
let changed = () => {} // called when there is something new to draw
let exchanges = -1 // how many the sandbox had recorded when it last said so

export function onChange(draw) {
  changed = draw
}

// want returns what is at an address below the views, {data, error, loading, newer,
// moved}, and asks for it if nobody has yet. view says what it is; id, of what.
export function want(view, id, query = {}) {
  const limit = id === null ? sizes[view] : undefined
  const address = (elsewhere[view] ?? root + view) + (id === null ? '' : `/${encodeURIComponent(id)}`) + search({ ...query, limit })
  let entry = held.get(address)
  if (!entry) {
    entry = { address, view, id, plain: plain(query), data: null, error: null, loading: false, newer: 0, moved: false, last: 0, due: null, timer: 0, used: true }
    held.set(address, entry)
    load(entry, true)
  }
  entry.used = true
  return entry
}

// sweep forgets what nothing has wanted since it was last called.
export function sweep() {
  for (const [address, entry] of held) {
    if (!entry.used) {
      clearTimeout(entry.timer)
      held.delete(address)
    }
    entry.used = false
  }
}

// reload asks for everything anew: after a click, or when the page has been away.
export function reload() {
  for (const entry of held.values()) {
    clearTimeout(entry.timer)
    entry.timer = 0
    if (entry.loading) entry.due = true
    else load(entry, true)
  }
}

// later asks again, soon: whole, or only so as to know what has changed.
function later(entry, whole) {
  entry.due = entry.due || whole
  if (entry.timer || entry.loading) return
  const wait = entry.last + (pauses[entry.view] ?? pause) - performance.now()
  entry.timer = setTimeout(() => {
    entry.timer = 0
    load(entry, entry.due)
  }, Math.max(0, wait))
}

async function load(entry, whole) {
  entry.loading = true
  entry.due = null
  try {
    const response = await fetch(entry.address)
    const answer = await response.json()
    take(entry, response, answer, whole)
  } catch (error) {
    entry.error = { status: 0, text: String(error) }
  }
  entry.loading = false
  entry.last = performance.now()
  if (held.get(entry.address) !== entry) return
  if (entry.due !== null) later(entry, entry.due)
  changed()
}

function take(entry, response, answer, whole) {
  if (!response.ok) {
    entry.error = { status: response.status, text: answer.error ?? `HTTP ${response.status}` }
    if (response.status === 404) entry.data = null
    return
  }
  entry.error = null
  if (whole || entry.data === null || entry.id !== null) {
    Object.assign(entry, { data: answer, newer: 0, moved: false })
    return
  }
  // Nothing that somebody may be reading moves: what is shown is brought up to date,
  // and the rest is offered.
  const [name, key] = lists[entry.view]
  replace(entry.data[name], answer[name], key)
  entry.newer = Math.max(0, answer.total - entry.data.total)
  entry.moved = entry.newer > 0 || !same(entry.data[name], answer[name], key)
}

const same = (a, b, key) => a.length === b.length && a.every((item, i) => item[key] === b[i][key])

// replace puts new items in the place of old ones, and returns those that have none.
function replace(items, fresh, key) {
  const places = new Map(items.map((item, i) => [item[key], i]))
  return fresh.filter((item) => {
    const i = places.get(item[key])
    if (i !== undefined) items[i] = item
    return i === undefined
  })
}

// change takes in what the sandbox reports.
export function change(event) {
  const called = event.exchanges !== undefined && event.exchanges !== exchanges
  exchanges = event.exchanges ?? exchanges
  for (const entry of held.values()) {
    const { view, id } = entry
    if (view === 'exchanges') {
      if (called && id === null) later(entry, entry.plain)
    } else if (view === 'share') {
      if (event.keys || event.share !== undefined) later(entry, true)
    } else if (view === 'day') {
      if (event.more || event.refunds?.length > 0) later(entry, true)
    } else if (id !== null) {
      if (concerns(event, entry)) later(entry, true)
    } else if (view === 'notifications') {
      if (event.more || event.notifications?.length > 0) later(entry, entry.plain)
    } else {
      merge(entry, event)
    }
  }
}

// concerns tells whether a refund or an order that is shown has changed.
function concerns(event, { view, id, data }) {
  if (event.more) return true
  if (event.orders?.some((o) => o.out_trade_no === (view === 'orders' ? id : data?.out_trade_no))) return true
  if (event.refunds?.some((r) => (view === 'orders' ? r.out_trade_no : r.out_refund_no) === id)) return true
  return data?.deliveries?.some((d) => event.notifications?.includes(d.id)) ?? false
}

// merge brings a list of refunds or orders up to date without asking. New ones come
// first where the list has its beginning; else they are counted.
function merge(entry, event) {
  const [name, key] = lists[entry.view]
  const fresh = event[name] ?? []
  if (event.more || (entry.loading && fresh.length > 0)) return later(entry, entry.plain)
  if (fresh.length === 0 || entry.data === null) return
  const rest = replace(entry.data[name], fresh, key)
  if (!entry.plain) return later(entry, false)
  if (rest.length === 0) return
  const items = entry.data[name]
  items.push(...rest)
  items.sort((a, b) => b.at.localeCompare(a.at) || b[key].localeCompare(a[key]))
  items.splice(sizes[entry.view])
  entry.data.total = event.totals?.[name] ?? entry.data.total + rest.length
}
