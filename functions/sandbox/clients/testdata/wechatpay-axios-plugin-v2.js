// wechatpay-axios-plugin for v2.
const { Wechatpay, Hash, Transformer, Aes: { AesEcb } } = require('wechatpay-axios-plugin')
const { sandbox } = require('./sandbox')
const tryV2 = require('./v2')

const { credentials } = sandbox
const client = secret => new Wechatpay({
  baseURL: sandbox.wechat_tls, mchid: credentials.mchid, secret,
  merchant: { cert: credentials.client_cert, key: credentials.client_key },
  // Of APIv3, which it insists on.
  serial: credentials.serial_no, privateKey: credentials.private_key, certs: { any: undefined },
}).v2
const names = { appid: credentials.appid, mch_id: credentials.mchid }

tryV2({
  refund: async (fields, key) => (await client(key).secapi.pay.refund.post({ ...names, ...fields }, { security: true })).data,
  find: async fields => (await client(credentials.api_key).pay.refundquery.post({ ...names, ...fields })).data,
  open: ({ body }, key) => {
    const refund = Transformer.toObject(AesEcb.decrypt(Transformer.toObject(body).req_info, Hash.md5(key)))
    // What was tampered with opens here, to nothing that makes sense.
    if (!refund.out_refund_no) throw new Error('it is not about a refund')
    return refund
  },
  acknowledgement: Transformer.toXml({ return_code: 'SUCCESS', return_msg: 'OK' }),
  refusal: ({ response }) => {
    const { return_code, return_msg, err_code } = response ? response.data : {}
    return err_code || (return_code === 'FAIL' ? return_msg : 'refused')
  },
})
