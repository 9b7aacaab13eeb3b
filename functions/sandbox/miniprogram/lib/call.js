// A call of the cloud function, and what its reply means to who has tapped.

const { sandbox, openid } = require('../config')

const name = 'wxpayFunctions'
const repeats = 2 // of a call whose answer may yet come
const patience = 5 // seconds that somebody looks at a button that waits

/** @typedef {import('wxrefund').Refused | import('wxrefund').Unknown} Problem */

/**
 * A failure that is known is one for good: a repeat says the same. One that is not may yet turn
 * out to be none, and is asked about by an identical repeat.
 * @typedef {{ known: boolean, text: string }} Failure
 */

/**
 * lost is what is said when no reply has come: it may have been carried out.
 * @returns {import('wxrefund').Unknown}
 */
const lost = () => ({ code: 503, err_code: 'SYSTEM_ERROR', message: '没有收到结果', retry: 'same_number' })

/**
 * overHTTP calls a sandbox, as the user that config.js names.
 * @param {object} data
 * @returns {Promise<{ result?: any }>}
 */
const overHTTP = (data) => new Promise((done, fail) => {
  wx.request({
    url: `${sandbox}/functions/${name}`, method: 'POST', data,
    header: { 'Content-Type': 'application/json', 'X-WX-OPENID': openid, 'X-WX-SOURCE': 'wx_client' },
    success: (response) => done(/** @type {{ result?: any }} */ (response.data)), fail,
  })
})

/**
 * invoke calls once. Whatever prevents a reply is an unknown outcome, never an exception.
 * @param {object} data
 * @returns {Promise<any>} a reply
 */
async function invoke(data) {
  try {
    const { result } = sandbox ? await overHTTP(data) : await wx.cloud.callFunction({ name, data })
    return result && typeof result === 'object' && 'code' in result ? result : lost()
  } catch {
    return lost()
  }
}

/** @param {number} seconds */
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000))

/** @param {Problem} reply */
const repeatable = ({ retry }) => retry === 'later' || retry === 'same_number'

/**
 * call calls, and repeats identically while a repeat may help and nobody waits for long.
 * @param {any} data
 * @returns {Promise<any>} a reply
 */
async function call(data) {
  for (let n = 0; ; n++) {
    const reply = await invoke(data)
    const wait = reply.retry_after === undefined ? 1 : reply.retry_after
    if (reply.code === 0 || reply.code === 202 || !repeatable(reply) || n === repeats || wait > patience) return reply
    await pause(wait)
  }
}

const words = /** @type {Record<number, string>} */ ({
  400: '填写有误', 403: '没有权限', 404: '查无此单', 409: '与已有记录不一致', 422: '微信支付拒绝', 429: '操作太频繁',
})

/**
 * failureOf says what a reply that is no success means.
 * @param {Problem} reply
 * @returns {Failure}
 */
function failureOf(reply) {
  const known = reply.code < 500 && !repeatable(reply)
  const when = reply.retry_after ? `请 ${reply.retry_after} 秒后再点一次` : '请稍后再点一次'
  const what = words[reply.code] || '结果未知'
  return { known, text: `${what}：${reply.message}${known ? '' : `。${when}，不会重复退款`}` }
}

module.exports = { call, failureOf }
