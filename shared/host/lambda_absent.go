//go:build slim && !lambda

package host

// lambdaPlatform is empty in a package for SCF or for a web function.
var lambdaPlatform []platform
