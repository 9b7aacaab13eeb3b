// wechatpay-axios-plugin for APIv3. It is given what it verifies with: certificates, the
// public key, or both while a merchant changes over.
const { Wechatpay, Formatter, Rsa, Aes: { AesGcm } } = require('wechatpay-axios-plugin')
const { sandbox } = require('./sandbox')
const tryV3 = require('./v3')

const { credentials, kind } = sandbox
const certs = {}
if (kind !== 'public-key') certs[credentials.platform_serial] = credentials.platform_cert
if (kind !== 'certificate') certs[credentials.public_key_id] = credentials.public_key
const { v3 } = new Wechatpay({
  baseURL: sandbox.wechat, mchid: credentials.mchid, serial: credentials.serial_no, privateKey: credentials.private_key, certs,
})

const unseal = ({ ciphertext, nonce, associated_data }, key) => AesGcm.decrypt(ciphertext, key, nonce, associated_data)

tryV3({
  refund: async fields => (await v3.refund.domestic.refunds.post(fields)).data,
  find: async number => (await v3.refund.domestic.refunds._out_refund_no_.get({ out_refund_no: number })).data,
  open: ({ headers, body }, key) => {
    const message = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body)
    const by = Rsa.from(certs[headers['wechatpay-serial']], Rsa.KEY_TYPE_PUBLIC)
    if (!Rsa.verify(message, headers['wechatpay-signature'], by)) throw new Error('its signature is wrong')
    return JSON.parse(unseal(JSON.parse(body).resource, key))
  },
  certificates: async key => (await v3.certificates.get()).data.data.map(c => unseal(c.encrypt_certificate, key) && c.serial_no).join(),
  refusal: ({ response }) => (response && response.data.code) || 'refused',
})
