/**
 * confirmed asks whether something is really meant.
 * @param {string} title
 * @param {string} content
 * @returns {Promise<boolean>}
 */
const confirmed = (title, content) => new Promise((done) => {
  wx.showModal({ title, content, success: ({ confirm }) => done(confirm), fail: () => done(false) })
})

module.exports = { confirmed }
