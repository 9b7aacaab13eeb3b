// How long ago something was, by the clock of the operator's program.

import { t } from './words.js'
import { duration } from './format.js'

export function ago(at, state) {
  const seconds = (Date.parse(state.now) - Date.parse(at)) / 1000
  return seconds < 60 ? t('ago.now') : t('ago', { duration: duration(seconds) })
}
