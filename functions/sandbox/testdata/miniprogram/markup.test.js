// What a compiler of WXML would find: the markup belongs to its page's code.
const { test } = require('node:test')
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { root, phone, read } = require('./wx')

const { pages, tabBar } = JSON.parse(read('app.json'))
const tagsOf = (text) => [...text.matchAll(/<(\/?)([\w-]+)((?:\s+[\w:-]+(?:="[^"]*")?)*)\s*(\/?)>/g)].map(([, end, name, attributes, alone]) => ({
  end, name, alone, attributes: Object.fromEntries([...attributes.matchAll(/([\w:-]+)(?:="([^"]*)")?/g)].map(([, key, value]) => [key, value])),
}))

for (const page of pages) {
  const name = page.split('/').at(-1)
  const wxml = read(`${page}.wxml`)
  const tags = tagsOf(wxml)

  test(`${name}: every tag is closed`, () => {
    assert.strictEqual(tags.length, wxml.match(/<[/\w]/g).length)
    const open = []
    for (const tag of tags) {
      if (tag.end) assert.strictEqual(open.pop(), tag.name)
      else if (!tag.alone) open.push(tag.name)
    }
    assert.deepStrictEqual(open, [])
  })

  test(`${name}: what the markup names is in the code`, async () => {
    const opened = await phone({ call: () => ({ code: 0, data: { total: 0, offset: 0, items: [] } }) }).open(name)
    for (const { attributes } of tags) {
      for (const [key, value] of Object.entries(attributes)) {
        if (/^bind/.test(key)) assert.strictEqual(typeof opened[value], 'function', `${key}=${value}`)
        if (key === 'data-field') assert.ok(value in opened.data, value)
      }
    }
    for (const [, expression] of wxml.matchAll(/\{\{(.*?)\}\}/g)) {
      for (const [word] of expression.replace(/'[^']*'/g, '').matchAll(/(?<![.\w])[a-z]\w*/g)) {
        if (!['item', 'true', 'false'].includes(word)) assert.ok(word in opened.data, `{{${expression}}}`)
      }
    }
  })

  test(`${name}: everything has a name, and is off while something is sent`, () => {
    for (const { name: tag, end, attributes } of tags) {
      if (end) continue
      if (tag === 'input') assert.ok(attributes['aria-label'], 'a field without a label')
      if (tag === 'input' || tag === 'button') assert.match(attributes.disabled || '', /sending/)
      if (tag === 'radio-group') assert.ok(attributes['aria-label'], 'a choice without a label')
    }
    assert.match(wxml, /class="said [^>]*aria-role="alert"/)
  })

  test(`${name}: its files are there`, () => {
    for (const kind of ['js', 'json', 'wxml']) assert.ok(fs.existsSync(path.join(root, `${page}.${kind}`)), kind)
  })
}

test('the tabs lead to the pages', () => {
  assert.deepStrictEqual(tabBar.list.map((tab) => tab.pagePath), pages)
})

test('nobody\'s own appid is in it', () => {
  assert.strictEqual(JSON.parse(read('project.config.json')).appid, 'touristappid')
})
