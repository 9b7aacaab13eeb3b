// Package alert tells people of alarms: through a robot of a WeCom, DingTalk or Feishu
// group, or by a signed webhook. Each makes a [refund.Alerter]; what is told, when, and how
// often, is the refund package's concern.
//
// What it knows of the robots is from these documents: WeCom, 群机器人配置说明
// (https://developer.work.weixin.qq.com/document/path/91770); DingTalk, 自定义机器人接入 and
// 自定义机器人安全设置 (https://open.dingtalk.com/document/robots/custom-robot-access); Feishu,
// 自定义机器人使用指南 (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot).
package alert
