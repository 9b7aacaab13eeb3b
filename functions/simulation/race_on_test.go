//go:build race

package simulation_test

// race says that the race detector is on, under which everything takes ten times as long.
const race = true
