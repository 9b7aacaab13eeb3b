const { env, sandbox } = require('./config')

App({
  onLaunch() {
    if (!sandbox) wx.cloud.init(env ? { env } : {})
  },
})
