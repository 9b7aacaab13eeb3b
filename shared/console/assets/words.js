// The two languages. What is chosen is remembered by the browser; at first it is
// the browser's own.

const names = ['en', 'zh']
const here = import.meta.url.replace(/[^/]*$/, '')

async function read(file) {
  const response = await fetch(here + file)
  return response.json()
}

// What all pages say, and what this one says beside it.
const tables = Object.fromEntries(await Promise.all(names.map(async (name) => {
  const [common, own] = await Promise.all([read(`common.${name}.json`), read(`${name}.json`)])
  return [name, { ...common, ...own }]
})))

let chosen = remembered() ?? (navigator.language.startsWith('zh') ? 'zh' : 'en')

function remembered() {
  try {
    const name = localStorage.getItem('language')
    return names.includes(name) ? name : null
  } catch {
    return null // storage is switched off
  }
}

export function language() {
  return chosen
}

export function switchLanguage() {
  chosen = chosen === 'en' ? 'zh' : 'en'
  try {
    localStorage.setItem('language', chosen)
  } catch {
    // then it is asked again next time
  }
}

// t says a sentence, with what stands in braces replaced.
export function t(name, values = {}) {
  const text = tables[chosen][name] ?? name
  return text.replace(/\{(\w+)\}/g, (whole, field) => values[field] ?? whole)
}

// known is t for words that come from elsewhere: those without a translation are
// shown as they are.
export function known(prefix, word) {
  return tables[chosen][prefix + word] ?? word
}

const numbers = new Intl.NumberFormat('en')

// count writes a whole number: 20,000.
export function count(n) {
  return numbers.format(n)
}

// translate fills in the page's own text.
export function translate(root) {
  document.documentElement.lang = chosen === 'zh' ? 'zh-CN' : 'en'
  document.title = t('brand')
  for (const node of root.querySelectorAll('[data-i18n]')) node.textContent = t(node.dataset.i18n)
  for (const node of root.querySelectorAll('[data-i18n-label]')) node.setAttribute('aria-label', t(node.dataset.i18nLabel))
}
