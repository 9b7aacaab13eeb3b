// The other views: notifications, faults, keys; and what stands beside all of them.

import { h } from './dom.js'
import { t } from './words.js'
import { difference, duration } from './format.js'
import { statusOf, button, number, notificationCard, countdown } from './parts.js'

const notificationFilters = ['all', 'pending', 'delivered', 'failed', 'lost']

export function notificationsView(state, ui, clock) {
  const shown = state.deliveries.filter((d) => ui.notifications === 'all' || d.state === ui.notifications)
  return h('section', { class: 'wide', 'data-key': 'notifications', 'aria-label': t('nav.notifications') },
    h('div', { class: 'card' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.notifications')),
      h('p', { class: 'muted' }, t('notifications.hint')),
      h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') }, notificationFilters.map((name) =>
        h('button', { type: 'button', class: 'chip', 'aria-pressed': String(name === ui.notifications), 'data-do': 'notificationFilter', 'data-name': name },
          name === 'all' ? t('filter.all') : t(`delivery.${name}`)))),
      shown.length === 0 && h('p', { class: 'muted' }, t('notifications.none')),
      shown.map((d) => notificationCard(d, state, clock, true))))
}

const scenarios = ['abnormal', 'closed', 'byHand']

export function faultsView(state, ui) {
  const faults = (part) => h('ul', { class: 'faults' }, state.known[part].map((name) =>
    h('li', {}, h('button', { type: 'button', class: 'fault', 'data-do': 'fault', 'data-part': part, 'data-name': name },
      h('b', {}, t(`fault.${name}`)), h('span', {}, t(`teaches.${name}`)), h('code', {}, name)))))
  return h('section', { class: 'wide', 'data-key': 'faults', 'aria-label': t('nav.faults') },
    h('div', { class: 'card', 'data-key': 'hostile' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.faults')),
      h('p', { class: 'muted' }, t('faults.hint')),
      h('div', { class: 'switch' },
        h('button', { type: 'button', role: 'switch', 'aria-checked': String(state.hostile), 'data-do': 'hostile', 'aria-describedby': 'hostile-hint' }, t('hostile')),
        h('p', { class: 'muted', id: 'hostile-hint' }, t('hostile.hint'))),
      h('fieldset', { class: 'options' }, h('legend', {}, t('applies')),
        ['once', 'half', 'always'].map((name) => h('label', {},
          h('input', { type: 'radio', name: 'applies', value: name, checked: name === ui.applies, 'data-input': 'applies' }), t(`applies.${name}`))),
        h('label', {}, h('input', { type: 'checkbox', checked: ui.then, 'data-input': 'then' }), t('applies.then')))),
    state.faults.length > 0 && h('div', { class: 'card active', 'data-key': 'active' },
      h('h3', {}, t('faults.active')),
      h('ul', {}, state.faults.map((f) => h('li', { 'data-key': f.id },
        h('span', {}, h('code', {}, [f.upstream, f.err_code, f.notify].filter(Boolean).join(' + ')), ` · ${often(f)} · ${t('applied', { n: f.struck })}`),
        button(t('remove'), 'removeFault', { id: f.id })))),
      button(t('faults.clear'), 'clearFaults')),
    h('div', { class: 'card', 'data-key': 'notify' }, h('h3', {}, t('faults.notify')), faults('notify')),
    h('div', { class: 'card', 'data-key': 'upstream' }, h('h3', {}, t('faults.upstream')), faults('upstream'),
      h('form', { class: 'again', 'data-submit': 'errCode' },
        h('label', { for: 'err-code' }, t('faults.code')),
        h('select', { id: 'err-code', name: 'code' }, state.known.err_code.map((c) => h('option', { value: c }, c))),
        h('select', { name: 'on', 'aria-label': t('faults.on') }, ['apply', 'query'].map((on) => h('option', { value: on }, t(`faults.on.${on}`)))),
        h('button', { type: 'submit', class: 'quiet' }, t('faults.answer')))),
    h('div', { class: 'card', 'data-key': 'ends' }, h('h3', {}, t('scenarios')),
      h('ul', { class: 'faults' }, scenarios.map((name) =>
        h('li', {}, h('button', { type: 'button', class: 'fault', 'data-do': 'scenario', 'data-name': name },
          h('b', {}, t(`scenario.${name}`)), h('span', {}, t(`scenario.${name}.teaches`))))))))
}

function often(fault) {
  if (fault.count) return t('often.count', { n: fault.count })
  return fault.rate === undefined ? t('applies.always') : t('often.rate', { n: Math.round(fault.rate * 100) })
}

const secret = ['private_key', 'apiv3_key', 'api_key', 'client_key', 'corpsecret', 'secret_id', 'secret_key']

export function keysView(state, ui, clock) {
  const age = (at) => duration((clock.now() - Date.parse(at)) / 1000)
  const left = (at) => duration((Date.parse(at) - clock.now()) / 1000)
  return h('section', { class: 'wide', 'data-key': 'keys', 'aria-label': t('nav.keys') },
    h('div', { class: 'card' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.keys')),
      h('p', { class: 'muted' }, t('keys.hint')),
      h('ul', { class: 'keys' }, state.keys.map((k) => h('li', { 'data-key': k.serial },
        h('header', {}, h('h3', {}, t(`key.${k.kind}`)), h('span', { class: k.newest ? 'pill success' : 'pill closed' }, k.newest ? t('key.newest') : t('key.old'))),
        number(k.serial),
        h('p', { class: 'muted' }, `${t('key.age', { age: age(k.from) })} · ${t('key.left', { left: left(k.until) })}`)))),
      h('div', { class: 'buttons' }, button(t('keys.rotate'), 'rotate', {}, 'primary')),
      h('p', { class: 'muted' }, t('keys.rotate.hint'))),
    h('div', { class: 'card', 'data-key': 'secrets' },
      h('h3', {}, t('secrets')),
      h('p', { class: 'muted' }, t('secrets.hint')),
      h('dl', { class: ui.secrets ? 'secrets shown' : 'secrets' }, secret.map((name) => [h('dt', {}, name),
        h('dd', {}, ui.secrets ? h('pre', { class: 'code', tabindex: 0, 'aria-label': name }, ui.secrets[name]) : h('span', { 'aria-label': t('secrets.masked') }, '••••••••••••'))])),
      h('div', { class: 'buttons' }, ui.secrets ? button(t('secrets.hide'), 'hideSecrets') : button(t('secrets.show'), 'showSecrets'))))
}

const open = ['claimed', 'processing', 'abnormal']

// summary are the four figures that are looked at first.
export function summary(state) {
  const gaps = new Map([['CNY', 0]])
  for (const r of state.refunds) {
    gaps.set(r.currency, (gaps.get(r.currency) ?? 0) + Math.max(Math.abs(r.difference_held), Math.abs(r.difference_arrived)))
  }
  const gap = [...gaps].filter(([currency, n]) => n > 0 || currency === 'CNY').map(([currency, n]) => difference(n, currency).replace('+', '')).join(' · ')
  const figures = [
    ['summary.refunds', state.refunds.length + state.older, ''],
    ['summary.open', state.refunds.filter((r) => open.includes(statusOf(r))).length, ''],
    ['summary.undelivered', state.deliveries.filter((d) => d.state !== 'delivered').length, ''],
    ['summary.gap', gap, [...gaps.values()].some((n) => n > 0) ? 'gap' : 'equal'],
  ]
  return [
    state.ours_error && h('p', { class: 'card reason' }, state.ours_error),
    h('dl', {}, figures.map(([name, value, kind]) => h('div', {}, h('dt', {}, t(name)), h('dd', { class: kind }, value)))),
  ]
}

const steps = ['1m', '10m', '1h', '24h4m']

export function clockCard(state, clock) {
  const next = state.deliveries.filter((d) => d.next_at).map((d) => d.next_at).sort()[0]
  return [
    h('h2', { id: 'clock-title' }, t('clock')),
    h('p', { class: 'time' }, h('span', { 'data-clock': '' }, clock.text()), h('span', { class: 'muted' }, t('clock.speed', { n: state.speed }))),
    h('p', { class: 'upcoming' }, next ? [t('clock.next'), ' ', countdown(next, clock)] : t('clock.nothing')),
    h('div', { class: 'buttons', role: 'group', 'aria-label': t('clock.advance') },
      steps.map((step) => button(t(`clock.${step}`), 'advance', { by: step }))),
    h('p', { class: 'muted small' }, t('clock.about', { channel: state.channel, seed: state.seed })),
  ]
}
