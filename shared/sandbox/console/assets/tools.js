// The other views: notifications, faults, keys.

import { h } from './dom.js'
import { t, known, count } from './words.js'
import { href } from './route.js'
import { duration } from './format.js'
import { want } from './store.js'
import { searchField } from './list.js'
import { pageOf, pager, newer } from './lists.js'
import { button, number, problem } from './parts.js'
import { notificationCard } from './notification.js'

const states = ['pending', 'delivered', 'failed', 'lost']

export function notificationsView(state, ui, clock) {
  const query = ui.route.query
  const { entry, data } = pageOf('notifications', ui)
  const chip = (name, value, label) => h('a', {
    class: 'chip', href: href('notifications', null, { ...query, offset: undefined, state: value }), 'aria-current': query.state === value && 'true',
  }, label, name && h('span', { class: 'muted' }, count(state.totals.notification_states[name] ?? 0)))
  return h('section', { class: 'wide', 'data-key': 'notifications', 'aria-label': t('nav.notifications') },
    h('div', { class: 'card' },
      h('h2', { id: 'title', tabindex: -1 }, t('nav.notifications')),
      h('p', { class: 'muted' }, t('notifications.hint')),
      h('div', { class: 'finder' }, searchField(query.q, t('search.notifications'), t('search.notifications')),
        h('div', { class: 'chips', role: 'group', 'aria-label': t('filter') },
          chip('', undefined, t('filter.all')), states.map((name) => chip(name, name, t(`delivery.${name}`))))),
      problem(entry, data), newer(entry),
      data && [
        data.total === 0 ? h('p', { class: 'muted' }, Object.keys(query).length > 0 ? t('list.none') : t('notifications.none')) : pager('notifications', data, ui),
        data.deliveries.map((d) => notificationCard(d, state, clock, true)),
        data.deliveries.length > 5 && h('div', { class: 'again' }, pager('notifications', data, ui)),
      ]))
}

const scenarios = ['abnormal', 'closed', 'byHand', 'untold']

export function faultsView(state, ui) {
  const faults = (part) => h('ul', { class: 'faults' }, (state.known[part] ?? []).map((name) =>
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
        h('span', {}, h('code', {}, [f.upstream, f.err_code, f.notify, f.timer && `timer ${f.timer}`, f.bill && `bill ${f.bill}`, f.database && `database ${f.database}`].filter(Boolean).join(' + ')), ` · ${often(f)}${f.timer ? '' : ` · ${t('applied', { n: count(f.struck) })}`}`),
        button(t('remove'), 'removeFault', { id: f.id })))),
      button(t('faults.clear'), 'clearFaults')),
    h('div', { class: 'card', 'data-key': 'notify' }, h('h3', {}, t('faults.notify')), faults('notify')),
    h('div', { class: 'card', 'data-key': 'upstream' }, h('h3', {}, t('faults.upstream')), faults('upstream'),
      h('form', { class: 'again', 'data-submit': 'errCode' },
        h('label', { for: 'err-code' }, t('faults.code')),
        h('select', { id: 'err-code', name: 'code' }, state.known.err_code.map((c) => h('option', { value: c }, c))),
        h('select', { name: 'on', 'aria-label': t('faults.on') }, ['apply', 'query', 'bill'].map((on) => h('option', { value: on }, t(`faults.on.${on}`)))),
        h('button', { type: 'submit', class: 'quiet' }, t('faults.answer')))),
    state.known.timer && h('div', { class: 'card', 'data-key': 'timer' }, h('h3', {}, t('faults.timer')), h('p', { class: 'muted' }, t('faults.timer.hint')), faults('timer')),
    state.known.bill && h('div', { class: 'card', 'data-key': 'bill' }, h('h3', {}, t('faults.bill')), h('p', { class: 'muted' }, t('faults.bill.hint')), faults('bill')),
    h('div', { class: 'card', 'data-key': 'ends' }, h('h3', {}, t('scenarios')),
      h('ul', { class: 'faults' }, scenarios.map((name) =>
        h('li', {}, h('button', { type: 'button', class: 'fault', 'data-do': 'scenario', 'data-name': name },
          h('b', {}, t(`scenario.${name}`)), h('span', {}, t(`scenario.${name}.teaches`))))))))
}

function often(fault) {
  if (fault.timer) return t('often.stopped')
  if (fault.count) return t('often.count', { n: count(fault.count) })
  return fault.rate === undefined ? t('applies.always') : t('often.rate', { n: Math.round(fault.rate * 100) })
}

const secret = ['private_key', 'apiv3_key', 'api_key', 'client_key', 'corpsecret', 'secret_id', 'secret_key', 'cloudbase_apikey', 'webhook_secret']

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
    merchantCard(want('share', null).data),
    h('div', { class: 'card', 'data-key': 'secrets' },
      h('h3', {}, t('secrets')),
      h('p', { class: 'muted' }, t('secrets.hint')),
      h('dl', { class: ui.secrets ? 'secrets shown' : 'secrets' }, secret.filter((name) => name !== 'webhook_secret' || ui.secrets?.webhook_secret).map((name) => [h('dt', {}, name),
        h('dd', {}, ui.secrets ? h('pre', { class: 'code', tabindex: 0, 'aria-label': name }, ui.secrets[name]) : h('span', { 'aria-label': t('secrets.masked') }, '••••••••••••'))])),
      h('div', { class: 'buttons' }, ui.secrets ? button(t('secrets.hide'), 'hideSecrets') : button(t('secrets.show'), 'showSecrets'))))
}

// merchantCard says with what WeChat Pay signs for this merchant, and how far a switch
// from certificates to the public key has come.
function merchantCard(share) {
  return share && h('div', { class: 'card', 'data-key': 'merchant' },
    h('h3', {}, t('merchant')),
    h('p', {}, known('merchant.', share.merchant), ' ', h('code', {}, share.merchant)),
    share.merchant === 'switching' && [
      h('form', { class: 'again', 'data-submit': 'share' },
        h('label', { for: 'share' }, t('merchant.share', { n: share.percent })),
        h('input', { id: 'share', 'data-key': `share-${share.percent}`, name: 'percent', type: 'text', inputmode: 'decimal', value: share.percent, autocomplete: 'off' }), h('span', { class: 'muted' }, '%'),
        h('button', { type: 'submit', class: 'quiet' }, t('merchant.set')),
        share.by_hand && button(t('merchant.giveBack'), 'shareBack')),
      h('p', { class: 'muted' }, share.by_hand ? t('merchant.byHand') : t('merchant.byDay')),
    ])
}
