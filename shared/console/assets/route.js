// Where the page is: the part of its address behind #, which can be linked, kept and
// gone back to. #/refunds/NO?state=open is a refund, beside a list of open ones.

let asked = {}

// routes says which views there are, the first of them at first, and of each what its list
// can be asked for. Other names are not passed on.
export function routes(views) {
  asked = views
}

// parse reads an address; whatever is no view of ours is the first.
export function parse(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s)
  const [name, ...rest] = path.split('/')
  const view = Object.hasOwn(asked, name) ? name : Object.keys(asked)[0]
  const id = name === view && rest.length > 0 && rest.join('/') !== '' ? decode(rest.join('/')) : null
  const query = {}
  for (const [key, value] of new URLSearchParams(search)) {
    if (asked[view].includes(key) && value !== '') query[key] = value
  }
  return { view, id, query }
}

// decode leaves what is not percent-encoded properly as it is: nothing has that name.
function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// search writes a query: ?a=b, or nothing.
export function search(query) {
  const all = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== ''))
  return all.size > 0 ? `?${all}` : ''
}

// href writes an address that parse reads.
export function href(view, id = null, query = {}) {
  return `#/${view}${id === null ? '' : `/${encodeURIComponent(id)}`}${search(query)}`
}

// plain tells whether a list is asked for from its beginning and without a filter.
export function plain(query) {
  return Object.keys(query).length === 0
}

// without is a query that lacks some names.
export function without(query, ...names) {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !names.includes(name)))
}
