//go:build slim && !scf

package host

// useLibrary is asked for by no test of a build without SCF.
func useLibrary() {}
