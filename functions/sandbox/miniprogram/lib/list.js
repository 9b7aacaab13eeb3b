const { call, failureOf } = require('./call')

/**
 * pageAt reads a part of a list.
 * @template Item, Row
 * @param {import('wxrefund').ListEvent} event
 * @param {(item: Item) => Row} row what is shown of each
 * @returns {Promise<{ problem: string, total: number, rows: Row[] }>}
 */
async function pageAt(event, row) {
  const reply = await call(event)
  if (reply.code !== 0) return { problem: failureOf(reply).text, total: 0, rows: [] }
  return { problem: '', total: reply.data.total, rows: reply.data.items.map(row) }
}

module.exports = { pageAt }
