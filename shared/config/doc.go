// Package config turns the environment into a working system.
//
// [Settings] lists every variable; the documents and the deployment files follow it.
// Everything that is missing, malformed or misspelt is named at once, and nothing
// half-configured runs. Values of keys never reach an error or a log.
package config
