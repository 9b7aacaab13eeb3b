// A number under which something is asked for, once: it is kept until there is an answer, through
// a second tap, a lost answer and a program that was closed meanwhile. The same wish has the same
// number; after an answer, a new one.

const place = 'unanswered'

/** @returns {Record<string, string>} */
const kept = () => wx.getStorageSync(place) || {}

// A number need only differ from the caller's others: it names a wish of his, and proves nothing.
const fresh = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 12)

/**
 * numberOf is the number of a wish.
 * @param {unknown} wish all that makes it this one
 */
function numberOf(wish) {
  const key = JSON.stringify(wish)
  const numbers = kept()
  if (!numbers[key]) {
    numbers[key] = fresh()
    wx.setStorageSync(place, numbers) // before anything is sent
  }
  return numbers[key]
}

/**
 * answered forgets the number of a wish whose outcome is known.
 * @param {unknown} wish
 */
function answered(wish) {
  const numbers = kept()
  delete numbers[JSON.stringify(wish)]
  wx.setStorageSync(place, numbers)
}

module.exports = { numberOf, answered }
