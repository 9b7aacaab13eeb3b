//go:build heavy

package model

const heavy = true
