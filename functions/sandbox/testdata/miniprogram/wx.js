// Plays the part of WeChat for a mini-program in Node: pages are opened, tapped and read, and
// their calls go wherever a test wants.
const fs = require('node:fs')
const path = require('node:path')

const root = process.env.MINIPROGRAM || path.join(__dirname, '../../miniprogram')

/**
 * phone starts the program anew. call(data) answers wx.cloud.callFunction's result, or throws;
 * request is wx.request; storage outlives the program; config is laid over config.js.
 */
function phone({ call, request, storage = {}, config = {}, confirm = true } = {}) {
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(root)) delete require.cache[file]
  }
  Object.assign(require(path.join(root, 'config.js')), config)
  const shown = []
  let options
  globalThis.App = (app) => app.onLaunch()
  globalThis.Page = (page) => { options = page }
  globalThis.wx = {
    cloud: {
      init() {},
      callFunction: async ({ name, data }) => ({ result: await call(structuredClone(data), name), errMsg: 'cloud.callFunction:ok', requestID: 'r' }),
    },
    request,
    getStorageSync: (key) => (key in storage ? JSON.parse(storage[key]) : ''),
    setStorageSync: (key, value) => { storage[key] = JSON.stringify(value) },
    showModal: (asked) => { shown.push(asked); asked.success({ confirm }) },
    stopPullDownRefresh() {},
  }
  require(path.join(root, 'app.js'))
  return {
    storage, shown,
    /** open opens a page, and waits for what it reads when it is shown. */
    async open(name, query = {}) {
      require(path.join(root, 'pages', name, `${name}.js`))
      const page = { ...options, data: structuredClone(options.data), setData(change) { Object.assign(this.data, structuredClone(change)) } }
      page.onLoad?.(query)
      await page.onShow?.()
      return page
    },
  }
}

/** tapped is the event of a tap on something with these data-s. */
const tapped = (dataset) => ({ currentTarget: { dataset } })

/** wrote is the event of a field that has been filled in. */
const wrote = (field, value) => ({ currentTarget: { dataset: { field } }, detail: { value } })

/** chose is the event of a radio button. */
const chose = (value) => ({ detail: { value } })

/** fill fills in the fields of a page. */
function fill(page, fields) {
  for (const [field, value] of Object.entries(fields)) page.write(wrote(field, value))
}

const read = (...parts) => fs.readFileSync(path.join(root, ...parts), 'utf8')

module.exports = { root, phone, tapped, chose, fill, read }
