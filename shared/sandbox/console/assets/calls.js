// Every click that changes something goes through here, so that the page can show
// how to do the same without it.

import { h } from './dom.js'
import { t } from './words.js'
import { openid } from './callers.js'

const asked = '/functions/wxpayFunctions' // whom the one who is played asks

let steps = [] // what the last click did: {method, path, body, status, reply, problem}
let fresh = false // the next call begins a new click
let tab = 'curl'

// begin forgets the click before.
export function begin() {
  fresh = true
}

// call sends a request and returns its answer: {ok, reply, problem}. What is
// secret in an answer is not repeated beside the request.
export async function call(method, path, body, secret = false) {
  const as = path === asked ? openid() : ''
  const step = { method, path, body, as, status: 0, reply: '', problem: undefined }
  steps = fresh ? [step] : [...steps, step].slice(-6)
  fresh = false
  try {
    const response = await fetch(path, {
      method,
      headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...(as !== '' && { 'X-WX-OPENID': as }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    step.status = response.status
    const text = await response.text()
    step.reply = secret ? '' : text
    const reply = JSON.parse(text)
    step.reply = secret ? t('calls.secret') : JSON.stringify(reply, null, 2)
    const judged = judge(response, reply)
    step.problem = judged.problem
    return judged
  } catch (error) {
    step.reply ||= String(error)
    step.problem = t('problem.unreachable')
    return { ok: false, problem: t('problem.unreachable') }
  }
}

// judge says whether an answer is a success; what a function refuses comes with
// status 200.
function judge(response, reply) {
  if (!response.ok) return { ok: false, reply, problem: reply.error ?? `HTTP ${response.status}` }
  const result = reply.result
  if (result && result.code !== undefined && ![0, 202, 'SUCCESS'].includes(result.code)) {
    return { ok: false, reply, problem: t('problem.refused', { code: result.code, err: result.err_code, message: result.message, retry: result.retry }) }
  }
  return { ok: true, reply }
}

const wide = 90 // of a line that still is read with ease

// json writes a body on one line, unless that would be long.
function json(body) {
  const line = JSON.stringify(body)
  return line.length > wide ? JSON.stringify(body, null, 2) : line
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`

function curl({ method, path, body, as }) {
  const address = location.origin + path
  if (body === undefined) return method === 'GET' ? `curl ${address}` : `curl -X ${method} ${address}`
  const lines = [`curl -d ${quote(json(body))}`]
  if (as !== '') lines.push(`-H ${quote(`X-WX-OPENID: ${as}`)}`)
  if (path.startsWith('/_sandbox/')) lines.push(`-H ${quote('Content-Type: application/json')}`)
  return [...lines, address].join(' \\\n  ')
}

// script writes an object as a person would write JavaScript.
function script(value, indent) {
  if (value === null || typeof value !== 'object') return typeof value === 'string' ? `'${value.replace(/[\\']/g, '\\$&')}'` : String(value)
  const deeper = `${indent}  `
  const lines = Object.entries(value).map(([name, v]) => `${deeper}${name}: ${script(v, deeper)},`)
  return `{\n${lines.join('\n')}\n${indent}}`
}

function callFunction({ path, body }) {
  const name = path.split('/').at(-1)
  return `const { result } = await wx.cloud.callFunction({\n  name: '${name}',\n  data: ${script(body ?? {}, '  ')},\n})`
}

const forms = {
  curl: () => steps.map(curl).join('\n\n'),
  callFunction: () => steps.filter((s) => s.path.startsWith('/functions/')).map(callFunction).join('\n\n'),
}

export function choose(name) {
  tab = name
}

// snippet is what the copy button takes.
export function snippet() {
  return forms[tab]()
}

const isPending = (step) => step.status === 0 && step.reply === ''

// didBar says in one line what the last click did, where the card that says all of it is
// out of sight. What went wrong before anything was sent is said as well.
export function didBar({ did, problem }) {
  if (!did) return []
  const last = fresh ? null : steps.find((step) => step.problem) ?? steps.at(-1)
  const wrong = last?.problem ?? problem
  const say = last && isPending(last) ? t('calls.pending') : wrong || t('did.done')
  return [
    h('p', { class: wrong ? 'bad' : '' }, h('b', {}, say), ' ', last && h('span', { class: 'number' }, `${last.method} ${last.path}${last.status > 0 ? ` · ${last.status}` : ''}`)),
    h('div', { class: 'buttons' },
      last && h('button', { type: 'button', class: 'quiet', 'data-do': 'showDid' }, t('did.show')),
      h('button', { type: 'button', class: 'quiet', 'data-do': 'hideDid', 'aria-label': t('did.hide') }, '×')),
  ]
}

export function callsCard() {
  const title = h('h2', { id: 'calls-title', tabindex: -1 }, t('calls'))
  if (steps.length === 0) return [title, h('p', { class: 'muted' }, t('calls.none'))]
  const text = snippet()
  const last = steps.at(-1)
  const pending = isPending(last)
  return [
    title,
    h('div', { class: 'chips', role: 'group', 'aria-label': t('calls.form') }, Object.keys(forms).map((name) =>
      h('button', { type: 'button', class: 'chip', 'aria-pressed': String(name === tab), 'data-do': 'form', 'data-form': name },
        name === 'curl' ? 'curl' : 'wx.cloud.callFunction'))),
    text === ''
      ? h('p', { class: 'muted' }, t('calls.noFunction'))
      : [h('pre', { class: 'code', tabindex: 0, 'aria-label': t('calls.snippet') }, text),
        h('button', { type: 'button', class: 'quiet', 'data-do': 'copy' }, t('copy'))],
    h('h3', {}, pending ? t('calls.pending') : t('calls.reply', { status: last.status || '–' })),
    !pending && h('pre', { class: 'code reply', tabindex: 0, 'aria-label': t('calls.answer') }, last.reply),
  ]
}
