// How money and time are written. Money is an integer in the currency's minor
// unit and stays one: only its digits are moved.

import { t } from './words.js'

const decimals = new Map() // by currency: to ask costs more than all else that is drawn

// digitsOf says how many decimals a currency has.
function digitsOf(currency) {
  if (!decimals.has(currency)) decimals.set(currency, ask(currency))
  return decimals.get(currency)
}

function ask(currency) {
  try {
    return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits
  } catch {
    return 2
  }
}

function plain(minor, currency) {
  const digits = digitsOf(currency)
  const text = String(Math.abs(minor)).padStart(digits + 1, '0')
  const cut = text.length - digits
  const major = text.slice(0, cut)
  return digits > 0 ? [major, text.slice(cut)] : [major]
}

// money is ¥1.00; in other currencies their own code and decimals: USD 1.00, JPY 100.
export function money(minor, currency) {
  const [major, rest] = plain(minor, currency)
  const grouped = major.replace(/\B(?=(\d{3})+$)/g, ',')
  const sign = minor < 0 ? '−' : ''
  const unit = currency === 'CNY' ? '¥' : `${currency}\u00a0`
  return sign + unit + (rest === undefined ? grouped : `${grouped}.${rest}`)
}

// decimal is what stands in a field.
export function decimal(minor, currency) {
  return plain(minor, currency).join('.')
}

// parseMoney reads a field; null if it is not an amount above zero.
export function parseMoney(text, currency) {
  const digits = digitsOf(currency)
  const [, major, rest = ''] = text.trim().match(/^(\d{1,10})(?:\.(\d*))?$/) ?? []
  if (major === undefined || rest.length > digits) return null
  const minor = Number(major + rest.padEnd(digits, '0'))
  return minor > 0 ? minor : null
}

// amountProblem says why a field that parseMoney could not read is no amount.
export function amountProblem(text) {
  return t(/^\d{11,}(\.\d*)?$/.test(text.trim()) ? 'problem.much' : 'problem.amount')
}

// difference is money with its sign: +¥0.01, and ¥0.00 for none.
export function difference(minor, currency) {
  return (minor > 0 ? '+' : '') + money(minor, currency)
}

// clockTime is the time of day as WeChat Pay writes it, in China's time; with the
// day if that is another one.
export function clockTime(at, now) {
  return at.slice(0, 10) === now.slice(0, 10) ? at.slice(11, 19) : `${at.slice(5, 10)} ${at.slice(11, 19)}`
}

const units = [['unit.y', 31536000], ['unit.d', 86400], ['unit.h', 3600], ['unit.m', 60], ['unit.s', 1]]

// duration writes seconds in at most two units.
export function duration(seconds) {
  let left = Math.max(0, Math.round(seconds))
  const parts = []
  for (const [name, size] of units) {
    const n = Math.floor(left / size)
    left -= n * size
    if (n > 0) parts.push(t(name, { n }))
    else if (parts.length > 0) break
  }
  return parts.slice(0, 2).join(' ') || t('unit.s', { n: 0 })
}

// short writes one step of the schedule.
export function short(seconds) {
  const [name, size] = units.find(([, size]) => seconds >= size) ?? units.at(-1)
  return t(`short.${name}`, { n: seconds / size })
}
