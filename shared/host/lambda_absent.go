//go:build scf && !lambda

package host

// lambdaPlatform is empty in a package for SCF.
var lambdaPlatform []platform
