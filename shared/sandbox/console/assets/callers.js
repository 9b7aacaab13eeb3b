// Whom the page plays: a server of the merchant's, the buyer, or one of two operators. What it
// asks of the function that mini-programs call, it asks as that one.

import { t } from './words.js'
import { ui } from './page.js'

let players = { server: '' } // openids by role; a server has none

// play takes over whom the sandbox knows.
export function play({ buyer, operators }) {
  players = { server: '', buyer, ...Object.fromEntries(operators.map((openid, i) => [`operator${'AB'[i]}`, openid])) }
}

export const roles = () => Object.keys(players)
export const caller = () => (Object.hasOwn(players, ui.role) ? ui.role : 'server')
export const openid = () => players[caller()]
export const deciding = () => caller() === 'server' || caller().startsWith('operator')

// roleName is what a role is called, with its openid.
export const roleName = (name) => [t(`role.${name}`), players[name]].filter(Boolean).join(' · ')
