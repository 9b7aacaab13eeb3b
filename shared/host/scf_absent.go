//go:build slim && !scf

package host

// scfPlatform is empty in a package for Lambda or for a web function.
var scfPlatform []platform
