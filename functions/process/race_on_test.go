//go:build heavy && race

package process

// moreResident is how many MiB an hour may leave behind, most of them the race detector's.
const moreResident = 64
