// Package config turns the environment into a working system.
//
// Everything that is missing or malformed is named at once, and nothing
// half-configured runs. Values of keys never reach an error or a log.
package config
