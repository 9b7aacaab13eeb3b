// Whether the ledger and WeChat Pay's daily bills agree.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href } from './route.js'
import { money } from './format.js'
import { want } from './store.js'
import { problem, numbers, number, missing } from './parts.js'
import { row } from './list.js'

const label = (state) => h('span', { class: `pill ${state}` }, known('book.', state))

// sum is what the bill of a day comes to, or nothing where none was read.
const sum = (d) => [d, ...d.other].map((o) => money(o.fen.bill, o.currency)).join(' · ')

const seen = (d) => !['unread', 'unreadable', 'unavailable'].includes(d.state)

// verdict says in one sentence how the books of a day stand.
function verdict(d) {
  const n = d.refunds + d.other.reduce((all, o) => all + o.refunds, 0)
  return known('booked.', d.state === 'agrees' && n === 0 ? 'empty' : d.state)
    .replace('{date}', d.date).replace('{n}', count(n)).replace('{sum}', sum(d))
}

// headline is the first screen's word on the books: the last day that somebody has looked
// at, and those that do not agree.
export function headline({ last, agrees, apart, reads }) {
  if (last === null) return h('p', { class: 'also books muted' }, t(reads ? 'books.never' : 'books.none'))
  const others = apart.filter((date) => date !== last.date).slice(0, 3)
  return h('p', { class: `also books ${last.state}` }, label(last.state), ' ',
    h('a', { href: href('books', last.date) }, verdict(last)),
    others.length > 0 && [' ', t('books.look'), others.map((date) => [' ', h('a', { href: href('books', date) }, date)])],
    agrees && last.state !== 'agrees' && h('span', { class: 'muted small' }, ` ${t('books.agreed', { date: agrees })}`))
}

// parts are the counts of a day that are not equal, in words.
const apart = ['differs', 'ours_only', 'theirs_only', 'to_ask', 'skipped']

function under(d) {
  if (!seen(d)) return d.why || known('books.', d.state)
  const parts = ['equal', ...apart].filter((name) => d[name] > 0).map((name) => t(`books.n.${name}`, { n: count(d[name]) }))
  return parts.join(' · ') || t('books.nothing')
}

export function booksView(ui) {
  const entry = want('books', null)
  const data = entry.data
  return h('section', { class: 'list', 'data-key': 'books', 'aria-label': t('nav.books') },
    h('div', { class: 'card', 'aria-busy': entry.loading && data === null && 'true' },
      h('h2', {}, t('nav.books')), h('p', { class: 'muted small' }, t('books.about')),
      data && !data.reads && h('p', { class: 'reason' }, t('books.none')),
      problem(entry, data),
      data && h('ul', { class: 'rows' }, data.days.map((d) => row({
        no: d.date, to: href('books', d.date), here: ui.route.id === d.date, amount: seen(d) ? sum(d) : '–', under: under(d), label: label(d.state),
        flags: [d.file && h('span', { class: 'flag' }, t('books.file')), d.changed > 0 && h('span', { class: 'flag' }, t('books.changed'))].filter(Boolean),
      })))))
}

