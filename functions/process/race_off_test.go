//go:build heavy && !race

package process

// moreResident is how many MiB an hour may leave behind, of which SQLite's pages are a part
// that Go does not see.
const moreResident = 16
