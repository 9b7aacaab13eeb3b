//go:build lambda && !scf

package host

// scfPlatform is empty in a package for Lambda.
var scfPlatform []platform
