// wechatpay-node-v3. Its hosts are fixed, see linesForNode in npm_test.go.
const WxPay = require('wechatpay-node-v3')
const { sandbox } = require('./sandbox')
const tryV3 = require('./v3')

const { credentials, kind } = sandbox
const pay = new WxPay({
  appid: credentials.appid, mchid: credentials.mchid, key: credentials.apiv3_key,
  publicKey: Buffer.from(credentials.client_cert), privateKey: Buffer.from(credentials.private_key),
})
// It fetches certificates when it needs them. It knows nothing of public keys, and takes
// one that is put beside them.
if (kind !== 'certificate') WxPay.certificates[credentials.public_key_id] = credentials.public_key

function answer({ data, error }) {
  if (error) throw JSON.parse(error)
  return data
}

tryV3({
  refund: async fields => answer(await pay.refunds(fields)),
  find: async number => answer(await pay.find_refunds(number)),
  open: async ({ headers, body }, key) => {
    const genuine = await pay.verifySign({
      body, timestamp: headers['wechatpay-timestamp'], nonce: headers['wechatpay-nonce'],
      serial: headers['wechatpay-serial'], signature: headers['wechatpay-signature'],
    })
    if (!genuine) throw new Error('its signature is wrong')
    const { ciphertext, associated_data, nonce } = JSON.parse(body).resource
    return pay.decipher_gcm(ciphertext, associated_data, nonce, key)
  },
  certificates: async key => (await pay.get_certificates(key)).map(c => c.serial_no).join(),
  refusal: e => e.code || 'refused',
})
