//go:build !heavy

package model

const heavy = false
