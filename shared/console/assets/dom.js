// Nodes are made anew from the state each time and then laid over what is on the
// page, so that focus, typing and scrolling survive every change.

const SVG = 'http://www.w3.org/2000/svg'
const drawn = new Set(['svg', 'rect', 'path', 'g', 'line', 'title'])

// h makes an element. Attributes that are false, null or undefined are left out;
// children may be nested lists, texts, and nothing.
export function h(tag, attributes = {}, ...children) {
  const node = drawn.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue
    node.setAttribute(name, value === true ? '' : String(value))
  }
  for (const child of children.flat(Infinity)) {
    if (child === false || child === null || child === undefined || child === '') continue
    node.append(child)
  }
  return node
}

// patch makes parent hold these children, keeping what is there already.
export function patch(parent, ...children) {
  lay(parent, h('div', {}, ...children))
}

// Of these the person at the page is the owner.
const owned = { DETAILS: ['open'], INPUT: ['value', 'checked', 'aria-invalid'], OPTION: ['selected'], TEXTAREA: ['value'] }

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') : null
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b)
}

// lay makes old's children those of fresh.
function lay(old, fresh) {
  const keyed = new Map()
  for (const child of old.childNodes) {
    if (key(child)) keyed.set(key(child), child)
  }
  let at = old.firstChild
  for (const child of [...fresh.childNodes]) {
    const known = keyed.get(key(child))
    if (known && known !== at && alike(known, child)) old.insertBefore(known, at)
    const here = known && alike(known, child) ? known : at
    if (here && alike(here, child)) {
      if (here === at) at = at.nextSibling
      morph(here, child)
    } else {
      old.insertBefore(child, at)
    }
  }
  while (at) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data
    return
  }
  const kept = owned[old.nodeName] ?? []
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name)
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !kept.includes(name)) old.setAttribute(name, value)
  }
  lay(old, fresh)
}
