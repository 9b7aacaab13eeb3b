//go:build heavy

package simulation_test

// heavy says that the tag is set with which as much is tried as CI has time for.
const heavy = true
