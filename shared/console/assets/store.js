// What the page shows is asked for by address, kept while it is shown, and asked for
// again when it may have changed.

import { search, plain } from './route.js'

let of = { root: '', elsewhere: {}, sizes: {}, lists: {}, pauses: {} }
const pause = 400 // milliseconds between two requests for the same thing

// stores says where things are: root is the address below which the views are, elsewhere
// that of those which are not there, sizes how many items a page of a list has, lists where
// in an answer its items are and what they are known by, and pauses the milliseconds between
// two requests for the same thing, where they are more.
export function stores(config) {
  of = { ...of, ...config }
}

export const sizeOf = (view) => of.sizes[view]
export const listOf = (view) => of.lists[view]

const held = new Map() // by address
let changed = () => {} // called when there is something new to draw

export function onChange(draw) {
  changed = draw
}

// want returns what is at an address below the views, {data, error, loading, newer,
// moved}, and asks for it if nobody has yet. view says what it is; id, of what.
export function want(view, id, query = {}) {
  const limit = id === null ? of.sizes[view] : undefined
  const address = (of.elsewhere[view] ?? of.root + view) + (id === null ? '' : `/${encodeURIComponent(id)}`) + search({ ...query, limit })
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

// entries are all that is shown.
export function entries() {
  return [...held.values()]
}

// later asks again, soon: whole, or only so as to know what has changed.
export function later(entry, whole) {
  entry.due = entry.due || whole
  if (entry.timer || entry.loading) return
  const wait = entry.last + (of.pauses[entry.view] ?? pause) - performance.now()
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
  if (whole || entry.data === null || !of.lists[entry.view] || entry.id !== null) {
    Object.assign(entry, { data: answer, newer: 0, moved: false })
    return
  }
  // Nothing that somebody may be reading moves: what is shown is brought up to date,
  // and the rest is offered.
  const [name, key] = of.lists[entry.view]
  replace(entry.data[name], answer[name], key)
  entry.newer = Math.max(0, (answer.total ?? 0) - (entry.data.total ?? 0)) // a list that is not counted has none
  entry.moved = entry.newer > 0 || !same(entry.data[name], answer[name], key)
}

const same = (a, b, key) => a.length === b.length && a.every((item, i) => item[key] === b[i][key])

// replace puts new items in the place of old ones, and returns those that have none.
export function replace(items, fresh, key) {
  const places = new Map(items.map((item, i) => [item[key], i]))
  return fresh.filter((item) => {
    const i = places.get(item[key])
    if (i !== undefined) items[i] = item
    return i === undefined
  })
}