export function bookView(id, ui) {
  if (id === null) {
    return h('section', { class: 'detail empty', 'data-key': 'detail:none' },
      h('div', { class: 'card' }, h('h2', {}, t('books.choose')), h('p', { class: 'muted' }, t('books.proves'))))
  }
  const entry = want('books', id)
  const d = entry.data
  const back = h('a', { class: 'back', href: href('books') }, t('books.back'))
  if (d === null) return missing(entry, back, ui)
  return h('section', { class: 'detail', 'data-key': `detail:${id}` }, back, entry.error && problem(entry),
    h('div', { class: 'card', 'data-key': 'head' },
      h('header', { class: 'head' }, h('h2', { id: 'title', tabindex: -1 }, d.date), label(d.state), seen(d) && h('b', { class: 'sum' }, sum(d))),
      h('p', { class: 'means' }, verdict(d)), d.why && h('p', { class: 'reason', lang: 'en' }, d.why),
      seen(d) && [d, ...d.other].map(counts),
      d.proof && proof(d.proof, d.currency),
      numbers([
        [t('books.read'), d.read_at && `${d.read_at.slice(0, 19).replace('T', ' ')} · ${d.by || t('books.timer')}`],
        [t('books.rows'), d.hash && count(d.rows)], [t('books.hash'), d.hash],
      ]),
      !seen(d) && h('p', { class: 'muted' }, t('books.do', { day: d.date }))),
    d.findings.length > 0 && h('div', { class: 'card', 'data-key': 'findings' },
      h('h3', {}, t('books.findings'), ' ', h('span', { class: 'muted' }, count(d.findings.length + d.left))),
      h('ul', { class: 'alarms' }, d.findings.map((f, i) => finding(f, i, d))),
      d.left > 0 && h('p', { class: 'muted' }, t('books.left', { n: count(d.left), day: d.date }))),
    d.before.length > 0 && h('div', { class: 'card', 'data-key': 'before' },
      h('h3', {}, t('books.before')),
      h('ul', { class: 'alarms' }, d.before.map((b) => h('li', { 'data-key': b.at },
        h('div', { class: 'alarm' }, h('p', { class: 'line' }, label(b.report.state), h('b', {}, under(b.report))),
          h('p', { class: 'why' }, b.why), h('p', { class: 'muted small' }, `${b.at.slice(0, 19).replace('T', ' ')} · ${b.by || t('books.timer')}`)))))))
}

// counts lay the bill's refunds beside the ledger's.
function counts(d) {
  const line = (name, n, fen, kind) => h('tr', {}, h('th', { scope: 'row' }, t(`books.${name}`)), h('td', {}, n === null ? '' : count(n)), h('td', { class: kind }, money(fen, d.currency)))
  return h('table', { class: 'records', 'data-key': `counts:${d.currency}` },
    h('thead', {}, h('tr', {}, ['', 'books.refunds', 'books.sum'].map((n) => h('th', { scope: 'col' }, n && t(n))))),
    h('tbody', {},
      line('bill', d.refunds, d.fen.bill), line('ledger', null, d.fen.ledger), line('equal', d.equal, d.fen.equal),
      apart.filter((name) => d[name] > 0).map((name) => line(name, d[name], d.fen[name]))))
}

// proof says what the funds that moved prove.
function proof(f, currency) {
  const parts = ['proved', 'missing', 'differs', 'unknown', 'closed', 'by_hand'].filter((name) => f[name] > 0).map((name) => t(`funds.${name}`, { n: count(f[name]) }))
  return h('div', { class: 'stack', 'data-key': 'proof' },
    h('h3', {}, t('books.funds'), ' ', label(f.state)), f.why && h('p', { class: 'muted', lang: 'en' }, f.why),
    parts.length > 0 && h('p', {}, parts.join(' · ')),
    (f.out_fen > 0 || f.back_fen > 0) && h('p', { class: 'muted' }, t('funds.moved', { out: money(f.out_fen, currency), back: money(f.back_fen, currency) })))
}

function finding(f, i, d) {
  const no = f.out_refund_no || f.refund_id
  const amounts = [f.bill > 0 && t('books.inBill', { sum: money(f.bill, d.currency) }), f.ledger > 0 && t('books.inLedger', { sum: money(f.ledger, d.currency) })]
  return h('li', { 'data-key': `${i}` },
    h('div', { class: 'alarm' },
      h('p', { class: 'line' }, h('b', {}, known('found.', f.what)), f.line > 0 && h('span', { class: 'muted small' }, t('books.line', { n: count(f.line) }))),
      h('p', { class: 'line' }, f.out_refund_no ? h('a', { class: 'number', href: href('refunds', f.out_refund_no) }, f.out_refund_no) : no && number(no),
        f.order && h('span', { class: 'muted small' }, f.order)),
      h('p', {}, amounts.filter(Boolean).join(' · ')),
      f.says && h('p', { class: 'why', lang: 'en' }, f.says)))
}
