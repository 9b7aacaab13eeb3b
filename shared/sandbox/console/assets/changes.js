// What is shown is kept up to date by the changes that the sandbox reports.

import { entries, later, replace, listOf, sizeOf } from './store.js'

let exchanges = -1 // how many the sandbox had recorded when it last said so

// change takes in what the sandbox reports.
export function change(event) {
  const called = event.exchanges !== undefined && event.exchanges !== exchanges
  exchanges = event.exchanges ?? exchanges
  for (const entry of entries()) {
    const { view, id } = entry
    if (view === 'exchanges') {
      if (called && id === null) later(entry, entry.plain)
    } else if (view === 'applications') {
      if (event.beat) later(entry, true) // nobody tells which: it is asked what the one who is played is told
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
  const [name, key] = listOf(entry.view)
  const fresh = event[name] ?? []
  if (event.more || (entry.loading && fresh.length > 0)) return later(entry, entry.plain)
  if (fresh.length === 0 || entry.data === null) return
  const rest = replace(entry.data[name], fresh, key)
  if (!entry.plain) return later(entry, false)
  if (rest.length === 0) return
  const items = entry.data[name]
  items.push(...rest)
  items.sort((a, b) => b.at.localeCompare(a.at) || b[key].localeCompare(a[key]))
  items.splice(sizeOf(entry.view))
  entry.data.total = event.totals?.[name] ?? entry.data.total + rest.length
}
