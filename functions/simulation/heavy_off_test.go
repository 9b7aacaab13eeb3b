//go:build !heavy

package simulation_test

const heavy = false
