// @cloudbase/node-sdk with the environment's API key, as in functions that are lent no
// credentials. The argument is the version's name in package.json.
const tcb = require(process.argv[2])
const { sandbox } = require('./sandbox')
const tryModule = require('./module')

const { env_id: env, cloudbase_apikey: accessKey } = sandbox.credentials

tryModule(
  call => tcb.init({ env, accessKey }).callFunction(call),
  call => tcb.init({ env, accessKey: 'x' + accessKey }).callFunction(call),
)
