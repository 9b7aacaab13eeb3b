// wx-server-sdk, of which the argument is the version's name in package.json: the
// template's module, and CloudPay.
const cloud = require(process.argv[2])
const { sandbox, report } = require('./sandbox')
const tryModule = require('./module')

const { sub_mchid: subMchId } = sandbox.credentials

async function main() {
  cloud.init({ env: cloud.DYNAMIC_CURRENT_ENV }) // as cloud functions do
  const merchant = { subMchId, nonceStr: 'n' }
  const refund = fields => cloud.cloudPay.refund({ ...merchant, outTradeNo: 'T2', totalFee: 10000, refundFee: 100, ...fields })
  const said = (answer, ...names) => names.map(name => answer[name]).join(' ')

  report('CloudPay refund', said(await refund({ outRefundNo: 'R2' }), 'returnCode', 'resultCode', 'refundFee', 'couponRefundFee'))
  report('CloudPay refund, sum as text', said(await refund({ outRefundNo: 'R3', totalFee: '10000' }), 'returnCode', 'returnMsg'))
  report('CloudPay refund, unknown order', said(await refund({ outRefundNo: 'R3', outTradeNo: 'T0' }), 'resultCode', 'errCodeDes'))
  const found = await cloud.cloudPay.queryRefund({ ...merchant, outRefundNo: 'R2' })
  report('CloudPay query', said(found, 'refundStatus_0', 'outRefundNo_0', 'couponRefundId_0_0'))

  // It has its key from the environment, each time.
  const another = { TENCENTCLOUD_SECRETKEY: 'x'.repeat(32) }
  await tryModule(cloud.callFunction, call => tryModule.within(another, () => cloud.callFunction(call)))
}

main()
