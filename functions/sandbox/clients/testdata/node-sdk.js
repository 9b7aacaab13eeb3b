// @cloudbase/node-sdk, of which the argument is the version's name in package.json.
const tcb = require(process.argv[2])
const { sandbox } = require('./sandbox')
const tryModule = require('./module')

const { env_id: env, secret_id: secretId, secret_key: secretKey } = sandbox.credentials

tryModule(
  call => tcb.init({ env, secretId, secretKey }).callFunction(call),
  call => tcb.init({ env, secretId, secretKey: 'x'.repeat(32) }).callFunction(call),
)
