package alert

import "wxrefund/shared/refund"

func DingtalkSign(millis, key string) string { return dingtalkSign(millis, key) }
func FeishuSign(seconds, key string) string  { return feishuSign(seconds, key) }

// Text is a message as Markdown or as it is.
func Text(a refund.Alert, markdown bool) string {
	if markdown {
		return text(a, quoted)
	}
	return text(a, plain)
}
