// What the operator can do. Nothing is done at a click: what will happen is said, and the
// refund's number, or another word, must be typed.

import { h, patch } from './dom.js'
import { t, known } from './words.js'
import { $, ui, draw, toast } from './page.js'

const at = (path, id) => `api/${path}/${encodeURIComponent(id)}`

// Of each, where it is sent and what is to be typed.
const deeds = {
  query: ({ no }) => ({ path: `${at('refunds', no)}/query`, word: no }),
  cancel: ({ no }) => ({ path: `${at('refunds', no)}/cancel`, word: no }),
  release: ({ no }) => ({ path: `${at('refunds', no)}/release`, word: no }),
  redeliver: ({ no }) => ({ path: `${at('refunds', no)}/redeliver`, word: no }),
  approve: ({ id }) => ({ path: `${at('applications', id)}/approve`, word: id }),
  reject: ({ id }) => ({ path: `${at('applications', id)}/reject`, word: id }),
  withdraw: ({ id }) => ({ path: `${at('applications', id)}/withdraw`, word: id }),
  acknowledge: ({ code }) => ({ path: 'api/acknowledge', word: code }),
  reconcile: () => ({ path: 'api/reconcile', word: 'reconcile' }),
}

let asking = null // what the open question is about

// askButton opens the question; of says what it is about.
export function askButton(what, of, refund = {}) {
  const attributes = { type: 'button', class: what === 'release' ? 'quiet danger' : 'quiet', 'data-do': 'ask', 'data-what': what, 'aria-haspopup': 'dialog' }
  for (const [name, value] of Object.entries(of)) attributes[`data-${name}`] = value
  if (what === 'redeliver') attributes['data-to'] = (refund.subscribers ?? []).join(',')
  return h('button', attributes, t(`do.${what}`))
}

export function ask(data) {
  asking = { ...data, problem: '', key: performance.now() }
  patch($('ask'), askDialog())
  $('ask').showModal()
  $('ask').querySelector('[name=confirm]').focus()
}

export function close() {
  asking = null
  $('ask').close()
}

// askDialog is the question as it stands.
export function askDialog() {
  if (asking === null) return []
  const { what, to, key } = asking
  const { word } = deeds[what](asking)
  const names = to ? to.split(',') : []
  return h('form', { class: 'stack', 'data-key': `ask-${key}`, 'data-submit': 'confirmed', method: 'dialog' },
    h('h2', { id: 'ask-title' }, t(`do.${what}`)),
    h('p', {}, t(`will.${what}`)),
    asking.about && h('p', { class: 'number' }, `${known('alarm.', asking.code)} · ${asking.about}`),
    asking.wish && h('p', { class: 'number' }, asking.wish),
    names.length > 0 && h('label', {}, t('ask.to'), h('select', { name: 'to' }, h('option', { value: '' }, t('ask.all')), names.map((name) => h('option', { value: name }, name)))),
    ['acknowledge', 'approve', 'reject', 'withdraw'].includes(what) && h('label', {}, t('ask.note'), h('input', { name: 'note', type: 'text', maxlength: 150, autocomplete: 'off' })),
    what === 'release' && h('label', { class: 'tick' }, h('input', { name: 'absent', type: 'checkbox', value: 'true' }), t('ask.absent')),
    h('label', {}, t('ask.type'), ' ', h('code', {}, word),
      h('input', { name: 'confirm', type: 'text', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', 'aria-describedby': asking.problem && 'ask-problem', 'aria-invalid': asking.problem && 'true' })),
    asking.problem && h('p', { class: 'reason', id: 'ask-problem', role: 'alert' }, asking.problem),
    h('p', { class: 'muted small' }, t('ask.history')),
    h('div', { class: 'buttons' },
      h('button', { type: 'submit', class: 'primary' }, t(`do.${what}`)),
      h('button', { type: 'button', class: 'quiet', 'data-do': 'close' }, t('ask.no'))))
}

// Escape closes the question as well.
$('ask').addEventListener('close', () => {
  asking = null
  draw()
})

async function send(path, body) {
  try {
    const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    const reply = await response.json()
    return response.ok ? { reply } : { problem: reply.error ?? `HTTP ${response.status}` }
  } catch {
    return { problem: t('problem.unreachable') }
  }
}

export const actions = {
  confirmed: async ({ form }) => {
    if (asking === null) return undefined
    const { what, about, code } = asking
    const { path, word } = deeds[what](asking)
    const fields = form.elements
    const confirm = fields.confirm.value.trim()
    if (confirm !== word) {
      asking.problem = t('ask.wrong')
      fields.confirm.focus()
      return undefined
    }
    const { problem, reply } = await send(path, {
      confirm, about, code, to: fields.to?.value, note: fields.note?.value.trim(), absent: fields.absent?.checked ? 'true' : undefined,
    })
    if (problem) {
      asking.problem = problem
      return undefined
    }
    close()
    toast(what === 'reconcile' ? t('did.reconcile', reply) : t(`did.${what}`), true)
    ui.sides = null
    return undefined
  },
}
