// Money is written in yuan and counted in fen. An amount is an integer from the first digit on:
// 0.1 + 0.2 of a float is not 0.3, and somebody would be refunded a fen too little.

// What a Chinese keyboard writes for the same signs.
const wide = /[０-９．。￥]/g

/** @param {string} sign */
function narrow(sign) {
  if (sign === '．' || sign === '。') return '.'
  return sign === '￥' ? '¥' : String.fromCharCode(sign.charCodeAt(0) - 0xfee0)
}

/**
 * fenOf reads an amount in yuan: 12, 12.5 or 12.50. null: it is none, or not above zero.
 * @param {string} text
 * @returns {number | null}
 */
function fenOf(text) {
  const found = /^¥? ?(\d{1,10})(?:\.(\d{1,2}))?$/.exec(text.trim().replace(wide, narrow))
  if (found === null) return null
  const fen = Number(found[1] + (found[2] || '').padEnd(2, '0'))
  return fen > 0 ? fen : null
}

/**
 * yuan writes an amount: ¥12.50; of another currency its minor unit as it is, since how many
 * decimals that has is not known here.
 * @param {number} fen
 * @param {string} [currency]
 */
function yuan(fen, currency = 'CNY') {
  if (currency !== 'CNY') return `${fen} (${currency})`
  const digits = String(fen).padStart(3, '0')
  return `¥${digits.slice(0, -2)}.${digits.slice(-2)}`
}

module.exports = { fenOf, yuan }
