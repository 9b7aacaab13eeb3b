// tenpay, which speaks v2. Its hosts are fixed, see linesForNode in npm_test.go. It wants the merchant's
// certificate as WeChat Pay hands it out: as PKCS #12, with the merchant's number as password.
const fs = require('fs')
const Payment = require('tenpay')
const { sandbox } = require('./sandbox')
const tryV2 = require('./v2')

const { appid, mchid, api_key: key } = sandbox.credentials
const client = partnerKey => new Payment({ appid, mchid, partnerKey, pfx: fs.readFileSync(process.env.CLIENT_P12) })

tryV2({
  refund: (fields, key) => client(key).refund(fields),
  find: fields => client(key).refundQuery(fields),
  // Its middleware, here as for Koa, opens notifications.
  open: async ({ body }, key) => {
    const context = { request: { body } }
    await client(key).middleware('refund')(context, () => {})
    if (!context.request.weixin) throw new Error(context.body)
    return context.request.weixin.req_info
  },
  acknowledgement: '<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>',
  refusal: e => (e.message === 'sign签名错误' ? 'refused' : e.message),
})
