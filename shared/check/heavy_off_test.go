//go:build !heavy

package check_test

const heavy = false
