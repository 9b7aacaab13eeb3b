//go:build heavy

package wxpay

const heavy = true
